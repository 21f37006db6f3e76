-- The event log, the budgets it keeps, and the one function that writes both.

create schema ledger;

-- One row: its update is the lock that orders all appends, the source of dense positions, and a
-- clock that never runs backwards.
create table ledger.head (
    is_only_row boolean primary key default true check (is_only_row),
    position bigint not null,
    recorded_at timestamptz not null
) with (fillfactor = 10);
insert into ledger.head (position, recorded_at) values (0, clock_timestamp());

create table ledger.event (
    originator_id uuid not null,
    originator_version bigint not null,
    topic text not null,
    state bytea not null,
    position bigint not null,
    recorded_at timestamptz not null,
    account_id uuid,
    account_seq bigint,
    -- SHA-256 of the row, see ledger/leaf.py: a later change of a single byte can be named.
    leaf bytea not null,
    primary key (originator_id, originator_version)
);
create unique index event_position on ledger.event (position);
create unique index event_account on ledger.event (account_id, position) where account_id is not null;
-- "Closed twice" is impossible in the database.
create unique index event_closing on ledger.event (originator_id)
    where topic in ('charge.UsageSettled.v1', 'charge.RefundIssued.v1');
-- Configuration is a small part of the log; its followers read only that part.
create index event_configuration on ledger.event (position) where topic not like 'charge.%' and topic not like 'credit.%';

-- Vacuum for visibility and freezing only: there are no dead rows to remove.
alter table ledger.event set (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_freeze_min_age = 0);

-- A fold of the log that conditions are checked against. used = held - posted.
create table ledger.budget (
    scope uuid primary key,
    held_nanos bigint not null,
    posted_nanos bigint not null,
    seq bigint not null,
    position bigint not null
) with (fillfactor = 50);

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is append-only: % on % is refused', tg_op, tg_table_name
        using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on ledger.event
    for each row execute function ledger.refuse_change();
create trigger never_truncated before truncate on ledger.event
    for each statement execute function ledger.refuse_change();
-- In every session_replication_role: with a single role the triggers stand alone.
alter table ledger.event enable always trigger append_only, enable always trigger never_truncated;

-- Stores one slice of a batch, or raises and stores nothing of it:
--   unique_violation  a version exists, or the stream is closed
--   TG001             a version whose predecessor does not exist, or one before the first
--   TG002             a capped scope does not fit; detail = its index in p_scope
--   TG003, numeric_value_out_of_range   a balance would leave its range
-- Events lo..hi and their effects elo..ehi become positions base+1.. in this order.
create function ledger.append_slice(
    base bigint, at timestamptz,
    p_stream uuid[], p_version bigint[], p_topic text[], p_state bytea[],
    p_account uuid[], p_account_scope int[],
    p_scope uuid[], p_event int[], p_effect_scope int[], p_held bigint[], p_posted bigint[], p_cap bigint[],
    lo int, hi int, elo int, ehi int,
    out held bigint[], out posted bigint[], out touched_at bigint[]
) language plpgsql set search_path = ledger, pg_temp
-- One plan, kept from when the log was empty, and it must be the one for a full log.
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    scopes int[];  -- the indexes into p_scope that this slice touches, ascending
    caps bigint[];
    seqs bigint[];
    seq_after bigint[] := array_fill(null::bigint, array[cardinality(p_scope)]);
    short_scope int;
    is_out_of_range boolean;
    at_us bigint := round(extract(epoch from at) * 1000000);
