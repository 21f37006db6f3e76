-- What running nodes tell each other. None of it is money; all of it may be lost.

create schema operations;

-- A node proves that it lives by the database's clock; a lapsed lease frees its open charges.
create table operations.node_lease (
    node text not null,
    boot uuid not null,
    expires_at timestamptz not null,
    primary key (node, boot)
);

-- Calls refused before a hold: not ledger, kept for seven days.
create table operations.refusal (
    refusal_id uuid primary key,
    refused_at timestamptz not null default clock_timestamp(),
    account_id uuid,
    key_id uuid,
    model text,
    status integer not null,
    code text not null
);
create index refusal_account on operations.refusal (account_id, refused_at);
create index refusal_age on operations.refusal (refused_at);

-- Which generation of a read model is served, and how far it has folded.
create schema projections;
create table operations.projection (
    name text not null,
    generation integer not null,
    version integer not null,
    position bigint not null,
    is_served boolean not null,
    primary key (name, generation)
);
create unique index projection_served on operations.projection (name) where is_served;
