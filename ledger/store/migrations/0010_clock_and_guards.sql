-- A clock that jumps takes no money and makes no time: what it says is believed as long as it is
-- within an hour of what was believed last. Beyond that no hold is stored (its windows and prices
-- would be of another day), while closings, credits and all else are, at the last time believed.

-- Written with every append, by `pass_time` while there is none, and by `believe_clock` at a start.
alter table ledger.head add column believed_at timestamptz not null default clock_timestamp();

create function ledger.is_near(one timestamptz, other timestamptz) returns boolean
language sql stable as $$ select one between other - interval '1 hour' and other + interval '1 hour' $$;

-- Told every minute or so by a node that was up all the while: `expected`, by a clock of its own that
-- does not jump, is what the time should be. Whether the clock is believed, and what it says.
create function ledger.pass_time(expected timestamptz, out is_believed boolean, out now timestamptz)
language plpgsql security definer set search_path = ledger, pg_temp as $$
begin
    now := clock_timestamp();
    update head set believed_at = pass_time.now
    where is_near(pass_time.now, believed_at) or is_near(pass_time.now, expected);
    is_believed := found;
end $$;

-- At a start, which somebody asked for: the clock is right, whatever it says. `recorded_at`: the log's
-- own, which may be ahead of it, and then stands still until it is reached.
create function ledger.believe_clock(out now timestamptz, out recorded_at timestamptz)
language plpgsql security definer set search_path = ledger, pg_temp as $$
begin
    now := clock_timestamp();
    update head set believed_at = believe_clock.now
    returning head.recorded_at into believe_clock.recorded_at;
end $$;

-- A guard is the version of a stream by which something outside of it was decided: a hold by its
-- model's prices. A group whose guard has moved on is refused, to be decided again: 6.

drop function ledger.judge(
    uuid[], bigint[], text[], bytea[], int[], uuid[], int[], int[], bigint[], bigint[], bigint[]);

-- As before, but for `p_outdated`, the groups whose guard has moved on.
create function ledger.judge(
    p_stream uuid[], p_version bigint[], p_topic text[], p_state bytea[], p_group int[],
    p_scope uuid[], p_event int[], p_effect_scope int[], p_held bigint[], p_posted bigint[], p_cap bigint[],
    p_outdated int[],
    out status int[], out earlier bigint[], out short bigint[]
) language plpgsql set search_path = ledger, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    effects int := cardinality(p_event);
    used bigint[];
    elo int := 1; ehi int; hi int := 0;
    short_scope int; needed bigint; cap bigint;
begin
    with asked as (
        select g, i, e.position, e.topic = t.topic and e.state = t.state as is_same,
               t.topic in ('charge.UsageSettled.v1', 'charge.RefundIssued.v1')
               and exists (select from event c where c.originator_id = t.stream and c.topic
                           in ('charge.UsageSettled.v1', 'charge.RefundIssued.v1')) as is_closed,
               t.version > 1
               and not exists (select from event b where b.originator_id = t.stream
                                                     and b.originator_version = t.version - 1)
               and not exists (select from generate_series(1, i - 1) j
                               where p_stream[j] = t.stream and p_version[j] = t.version - 1) as is_ahead
        from unnest(p_stream, p_version, p_topic, p_state, p_group) with ordinality
             as t (stream, version, topic, state, g, i)
        left join event e on e.originator_id = t.stream and e.originator_version = t.version
    ), judged as (
        select g, case when count(*) filter (where is_same) = count(*) then 1
                       when bool_or(position is not null or is_closed or is_ahead) then 2
                       when g = any(p_outdated) then 6 else 0 end as status
        from asked group by g
    )
    select (select array_agg(judged.status order by g) from judged),
           (select array_agg(position order by i) from asked)
    into status, earlier;

    select array_agg(coalesce(b.held_nanos - b.posted_nanos, 0) order by i) into used
    from unnest(p_scope) with ordinality as s (scope, i) left join budget b on b.scope = s.scope;

    short := '{}';
    for g in 1..cardinality(status) loop
        while hi < cardinality(p_group) and p_group[hi + 1] = g loop hi := hi + 1; end loop;
        ehi := elo - 1;
        while ehi < effects and p_event[ehi + 1] <= hi loop ehi := ehi + 1; end loop;
        if status[g] = 0 then
            for k in elo..ehi loop
                used[p_effect_scope[k]] := used[p_effect_scope[k]] + p_held[k] - p_posted[k];
            end loop;
            short_scope := null;
            for k in elo..ehi loop
                if used[p_effect_scope[k]] > p_cap[k] then
                    short_scope := least(short_scope, p_effect_scope[k]);
                end if;
            end loop;
            if short_scope is not null then
                needed := 0; cap := null;
                for k in elo..ehi loop
                    used[p_effect_scope[k]] := used[p_effect_scope[k]] - p_held[k] + p_posted[k];
                    if p_effect_scope[k] = short_scope then
                        needed := needed + p_held[k] - p_posted[k];
                        cap := least(cap, p_cap[k]);
                    end if;
                end loop;
                status[g] := 3;
                short := short || array[g, short_scope, cap - used[short_scope], needed]::bigint[];
            end if;
        end if;
        elo := ehi + 1;
    end loop;
end $$;

drop function ledger.append_by_group(
    bigint, timestamptz, uuid[], bigint[], text[], bytea[], uuid[], int[], int[], uuid[], int[], int[],
    bigint[], bigint[], bigint[]);

