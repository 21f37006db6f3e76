-- What providers say they served and charged, and how it compared with the ledger when asked.
-- None of it is money, and none is ever changed: a report stays what it was when it was given.
-- A table's name sorts behind those it refers to: a backup is restored in that order.

create table operations.reconciliation_import (
    id uuid primary key,                 -- from what makes two imports the same
    sha256 text not null,                -- of the file
    format text not null,
    mapping jsonb not null,              -- how the operator said to read it
    size_bytes bigint not null,
    covers text[] not null,              -- the units it breaks its figures down by
    entries bigint not null,
    first_day date not null,             -- in UTC; with days the file calls empty
    last_day date not null,
    actor text not null,
    imported_at timestamptz not null default clock_timestamp()
);

-- The figures of a file. Names of people, projects and keys are not kept.
create table operations.reconciliation_import_entry (
    import_id uuid not null references operations.reconciliation_import,
    number integer not null,
    place text not null,                 -- where it stands in the file
    day date not null,
    model text not null,
    unit text not null,
    units numeric,                       -- null: the file does not say
    amount_usd numeric,
    primary key (import_id, number)
);

create table operations.reconciliation_report (
    id uuid primary key,                 -- from the import, the question and what we had recorded
    import_id uuid not null references operations.reconciliation_import,
    first_day date not null,
    last_day date not null,
    channel_ids uuid[],                  -- null: all there were
    tolerance_basis_points integer not null,
    tolerance_usd numeric not null,
    aliases jsonb not null,              -- the provider's name of a model -> ours
    as_of_position bigint not null,      -- of the read model it was compared with
    as_of timestamptz not null,
    summary jsonb not null,
    lines bigint not null,
    actor text not null,
    made_at timestamptz not null default clock_timestamp()
);
create index reconciliation_report_newest on operations.reconciliation_report (made_at, id);

create table operations.reconciliation_report_line (
    report_id uuid not null references operations.reconciliation_report,
    number integer not null,
    day date not null,
    model text not null,
    unit text not null,
    outcome text not null,
    their_models text[] not null,
    their_units numeric,
    our_units numeric,
    their_usd numeric,
    our_usd numeric,
    primary key (report_id, number)
);
create index reconciliation_report_line_outcome
    on operations.reconciliation_report_line (report_id, outcome, number);

create function operations.refuse_change_of_reconciliation() returns trigger
language plpgsql as $$
begin
    raise exception 'reconciliations are never changed' using errcode = 'restrict_violation';
end $$;

do $$
declare
    name text;
begin
    foreach name in array array['reconciliation_import', 'reconciliation_import_entry',
                                'reconciliation_report', 'reconciliation_report_line'] loop
        execute format('create trigger never_changed before update or delete on operations.%I '
            'for each row execute function operations.refuse_change_of_reconciliation()', name);
        execute format('create trigger never_truncated before truncate on operations.%I '
            'for each statement execute function operations.refuse_change_of_reconciliation()',
            name);
        -- In every session_replication_role, as on the log.
        execute format('alter table operations.%I enable always trigger never_changed, '
            'enable always trigger never_truncated', name);
    end loop;
end $$;
