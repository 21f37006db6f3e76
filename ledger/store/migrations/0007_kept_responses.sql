-- Answers that a provider keeps, and where: only the channel and the key that made one can find it
-- again, and only the account it was made for may ask. Not money; kept as long as providers do.
create table operations.kept_response (
    account_id uuid not null,
    response_id text not null,           -- the provider's
    key_id uuid not null,                -- of the account
    channel_id uuid not null,
    channel_key_id uuid,                 -- null: the channel needs none
    model text not null,                 -- by our name
    context_tokens bigint not null,      -- what a call that goes on from it reads again
    created_at timestamptz not null default clock_timestamp(),
    primary key (account_id, response_id)
);
create index kept_response_age on operations.kept_response (created_at);
