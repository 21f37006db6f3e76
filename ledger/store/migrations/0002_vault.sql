-- What must not stand in events: secrets and personal data, sealed cell by cell.

create schema vault;

-- One data key per subject (an account, a user, a channel): deleting it makes all that the
-- subject's cells say unreadable, in every backup too. Wrapped under CRYPTO_SECRET.
create table vault.data_key (
    subject uuid primary key,
    wrapped bytea not null
);

-- AES-256-GCM under the subject's data key; the place (kind, row, field) is authenticated with it.
create table vault.cell (
    kind text not null,
    row_id uuid not null,
    field text not null,
    subject uuid not null references vault.data_key on delete cascade,
    sealed bytea not null,
    primary key (kind, row_id, field)
);
create index cell_subject on vault.cell (subject);
