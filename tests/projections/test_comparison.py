"""Comparing names the account and the first event from which on the served row is wrong."""

import random
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from msgspec.structs import replace

from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from projections import replay, side_by_side
from projections.batches import LogBroken, ProjectionStopped
from projections.comparison import EVERY_ROW, Difference, compare
from projections.contract import STRETCH, Key, Projection, Table
from projections.generations import read_served, schema_name
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from projections.storage import Changes, TableStore, connect
from projections.views import accounts, groups, open_charges, request_log
from tests.builders import LawfulLog
from tests.projections.conftest import Books
from tests.projections.driving import run_to_head


def events(books: Books) -> list[Recorded]:
    cursor = books.connection.execute(
        f"select {RECORDED_COLUMNS} from ledger.event order by position".encode(), binary=True
    )
    return [recorded(row) for row in cursor.fetchall()]


def history(table: Table, key: Key, log: list[Recorded]) -> list[tuple[int, Any]]:
    """(position, state after it) of every event that touches the row, behind (0, no row)."""
    state, states = None, [(0, None)]
    for event in log:
        if type(event.event) in table.events and key in table.touches(event):
            state = table.fold(key, state, [event])
            states.append((event.position, state))
    return states


def plain(row: Any) -> Any:  # noqa: ANN401 - any row
    """A row whose documents are compared by what they say."""
    if row is None:
        return None
    return [
        msgspec.json.decode(value) if isinstance(value, str) and value[:1] in ("[", "{") else value
        for value in msgspec.structs.astuple(row)
    ]


def expected(states: list[tuple[int, Any]], served: Any) -> int | None:  # noqa: ANN401 - any row
    """The definition, word for word."""
    if len(states) == 1:
        return None
    whole = [n for n, (_, state) in enumerate(states) if plain(state) == plain(served)]
    if whole:
        return states[whole[-1] + 1][0]
    final = plain(states[-1][1])
    if served is None or final is None:
        return states[1][0]
    first = []
    for column, value in enumerate(plain(served)):
        if value == final[column]:
            continue
        same = [n for n, (_, s) in enumerate(states) if s is not None and plain(s)[column] == value]
        first.append(states[same[-1] + 1][0] if same else states[1][0])
    return min(first)


def store(books: Books, projection: Projection, rows: list[Any]) -> None:
    """Put rows in place of the served ones."""
    with connect(books.dsn) as connection:
        served = read_served(connection, projection.name)
        assert served is not None
        schema = schema_name(projection, served.generation)
        TableStore(projection.tables[0], schema).write(connection, Changes([], rows, []))


def found(books: Books, projection: Projection, limit: int = 100) -> dict[str, Difference]:
    return {each.key: each for each in compare(books.dsn, projection, limit)}


def test_a_row_that_was_left_behind_names_the_first_event_it_does_not_show(books: Books) -> None:
    log = LawfulLog(books.connection, seed=1)
    log.grow(400)
    before = len(events(books))
    log.grow(400)
    run_to_head(books.dsn, books.connection)
    victim = log.accounts[2]
    states = history(accounts.TABLE, (victim,), events(books))
    old = [state for position, state in states if position <= before][-1]
    store(books, accounts.PROJECTION, [old])
    (difference,) = compare(books.dsn, accounts.PROJECTION)
    assert difference.account_id == victim
    assert difference.first_divergent == next(at for at, _ in states if at > before)
    told = {column.name: column for column in difference.columns}
    assert told["position"].served == str(old.position)
    assert told["position"].replayed == str(states[-1][0])
    rebuild(books.dsn, accounts.PROJECTION)
    assert compare(books.dsn, accounts.PROJECTION) == []


