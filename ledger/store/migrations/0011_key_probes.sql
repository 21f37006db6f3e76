-- Keys of channels that are out of use, and when each is asked again whether it works. Whoever takes a
-- row that is due, on any node, is the one who asks. Not money; that a key is out of use is an event.
create table operations.key_probe (
    key_id uuid primary key,
    channel_id uuid not null,
    step smallint not null,              -- which of the waiting times comes after the next probe
    probes integer not null default 0,
    due_at timestamptz not null,
    recovered_at timestamptz             -- null: it is out of use
);
create index key_probe_due on operations.key_probe (due_at) where recovered_at is null;