begin
    if exists (
        select from generate_series(lo, hi) i
        where p_version[i] > 1
          and (select true from event e where e.originator_id = p_stream[i]
                                          and e.originator_version = p_version[i] - 1 limit 1) is null
          and (select true from generate_series(lo, i - 1) j
               where p_stream[j] = p_stream[i] and p_version[j] = p_version[i] - 1 limit 1) is null
        -- Our streams begin at 1. Aggregates of the eventsourcing library may begin at 0.
           or p_version[i] < 1
          and (p_version[i] < 0
               or exists (select from event e where e.originator_id = p_stream[i])
               or exists (select from generate_series(lo, i - 1) j where p_stream[j] = p_stream[i]))
    ) then
        raise exception 'an event must follow its predecessor' using errcode = 'TG001';
    end if;

    with effect as materialized (
        select p_effect_scope[k] as scope_index, sum(p_held[k])::bigint as held,
               sum(p_posted[k])::bigint as posted, count(*) as touches,
               max(p_event[k]) as last_event, min(p_cap[k]) as cap
        from generate_series(elo, ehi) k group by 1
    ), moved as (
        insert into budget as b (scope, held_nanos, posted_nanos, seq, position)
        select p_scope[scope_index], effect.held, effect.posted, touches, base + last_event - lo + 1
        from effect order by scope_index
        on conflict (scope) do update set
            held_nanos = b.held_nanos + excluded.held_nanos,
            posted_nanos = b.posted_nanos + excluded.posted_nanos,
            seq = b.seq + excluded.seq,
            position = excluded.position
        returning scope, held_nanos, posted_nanos, seq, position
    )
    -- p_scope ascends, so both orders are the same and no join is needed.
    select array_agg(held_nanos order by scope), array_agg(posted_nanos order by scope),
           array_agg(position order by scope), array_agg(seq order by scope),
           (select array_agg(scope_index order by scope_index) from effect),
           (select array_agg(cap order by scope_index) from effect)
    into held, posted, touched_at, seqs, scopes, caps
    from moved;

    select min(scopes[i]) filter (where h - p > cap),
           bool_or(h < 0 or greatest(h, abs(p)) > 4000000000000000000)
    into short_scope, is_out_of_range
    from unnest(held, posted, caps) with ordinality as u (h, p, cap, i);
    -- Not a table constraint: that would also judge the row an upsert proposes.
    if is_out_of_range then
        raise exception 'a balance would leave its range' using errcode = 'TG003';
    end if;
    if short_scope is not null then
        raise exception 'over budget' using errcode = 'TG002', detail = short_scope::text;
    end if;

    if cardinality(scopes) = cardinality(p_scope) then
        seq_after := seqs;
    elsif scopes is not null then
        for i in 1..cardinality(scopes) loop seq_after[scopes[i]] := seqs[i]; end loop;
    end if;

    insert into event (originator_id, originator_version, topic, state, position, recorded_at,
                       account_id, account_seq, leaf)
    select stream, version, topic, state, position, at, account, seq,
           sha256('\x00'::bytea
               || '\x00000008'::bytea || int8send(position)
               || '\x00000010'::bytea || uuid_send(stream)
               || '\x00000008'::bytea || int8send(version)
               || '\x00000008'::bytea || int8send(at_us)
               || case when account is null then '\x0000000000000000'::bytea
                  else '\x00000010'::bytea || uuid_send(account) || '\x00000008'::bytea || int8send(seq) end
               || int4send(octet_length(topic)) || convert_to(topic, 'UTF8')
               || int4send(octet_length(state)) || state)
    from (
        select p_stream[i] as stream, p_version[i] as version, p_topic[i] as topic, p_state[i] as state,
               base + i - lo + 1 as position, p_account[i] as account,
               case when p_account[i] is null then null
               else seq_after[p_account_scope[i]] + 1
                    - row_number() over (partition by p_account_scope[i] order by i desc) end as seq
        from generate_series(lo, hi) i
    ) numbered;
end $$;

-- Appends groups of events: each group whole or not at all, its neighbours untouched.
--
-- p_group gives the group (1..n, ascending) of each event, p_event the event of each effect. All
-- groups without a cap come before those with one, so that releases make room for holds. p_scope
-- are the distinct scopes in ascending order, so that no two appends wait for each other in a ring.
--
-- status per group: 0 stored, 1 the very same bytes were stored before (positions are theirs),
--   2 conflict, 3 over budget, 4 out of range.
-- held, posted, touched_at: the scopes' balances now, null where nothing is known of a scope.
-- short: (group, scope index, available, needed) for every group with status 3, flattened.
create function ledger.append_events(
    p_stream uuid[], p_version bigint[], p_topic text[], p_state bytea[],
    p_account uuid[], p_account_scope int[], p_group int[],
    p_scope uuid[], p_event int[], p_effect_scope int[], p_held bigint[], p_posted bigint[], p_cap bigint[],
    p_has_configuration boolean,
    out status int[], out positions bigint[], out held bigint[], out posted bigint[],
    out touched_at bigint[], out short bigint[], out stored_at timestamptz
) language plpgsql security definer set search_path = ledger, pg_temp as $$
declare
    n int := cardinality(p_stream);
    groups int := p_group[n];
    base bigint;
    lo int := 1; hi int; elo int := 1; ehi int;
    same int; is_taken boolean; earlier bigint[];
    scope_index int; detail text; used bigint; cap bigint; needed bigint;
