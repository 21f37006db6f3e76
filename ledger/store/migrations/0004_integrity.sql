-- The Merkle tree over ledger.event, in tiles: see ledger/integrity/tiles.py. Full tiles only; the
-- right edge of the tree is read from the level below. Everything here follows from the log.

create table ledger.tile (
    level smallint not null,
    number bigint not null,
    -- 256 hashes; at level 0 the leaves of positions number * 256 + 1 and on.
    hashes bytea not null check (octet_length(hashes) = 8192),
    -- Of these hashes: what the next level is made of.
    root bytea not null check (octet_length(root) = 32),
    primary key (level, number)
);
-- Hashes do not compress.
alter table ledger.tile alter column hashes set storage external;
create trigger append_only before update or delete on ledger.tile
    for each row execute function ledger.refuse_change();
create trigger never_truncated before truncate on ledger.tile
    for each statement execute function ledger.refuse_change();
alter table ledger.tile enable always trigger append_only, enable always trigger never_truncated;

create index event_sealed on ledger.event (position) where topic = 'seal.CheckpointSealed.v1';
create index event_signing_key on ledger.event (position) where topic = 'seal.SigningKeyIntroduced.v1';

-- RFC 9162, 2.1.1, over a full tile.
create function ledger.tile_root(hashes bytea) returns bytea language plpgsql immutable as $$
declare
    width int := 256;
begin
    while width > 1 loop
        width := width / 2;
        select string_agg(sha256('\x01'::bytea || substr(hashes, 64 * i + 1, 64)), ''::bytea order by i)
        into hashes from generate_series(0, width - 1) i;
    end loop;
    return hashes;
end $$;

-- Makes the tiles that are full at a size of the log, at most so many; how many it made. Whoever
-- calls it cannot make a wrong one: it reads the log itself.
create function ledger.extend_tiles(p_size bigint, p_most int) returns int
language plpgsql security definer set search_path = ledger, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    lvl int := 0;
    available bigint := p_size / 256;
    next bigint;
    made int := 0;
    gathered bytea;
begin
    if p_size > (select position from head) then
        raise exception 'the log does not have % events', p_size;
    end if;
    perform pg_advisory_xact_lock(x'74696c65'::int);  -- "tile"
    while available > 0 loop
        next := coalesce((select t.number from tile t where t.level = lvl order by t.number desc limit 1) + 1, 0);
        while next < available loop
            if made >= p_most then return made; end if;
            if lvl = 0 then
                select string_agg(leaf, ''::bytea order by position) into gathered from event
                where position > next * 256 and position <= next * 256 + 256;
            else
                select string_agg(t.root, ''::bytea order by t.number) into gathered from tile t
                where t.level = lvl - 1 and t.number >= next * 256 and t.number < next * 256 + 256;
            end if;
            if octet_length(gathered) is distinct from 8192 then
                raise exception 'the log has a gap in tile % of level %', next, lvl;
            end if;
            insert into tile (level, number, hashes, root)
            values (lvl, next, gathered, ledger.tile_root(gathered));
            made := made + 1;
            next := next + 1;
        end loop;
        lvl := lvl + 1;
        available := available / 256;
    end loop;
    return made;
end $$;
