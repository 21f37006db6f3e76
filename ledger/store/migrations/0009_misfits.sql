-- A batch in which something does not fit is judged at one pass and stored at one more, instead of
-- group by group: a flood of holds that nobody can pay for must not slow its neighbours down.

-- Judges each group of a batch as the append function would, in their order: 0 it fits, 1 stored
-- before, 2 conflict, 3 over budget. A range, which only storing can tell, is not looked for; no two
-- groups may be of one stream. `earlier` are the positions of events that
-- were stored before; `short` as in append_events. The caller holds the head, so nothing moves.
create function ledger.judge(
    p_stream uuid[], p_version bigint[], p_topic text[], p_state bytea[], p_group int[],
    p_scope uuid[], p_event int[], p_effect_scope int[], p_held bigint[], p_posted bigint[], p_cap bigint[],
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
                       when bool_or(position is not null or is_closed or is_ahead) then 2 else 0 end as status
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

-- Stores the groups of a batch that were judged to fit, as positions base+1.. ; the positions of
-- their events, null for all others. Raises as append_slice does.
create function ledger.append_fitting(
    base bigint, at timestamptz,
    p_stream uuid[], p_version bigint[], p_topic text[], p_state bytea[],
    p_account uuid[], p_account_scope int[], p_group int[],
    p_scope uuid[], p_event int[], p_effect_scope int[], p_held bigint[], p_posted bigint[], p_cap bigint[],
    p_status int[],
    out positions bigint[], out n int
) language plpgsql set search_path = ledger, pg_temp as $$
declare
    place int[];  -- of each event among those that are stored
    streams uuid[]; versions bigint[]; topics text[]; states bytea[]; accounts uuid[]; account_scopes int[];
    events int[]; effect_scopes int[]; helds bigint[]; posteds bigint[]; caps bigint[];
begin
    select array_agg(case when fits then rank end order by i) into place
    from (select i, p_status[g] = 0 as fits,
                 sum(case when p_status[g] = 0 then 1 else 0 end) over (order by i)::int as rank
          from unnest(p_group) with ordinality as t (g, i)) ranked;
    select array_agg(stream order by i), array_agg(version order by i), array_agg(topic order by i),
           array_agg(state order by i), array_agg(account order by i), array_agg(account_scope order by i)
    into streams, versions, topics, states, accounts, account_scopes
    from unnest(p_stream, p_version, p_topic, p_state, p_account, p_account_scope, place) with ordinality
         as t (stream, version, topic, state, account, account_scope, place, i)
    where t.place is not null;
    select array_agg(place[event] order by k), array_agg(effect_scope order by k), array_agg(held order by k),
           array_agg(posted order by k), array_agg(cap order by k)
    into events, effect_scopes, helds, posteds, caps
    from unnest(p_event, p_effect_scope, p_held, p_posted, p_cap) with ordinality
         as t (event, effect_scope, held, posted, cap, k)
    where place[event] is not null;
    n := coalesce(cardinality(streams), 0);
    if n > 0 then
        perform append_slice(base, at, streams, versions, topics, states, accounts, account_scopes, p_scope,
                             events, effect_scopes, helds, posteds, caps,
                             1, n, 1, coalesce(cardinality(events), 0));
    end if;
    positions := array(select base + p from unnest(place) with ordinality as t (p, i) order by i);
end $$;

-- Stores a batch group by group, as positions base+1.. : for groups that meddle with each other.
create function ledger.append_by_group(
    base bigint, at timestamptz,
    p_stream uuid[], p_version bigint[], p_topic text[], p_state bytea[],
    p_account uuid[], p_account_scope int[], p_group int[],
    p_scope uuid[], p_event int[], p_effect_scope int[], p_held bigint[], p_posted bigint[], p_cap bigint[],
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

-- As before, with the second pass between the first, for a batch that fits as a whole, and the
-- last, group by group, for one in which groups meddle with each other.
create or replace function ledger.append_events(
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
    stored int;
    earlier bigint[];
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
        null;  -- something in the batch does not fit: find out what, and store the rest
    end;

    -- Where groups are of one stream, what becomes of one decides about another.
    if not exists (select from unnest(p_stream, p_group) as t (stream, g)
                   group by stream having min(g) < max(g)) then
        begin
            select j.status, j.earlier, j.short into status, earlier, short
            from judge(p_stream, p_version, p_topic, p_state, p_group, p_scope, p_event, p_effect_scope,
                       p_held, p_posted, p_cap) j;
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
                             p_cap) g;
    end if;
    update head set position = base + stored;
    select array_agg(b.held_nanos order by i), array_agg(b.posted_nanos order by i),
           array_agg(b.position order by i)
    into held, posted, touched_at
    from generate_series(1, cardinality(p_scope)) i left join budget b on b.scope = p_scope[i];
    perform pg_notify('ledger_event', '');
    if p_has_configuration then perform pg_notify('ledger_configuration', ''); end if;
end $$;
revoke all on function ledger.judge, ledger.append_fitting, ledger.append_by_group from public;