begin
    update head set position = position + n, recorded_at = greatest(recorded_at, clock_timestamp())
    returning position - n, recorded_at into base, stored_at;
    begin
        select s.held, s.posted, s.touched_at into held, posted, touched_at
        from append_slice(base, stored_at, p_stream, p_version, p_topic, p_state, p_account,
                          p_account_scope, p_scope, p_event, p_effect_scope, p_held, p_posted, p_cap,
                          1, n, 1, cardinality(p_event)) s;
        status := array_fill(0, array[groups]);
        positions := array(select base + i from generate_series(1, n) i);
        perform pg_notify('ledger_event', '');
        if p_has_configuration then perform pg_notify('ledger_configuration', ''); end if;
        return;
    exception when unique_violation or numeric_value_out_of_range
                   or sqlstate 'TG001' or sqlstate 'TG002' or sqlstate 'TG003' then
        null;  -- something in the batch does not fit: go group by group
    end;

    status := array_fill(0, array[groups]);
    positions := array_fill(null::bigint, array[n]);
    short := '{}';
    for g in 1..groups loop
        hi := lo; while hi < n and p_group[hi + 1] = g loop hi := hi + 1; end loop;
        ehi := elo - 1;
        while ehi < cardinality(p_event) and p_event[ehi + 1] <= hi loop ehi := ehi + 1; end loop;
        -- Judged before the money: what was stored before has moved the budgets already, and need
        -- not fit a second time.
        select count(*) filter (where e.topic = p_topic[i] and e.state = p_state[i]),
               array_agg(e.position order by i),
               bool_or(e.position is not null or p_topic[i] in ('charge.UsageSettled.v1', 'charge.RefundIssued.v1')
                       and exists (select from event c where c.originator_id = p_stream[i] and c.topic
                                   in ('charge.UsageSettled.v1', 'charge.RefundIssued.v1')))
        into same, earlier, is_taken
        from generate_series(lo, hi) i
        left join event e on e.originator_id = p_stream[i] and e.originator_version = p_version[i];
        if same = hi - lo + 1 then
            status[g] := 1;
            positions[lo:hi] := earlier;
        elsif is_taken then
            status[g] := 2;
        else
            begin
                perform append_slice(base, stored_at, p_stream, p_version, p_topic, p_state, p_account,
                                     p_account_scope, p_scope, p_event, p_effect_scope, p_held, p_posted,
                                     p_cap, lo, hi, elo, ehi);
                for i in lo..hi loop positions[i] := base + i - lo + 1; end loop;
                base := base + hi - lo + 1;
            exception
                when unique_violation or sqlstate 'TG001' then
                    status[g] := 2;
                when sqlstate 'TG002' then
                    get stacked diagnostics detail = pg_exception_detail;
                    scope_index := detail::int;
                    select coalesce(sum(b.held_nanos - b.posted_nanos), 0) into used
                    from budget b where b.scope = p_scope[scope_index];
                    select sum(p_held[k] - p_posted[k]), min(p_cap[k]) into needed, cap
                    from generate_series(elo, ehi) k where p_effect_scope[k] = scope_index;
                    status[g] := 3;
                    short := short || array[g, scope_index, cap - used, needed]::bigint[];
                when sqlstate 'TG003' or numeric_value_out_of_range then
                    status[g] := 4;
            end;
        end if;
        lo := hi + 1;
        elo := ehi + 1;
    end loop;
    update head set position = base;
    select array_agg(b.held_nanos order by i), array_agg(b.posted_nanos order by i),
           array_agg(b.position order by i)
    into held, posted, touched_at
    from generate_series(1, cardinality(p_scope)) i left join budget b on b.scope = p_scope[i];
    perform pg_notify('ledger_event', '');
    if p_has_configuration then perform pg_notify('ledger_configuration', ''); end if;
end $$;
revoke all on function ledger.append_events, ledger.append_slice from public;

-- The library's view of the log: its recorder and notification log read from here.
create view ledger.stored_events as
    select originator_id, originator_version, topic, state, position as notification_id from ledger.event;