def test_a_single_column_names_the_event_that_moved_it(books: Books) -> None:
    log = LawfulLog(books.connection, seed=2)
    log.grow(500)
    run_to_head(books.dsn, books.connection)
    victim = log.accounts[1]
    states = history(accounts.TABLE, (victim,), events(books))
    final = states[-1][1]
    middle = states[len(states) // 2][1]
    assert middle.charged_nanos != final.charged_nanos
    store(books, accounts.PROJECTION, [replace(final, charged_nanos=middle.charged_nanos)])
    (difference,) = compare(books.dsn, accounts.PROJECTION)
    assert [column.name for column in difference.columns] == ["charged_nanos"]
    same = [n for n, (_, s) in enumerate(states) if s and s.charged_nanos == middle.charged_nanos]
    assert difference.first_divergent == states[same[-1] + 1][0]


def test_a_value_the_row_never_had_is_wrong_from_its_first_event(books: Books) -> None:
    log = LawfulLog(books.connection, seed=3)
    log.grow(200)
    run_to_head(books.dsn, books.connection)
    victim = log.accounts[4]
    states = history(accounts.TABLE, (victim,), events(books))
    store(books, accounts.PROJECTION, [replace(states[-1][1], posted_nanos=-1)])
    (difference,) = compare(books.dsn, accounts.PROJECTION)
    assert difference.first_divergent == states[1][0]


def test_a_missing_row_a_stale_one_and_an_invented_one(books: Books) -> None:
    log = LawfulLog(books.connection, seed=4)
    log.grow(300)
    run_to_head(books.dsn, books.connection)
    everything = events(books)
    closed = books.connection.execute(
        "select charge_id, position from projections.request_log limit 1"
    ).fetchone()
    opened = books.connection.execute(
        "select charge_id, position from projections.open_charges limit 1"
    ).fetchone()
    assert closed is not None
    assert opened is not None
    states = history(open_charges.TABLE, (closed[0],), everything)
    assert states[-1][1] is None
    books.connection.execute(
        "delete from view_open_charges_1.open_charges where charge_id = %s", (opened[0],)
    )
    invented = replace(states[-2][1], charge_id=UUID(int=1))
    store(books, open_charges.PROJECTION, [states[-2][1], invented])
    told = found(books, open_charges.PROJECTION)
    assert told[str(closed[0])].first_divergent == states[-1][0]
    assert told[str(closed[0])].replayed is None
    first = history(open_charges.TABLE, (opened[0],), everything)[1][0]
    assert told[str(opened[0])].first_divergent == first
    assert told[str(opened[0])].served is None
    assert told[str(UUID(int=1))].first_divergent is None
    assert told[str(UUID(int=1))].account_id == invented.account_id
    assert len(told) == 3


def test_any_damage_is_dated_as_the_definition_says(books: Books) -> None:
    """Rows of several read models, each set back as a whole, in part, or to anything."""
    chance = random.Random(5)
    LawfulLog(books.connection, seed=5).grow(400)
    run_to_head(books.dsn, books.connection)
    log = events(books)
    for projection in (accounts.PROJECTION, request_log.PROJECTION, groups.PROJECTION):
        table = projection.tables[0]
        damaged: dict[Key, Any] = {}
        for key in sorted(
            {k for e in log if type(e.event) in table.events for k in table.touches(e)}
        )[:12]:
            states = history(table, key, log)
            damaged[key] = _damage(chance, table, [state for _, state in states if state])
        store(books, projection, list(damaged.values()))
        told = found(books, projection)
        for key, row in damaged.items():
            states = history(table, key, log)
            difference = told.get(", ".join(map(str, key)))
            if plain(row) == plain(states[-1][1]):
                assert difference is None
            else:
                assert difference is not None
                assert difference.first_divergent == expected(states, row)


def _damage(chance: random.Random, table: Table, states: list[Any]) -> Any:  # noqa: ANN401
    """Another state of a row: an earlier one, or the last with some of its columns set back."""
    earlier = chance.choice(states)
    if chance.random() < 0.4:
        return earlier
    names = [name for name in table.row.__struct_fields__ if name not in table.key]
    some = chance.sample(names, chance.randrange(1, 4))
    changed = {name: getattr(earlier, name) for name in some}
    if chance.random() < 0.3 and "position" in names:
        changed["position"] = 10**9
    return replace(states[-1], **changed)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows leave memory all the time, and come back."""
    monkeypatch.setattr(replay, "ROWS_MAX", 12)
    monkeypatch.setattr(replay, "_BATCH_EVENTS", 50)
    monkeypatch.setattr(replay, "_ROWS_PER_WRITE", 5)


@pytest.mark.usefixtures("little_memory")
def test_a_replay_in_little_memory_gives_the_same_rows(books: Books) -> None:
    log = LawfulLog(books.connection, seed=6, accounts=30)
    log.grow(3_000)
    run_to_head(books.dsn, books.connection)
    before = {each.name: images(books, each) for each in PROJECTIONS}
    for projection in PROJECTIONS:
        rebuild(books.dsn, projection)
        assert images(books, projection) == before[projection.name]
        assert compare(books.dsn, projection) == []


LYING = [
    "create or replace view projections.accounts as select * from view_accounts_1.accounts "
    "where posted_nanos > 0",
    "alter table view_accounts_1.accounts rename to kept; "
    "create view view_accounts_1.accounts as select * from view_accounts_1.kept; "
    "create or replace view projections.accounts as select * from view_accounts_1.accounts",
    "alter table view_accounts_1.accounts enable row level security; "
    "alter table view_accounts_1.accounts force row level security; "
    "create policy all_of_it on view_accounts_1.accounts using (true)",
    "create table public.more () inherits (view_accounts_1.accounts)",
    "drop view projections.accounts",
    "drop view projections.accounts; "
    "create table projections.accounts as select * from view_accounts_1.accounts",
]


@pytest.mark.parametrize("lie", LYING)
def test_t4_what_is_read_instead_of_the_rows_is_told(books: Books, lie: str) -> None:
    LawfulLog(books.connection, seed=12).grow(100)
    run_to_head(books.dsn, books.connection)
    rebuild(books.dsn, groups.PROJECTION)
    assert [compare(books.dsn, each) for each in PROJECTIONS] == [[] for _ in PROJECTIONS]
    with psycopg.connect(books.owner_dsn, autocommit=True) as owner:
        owner.execute("grant create on schema public to public")
    books.connection.execute(lie.encode())
    (difference,) = compare(books.dsn, accounts.PROJECTION)
    assert (difference.table, difference.key) == ("accounts", EVERY_ROW)
    assert difference.served != difference.replayed
    assert "FROM view_accounts_1.accounts" in str(difference.replayed)


def images(books: Books, projection: Projection) -> list[list[str]]:
    """All rows of a projection, as Postgres writes them."""
    found = []
    for table in projection.tables:
        rows = books.connection.execute(
            f"select t::text from projections.{table.name} t order by 1".encode()
        )
        found.append([row[0] for row in rows.fetchall()])
    return found


def test_progress_never_goes_back_and_ends_at_its_total(books: Books) -> None:
    LawfulLog(books.connection, seed=7).grow(3_000)
    run_to_head(books.dsn, books.connection)
    for work in (rebuild, compare):
        told: list[tuple[int, int]] = []

        def note(done: int, total: int, told: list[tuple[int, int]] = told) -> None:
            told.append((done, total))

        work(books.dsn, request_log.PROJECTION, progress=note)
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        assert told[-1][0] == told[-1][1] == len(events(books))


class _EnoughError(Exception):
    pass


def test_whoever_watches_can_stop_it_and_nothing_is_left_behind(books: Books) -> None:
    def stop(_done: int, _total: int) -> None:
        raise _EnoughError

    LawfulLog(books.connection, seed=8).grow(3_000)
    run_to_head(books.dsn, books.connection)
    for work in (rebuild, compare):
        with pytest.raises(_EnoughError):
            work(books.dsn, request_log.PROJECTION, progress=stop)
        rows = books.connection.execute(
            "select nspname from pg_namespace where nspname like 'view_request_log_%'"
        ).fetchall()
        assert rows == [("view_request_log_1",)]
    rebuild(books.dsn, request_log.PROJECTION)


@pytest.fixture
def split(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a short log is folded by several processes."""
    monkeypatch.setattr(side_by_side, "WORTH_SPLITTING_EVENTS", 1)


@pytest.mark.usefixtures("split")
def test_parts_folded_side_by_side_give_the_same_rows(books: Books) -> None:
    log = LawfulLog(books.connection, seed=9, accounts=20)
    log.grow(3_000)
    run_to_head(books.dsn, books.connection)
    split = [each for each in PROJECTIONS if each.rows_are_of is not None]
    assert {each.rows_are_of for each in split} == {"stream", "account", "stretch"}
    for projection in split:
        before = images(books, projection)
        told: list[int] = []

        def note(done: int, _total: int, told: list[int] = told) -> None:
            told.append(done)

        rebuilt = rebuild(books.dsn, projection, note)
        assert images(books, projection) == before
        assert told == sorted(told)
        assert told[-1] == rebuilt.position
    log.grow(200)
    run_to_head(books.dsn, books.connection)
    for projection in split:
        assert compare(books.dsn, projection) == []


def test_only_rows_of_one_stream_or_account_are_split_by_it(books: Books) -> None:
    """What a projection says of itself, on every event of a lawful log."""
    LawfulLog(books.connection, seed=10).grow(1_000)
    for projection in PROJECTIONS:
        if projection.rows_are_of is None:
            continue
        for table in projection.tables:
            owners: dict[Key, object] = {}
            for event in events(books):
                if type(event.event) not in table.events:
                    continue
                owner = {
                    "stream": event.stream_id,
                    "account": event.account_id,
                    "stretch": (event.position - 1) // STRETCH,
                }[projection.rows_are_of]
                assert owner is not None
                for key in table.touches(event):
                    assert owners.setdefault(key, owner) == owner


@pytest.mark.usefixtures("split")
def test_a_log_that_cannot_be_folded_stops_all_parts_at_the_event(books: Books) -> None:
    LawfulLog(books.connection, seed=11).grow(3_000)
    run_to_head(books.dsn, books.connection)
    with psycopg.connect(books.owner_dsn, autocommit=True) as owner:
        owner.execute("alter table ledger.event disable trigger append_only")
        row = owner.execute(
            "update ledger.event set state = '{' where position = "
            "(select max(position) from ledger.event where topic = 'charge.UsageSettled.v1'"
            " and position < 2000) returning position"
        ).fetchone()
        assert row is not None
        with pytest.raises(ProjectionStopped, match=f"before position {row[0]}:"):
            rebuild(books.dsn, request_log.PROJECTION)
        owner.execute("delete from ledger.event where position = 1500")
        with pytest.raises(LogBroken):
            rebuild(books.dsn, accounts.PROJECTION)
    rows = books.connection.execute(
        "select nspname from pg_namespace where nspname like 'view_%_2'"
    ).fetchall()
    assert rows == []
