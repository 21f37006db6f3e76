-- Work that takes longer than a request: rebuilds, checks, exports. None of it is money.

create table operations.job (
    id uuid primary key,                 -- a UUIDv7: in the order of creation
    kind text not null,
    parameters jsonb not null,
    state text not null default 'queued'
        check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
    done bigint not null default 0,
    total bigint,                        -- null: not known (yet)
    unit text not null default '',
    note text not null default '',
    result jsonb,
    error text,
    actor text not null,
    is_cancel_requested boolean not null default false,
    attempts integer not null default 0,
    runner uuid,                         -- whoever works on it; another one ends its claim
    created_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    heartbeat_at timestamptz,
    finished_at timestamptz
);
create index job_unfinished on operations.job (id) where state in ('queued', 'running');
create index job_finished on operations.job (finished_at) where finished_at is not null;

-- What a job made for people to fetch, in pieces of at most 1 MiB.
create table operations.job_file (
    job_id uuid not null references operations.job on delete cascade,
    name text not null,
    content_type text not null,
    size_bytes bigint not null,
    sha256 text not null,
    primary key (job_id, name)
);
create table operations.job_file_chunk (
    job_id uuid not null references operations.job on delete cascade,
    name text not null,
    number integer not null,
    content bytea not null,
    primary key (job_id, name, number)
);