-- As before, but where no holds are taken, a group with one that closes no charge is refused: 5;
-- and outdated groups: 6.
create function ledger.append_by_group(
    base bigint, at timestamptz,
    p_stream uuid[], p_version bigint[], p_topic text[], p_state bytea[],
    p_account uuid[], p_account_scope int[], p_group int[],
    p_scope uuid[], p_event int[], p_effect_scope int[], p_held bigint[], p_posted bigint[], p_cap bigint[],
    p_takes_holds boolean, p_outdated int[],
    out status int[], out positions bigint[], out short bigint[], out stored int
) language plpgsql set search_path = ledger, pg_temp as $$
declare
    n int := cardinality(p_stream);
    groups int := p_group[n];
    lo int := 1; hi int; elo int := 1; ehi int;
    same int; is_taken boolean; earlier bigint[];
    scope_index int; detail text; used bigint; cap bigint; needed bigint;
begin
    stored := 0;
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
        elsif not p_takes_holds and 'charge.QuotaReserved.v1' = any(p_topic[lo:hi])
              and not p_topic[lo:hi] && array['charge.UsageSettled.v1', 'charge.RefundIssued.v1'] then
            status[g] := 5;
        elsif g = any(p_outdated) then
            status[g] := 6;
        else
            begin
                perform append_slice(base + stored, at, p_stream, p_version, p_topic, p_state, p_account,
                                     p_account_scope, p_scope, p_event, p_effect_scope, p_held, p_posted,
                                     p_cap, lo, hi, elo, ehi);
                for i in lo..hi loop positions[i] := base + stored + i - lo + 1; end loop;
                stored := stored + hi - lo + 1;
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
end $$;

drop function ledger.append_events(
    uuid[], bigint[], text[], bytea[], uuid[], int[], int[], uuid[], int[], int[], bigint[], bigint[],
    bigint[], boolean);

-- As before, but by a clock that is believed, and with guards: `p_guard` is the guard of each group,
-- null where it has none.
create function ledger.append_events(
    p_stream uuid[], p_version bigint[], p_topic text[], p_state bytea[],
    p_account uuid[], p_account_scope int[], p_group int[],
    p_scope uuid[], p_event int[], p_effect_scope int[], p_held bigint[], p_posted bigint[], p_cap bigint[],
    p_has_configuration boolean,
    p_guard_stream uuid[], p_guard_version bigint[], p_guard int[],
    out status int[], out positions bigint[], out held bigint[], out posted bigint[],
    out touched_at bigint[], out short bigint[], out stored_at timestamptz
) language plpgsql security definer set search_path = ledger, pg_temp as $$
declare
    n int := cardinality(p_stream);
    groups int := p_group[n];
    base bigint;
    stored int;
    earlier bigint[];
    now timestamptz := clock_timestamp();
    is_believed boolean;
    is_whole boolean;
    old int[] := '{}';
begin
    update head set position = position + n,
        believed_at = case when is_near(now, believed_at) then now else believed_at end,
        recorded_at = greatest(recorded_at, case when is_near(now, believed_at) then now else believed_at end)
    returning position - n, recorded_at, believed_at = now into base, stored_at, is_believed;
    for i in 1..cardinality(p_guard_stream) loop
        perform from event where originator_id = p_guard_stream[i] and originator_version = p_guard_version[i] + 1;
        if found or p_guard_stream[i] = any(p_stream) then
            old := old || array(select g::int from unnest(p_guard) with ordinality t (guard, g) where guard = i);
        end if;
    end loop;
    is_whole := is_believed and old = '{}';
    if is_whole then begin
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
        null;  -- something in the batch does not fit: find out what, and store the rest
    end; end if;

    -- Where groups are of one stream, what becomes of one decides about another.
    if is_believed and not exists (select from unnest(p_stream, p_group) as t (stream, g)
                   group by stream having min(g) < max(g)) then
        begin
            select j.status, j.earlier, j.short into status, earlier, short
            from judge(p_stream, p_version, p_topic, p_state, p_group, p_scope, p_event, p_effect_scope,
                       p_held, p_posted, p_cap, old) j;
            select f.positions, f.n into positions, stored
            from append_fitting(base, stored_at, p_stream, p_version, p_topic, p_state, p_account,
                                p_account_scope, p_group, p_scope, p_event, p_effect_scope, p_held,
                                p_posted, p_cap, status) f;
            for i in 1..n loop
                if status[p_group[i]] = 1 then positions[i] := earlier[i]; end if;
            end loop;
        exception when unique_violation or numeric_value_out_of_range
                       or sqlstate 'TG001' or sqlstate 'TG002' or sqlstate 'TG003' then
            stored := null;
        end;
    end if;
    if stored is null then
        select g.status, g.positions, g.short, g.stored into status, positions, short, stored
        from append_by_group(base, stored_at, p_stream, p_version, p_topic, p_state, p_account,
                             p_account_scope, p_group, p_scope, p_event, p_effect_scope, p_held, p_posted,
                             p_cap, is_believed, old) g;
    end if;
    update head set position = base + stored;
    select array_agg(b.held_nanos order by i), array_agg(b.posted_nanos order by i),
           array_agg(b.position order by i)
    into held, posted, touched_at
    from generate_series(1, cardinality(p_scope)) i left join budget b on b.scope = p_scope[i];
    perform pg_notify('ledger_event', '');
    if p_has_configuration then perform pg_notify('ledger_configuration', ''); end if;
end $$;
revoke all on function ledger.judge, ledger.append_by_group, ledger.append_events,
    ledger.pass_time, ledger.believe_clock from public;
