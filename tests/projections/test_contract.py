"""What every registered projection has to be, and how its rows travel to the database and back."""

import dataclasses
from collections.abc import Hashable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from ledger.codec import encode
from ledger.ids import entity_id
from ledger.store.reader import Recorded
from ledger.streams.group import GroupSet
from projections.contract import Json, Key, Projection, Row, Table, document, one_by_one
from projections.folding import FoldedTable, RowCache, fold
from projections.registry import PROJECTIONS
from projections.storage import Changes, TableStore, connect
from tests.builders import GROUPS
from tests.projections.conftest import Books

TABLES = [table for projection in PROJECTIONS for table in projection.tables]


class EveryType(Row, frozen=True):
    """A column of every type, and one that may be null of each."""

    key: UUID
    number: int
    text: str
    flag: bool
    moment: datetime
    json: Json
    numbers: tuple[int, ...]
    no_key: UUID | None = None
    no_number: int | None = None
    no_text: str | None = None
    no_flag: bool | None = None
    no_moment: datetime | None = None
    no_json: Json | None = None
    no_numbers: tuple[int, ...] | None = None


def nothing(event: Recorded) -> tuple[Key, ...]:  # noqa: ARG001
    return ()


EVERY_TYPE = Table("every_type", EveryType, ("key",), (), nothing, lambda _key, row, _event: row)


def sample(**changes: object) -> EveryType:
    row = EveryType(
        entity_id(),
        -(2**62),
        "ünicode \\ \" ' , {} \n",
        True,
        datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=UTC),
        Json('{"a": "\\\\", "b": [1, null]}'),
        (3, -1),
    )
    return EveryType(**{name: getattr(row, name) for name in row.__struct_fields__} | changes)


def test_no_two_projections_share_a_name_or_a_table() -> None:
    assert len({projection.name for projection in PROJECTIONS}) == len(PROJECTIONS)
    assert len({table.name for table in TABLES}) == len(TABLES)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_has_a_type_and_every_key_is_a_column(table: Table) -> None:
    nullable = {column.name: column.is_nullable for column in table.columns()}
    assert list(nullable) == list(table.row.__struct_fields__)
    assert not any(nullable[name] for name in table.key)
    for index in table.indexes:
        assert set(index) <= set(nullable)


def test_rows_come_back_as_they_went(books: Books) -> None:
    full = sample(no_key=entity_id(), no_number=1, no_text="", no_flag=False, no_numbers=())
    rows = [sample(), full]
    with connect(books.dsn) as connection:
        connection.execute("create schema somewhere")
        store = TableStore(EVERY_TYPE, "somewhere")
        store.create(connection)
        store.write(connection, Changes(born=rows, changed=[], gone=[]))
        keys: list[Key] = [(row.key,) for row in rows]
        assert store.read(connection, [*keys, (entity_id(),)]) == dict(zip(keys, rows, strict=True))
        changed = [sample(key=row.key, text="other", numbers=(), no_flag=True) for row in rows]
        store.write(connection, Changes(born=[], changed=changed, gone=[]))
        assert store.read(connection, keys) == dict(zip(keys, changed, strict=True))
        store.write(connection, Changes(born=[], changed=[], gone=keys[:1]))
        assert store.read(connection, keys) == {keys[1]: changed[1]}


def event(position: int, name: str = "vip") -> Recorded:
    group = GroupSet(name=name, multiplier=GROUPS["surge"], actor="root")
    assert encode(group)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return Recorded(position, entity_id(), 1, group.TOPIC, moment, None, None, group)


class CountRow(Row, frozen=True):
    """How often a group was set."""

    name: str
    count: int


def counted(key: Key, row: CountRow | None, recorded: Recorded) -> CountRow | None:
    """Every third time the row goes away."""
    count = row.count + 1 if row else 1
    name = key[0]
    assert isinstance(name, str)
    assert recorded.position
    return None if count == 3 else CountRow(name, count)


COUNTS = Table(
    "counts",
    CountRow,
    ("name",),
    (GroupSet,),
    lambda recorded: ((recorded.event.name,),),  # type: ignore[attr-defined]
    one_by_one(counted),
)


def test_a_batch_reads_unknown_rows_once_and_tells_born_changed_and_gone_apart() -> None:
    stored = {("a",): CountRow("a", 1), ("b",): CountRow("b", 1)}
    asked: list[list[Key]] = []

    def load(keys: object) -> dict[Key, CountRow]:
        assert isinstance(keys, list)
        asked.append(keys)
        return {key: stored[key] for key in keys if key in stored}

    names = ["a", "b", "c", "a", "c", "d", "d", "d"]
    events = [event(position, name) for position, name in enumerate(names, 1)]
    cache = RowCache()
    folded = fold(COUNTS, events, cache, load)
    assert asked == [[("a",), ("b",), ("c",), ("d",)]]
    assert folded.changes == Changes(
        born=[CountRow("c", 2)], changed=[CountRow("b", 2)], gone=[("a",)]
    )
    cache.put(folded)
    again = fold(COUNTS, [event(9, "c"), event(10, "b")], cache, load)
    assert len(asked) == 1
    assert again.changes == Changes(born=[], changed=[], gone=[("c",), ("b",)])
    cache.put(again)
    stored.clear()
    fold(COUNTS, [event(11, "b")], cache, load)
    assert asked[1:] == [[("b",)]]


def test_the_cache_forgets_what_nobody_asks_for() -> None:
    cache = RowCache(half_max=2)

    def put(*names: str) -> None:
        rows: dict[Hashable, CountRow] = {(name,): CountRow(name, 1) for name in names}
        cache.put(FoldedTable(Changes([], [], []), rows, []))

    def known() -> str:
        return "".join(name for name in "abcdefgh" if cache.get((name,)) is not None)

    put("a", "b", "c")
    assert known() == "abc"
    put("a")
    put("d", "e")
    assert known() == "ade"
    put("f", "g", "h")
    assert known() == "fgh"


def test_json_has_one_text_for_one_value() -> None:
    assert document({"b": 1, "a": 2}) == document({"a": 2, "b": 1}) == '{"a":2,"b":1}'


def test_a_projection_depends_on_the_streams_it_folds() -> None:
    one = Projection("counts", 1, (COUNTS,))
    assert one.depends_on("group.GroupMerged.v1")
    assert not one.depends_on("grouping.X.v1")
    assert not one.depends_on("charge.X.v1")
    assert dataclasses.replace(one, folds_every_stream=True).depends_on("charge.X.v1")
