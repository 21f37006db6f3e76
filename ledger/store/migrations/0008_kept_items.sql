-- Items of kept answers: a client may name one by its id instead of sending it again.
--
-- What a provider keeps is read there again. What was translated no provider knows by the ids that
-- the client has: it is kept here, sealed in the vault, under the key of the account.
alter table operations.kept_response
    alter column channel_id drop not null,                    -- null: no provider keeps it
    add column item_ids text[] not null default '{}',         -- as the client knows them
    add column output_tokens bigint not null default 0,       -- no item of it is longer
    add column cell_id uuid;                                  -- of its document in the vault
create index kept_response_items on operations.kept_response using gin (item_ids);
create index kept_response_cell on operations.kept_response (cell_id) where cell_id is not null;
