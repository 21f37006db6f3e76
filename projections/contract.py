"""What a projection is: tables, and a pure fold of events into their rows.

A row is a frozen struct; its fields are the columns. A table says which event types change it,
which rows (by key) an event touches, and what such events make of one row. That is all a new
projection provides: reading, writing, batching, checkpoints and generations are the runner's.

The fold knows no clock, no randomness, no float and no environment, so that folding the same
events again gives the same bytes.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NewType, TypeVar, cast, get_args, get_type_hints
from uuid import UUID

import msgspec

from ledger.store.reader import Recorded
from ledger.streams.contract import Event
from ledger.streams.registry import STREAM_OF

Json = NewType("Json", str)
"""The text of a JSON document, as `document` writes it: one text for one value. It is stored as it
is: jsonb would be taken apart and put together again, a third of what storing a request takes."""

T = TypeVar("T")

Key = tuple[Hashable, ...]
"""The values of a table's key columns, in their order."""


PLACES = frozenset({"stream_id", "version", "recorded_at", "account_id", "account_seq"})
"""What is known of an event besides what it says, its position and its topic."""

STRETCH_BITS = 18
STRETCH = 1 << STRETCH_BITS
"""Position p is in stretch (p - 1) // STRETCH."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """Base of all rows. Fields: UUID, int, str, bool, datetime, Json, tuple[int, ...]; or None."""


SQL_TYPES: Mapping[Any, str] = {
    UUID: "uuid",
    int: "bigint",
    str: "text",
    bool: "boolean",
    datetime: "timestamptz",
    Json: "json",
    tuple[int, ...]: "bigint[]",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    sql_type: str
    is_nullable: bool


Fold = Callable[[Key, Any, Sequence[Recorded]], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table of a projection.

    touches(event) gives the keys of the rows an event of `events` changes, each once.
    fold(key, row, events) gives the row after some events that touch it, at least one; None where
    there is no row. Returning the very row it was given says that nothing changed. How the log is
    cut into batches must make no difference.
    is_first(event) may say True when no row of the event's keys can exist yet: the runner then
    does not look for one.
    """

    name: str
    row: type[Any]
    key: tuple[str, ...]
    events: tuple[type[Event], ...]
    touches: Callable[[Recorded], tuple[Key, ...]]
    fold: Fold
    is_first: Callable[[Recorded], bool] = lambda _: False
    indexes: tuple[tuple[str, ...], ...] = ()

    def columns(self) -> tuple[Column, ...]:
        """The columns, in the order of the row's fields."""
        hints = get_type_hints(self.row)
        return tuple(_column(name, hints[name]) for name in self.row.__struct_fields__)

    def topics(self) -> frozenset[str]:
        """The topics of the events that change it, as this release writes them."""
        return frozenset(event.TOPIC for event in self.events)

    def key_of(self, row: Any) -> Key:  # noqa: ANN401 - each table has its own row
        """The key of a row."""
        return tuple(getattr(row, name) for name in self.key)

    def handle_maker(self) -> Callable[[Key], Hashable]:
        """Gives what stands for a key in a dictionary: UUIDs compare slowly, integers fast."""
        hints = get_type_hints(self.row)
        if [hints[name] for name in self.key] == [UUID]:
            return _integer_of_only_uuid
        if any(hints[name] is UUID for name in self.key):
            return _integers_for_uuids
        return _itself


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """A read model. Another `version` means other rows for the same events: it is rebuilt.

    folds_every_stream: its rows depend on events of any stream (it follows money, or actors), so
    an event of a stream unknown to this release stops it.
    rows_are_of: every row depends on the events of one stream, of one account, or of one stretch of
    STRETCH positions, alone; so parts of the log that are split by it may be folded apart, side by
    side.
    looks_at: by type of event, the members that decide its rows, where that is not all of them: the
    others need not be decoded for it, which is most of what it costs to replay a log of calls.
    uses_places: which of the PLACES of an event decide its rows; the others need not be read.
    """

    name: str
    version: int
    tables: tuple[Table, ...]
    folds_every_stream: bool = False
    rows_are_of: Literal["stream", "account", "stretch"] | None = None
    looks_at: Mapping[type[Event], frozenset[str]] = field(default_factory=dict)
    uses_places: frozenset[str] = PLACES

    def __post_init__(self) -> None:
        assert self.uses_places <= PLACES, f"{self.name} uses no such places"
        for event, members in self.looks_at.items():
            assert event in self.event_types(), f"{self.name} does not fold {event.TOPIC}"
            unknown = members.difference(event.__struct_fields__)
            assert not unknown, f"{event.TOPIC} has no members {sorted(unknown)}"

    def event_types(self) -> frozenset[type[Event]]:
        """The types of events that change its rows."""
        return frozenset(event for table in self.tables for event in table.events)

    def stream_names(self) -> frozenset[str]:
        """The kinds of streams it folds."""
        return frozenset(STREAM_OF[event].name for event in self.event_types())

    def depends_on(self, topic: str) -> bool:
        """Whether it cannot fold past an event of this topic that cannot be read."""
        return self.folds_every_stream or topic.partition(".")[0] in self.stream_names()


def members(names: str) -> frozenset[str]:
    """Names that are separated by spaces, for `Projection.looks_at`."""
    return frozenset(names.split())


def one_by_one(apply: Callable[[Key, Any, Recorded], Any]) -> Fold:
    """The fold of what becomes of a row with each single event."""

    def fold(key: Key, row: Any, events: Sequence[Recorded]) -> Any:  # noqa: ANN401 - any row
        for event in events:
            row = apply(key, row, event)
        return row

    return fold


def once_for_same(look: Callable[[Sequence[Recorded]], T]) -> Callable[[Sequence[Recorded]], T]:
    """The same, but what was found of the very same events a moment ago is not looked for again:
    for events that touch a row on every one of several levels.
    """
    lately: dict[int, tuple[Recorded, Recorded, int, T]] = {}

    def looked(events: Sequence[Recorded]) -> T:
        first, last, count = events[0], events[-1], len(events)
        known = lately.get(first.position)
        if known is not None and known[0] is first and known[1] is last and known[2] == count:
            return known[3]
        if len(lately) >= _LATELY_MAX:
            lately.clear()
        found = look(events)
        lately[first.position] = (first, last, count, found)
        return found

    return looked


_LATELY_MAX = 64


def beginning(moment: datetime, minutes: int) -> datetime:
    """When the quarter, the hour, the day in UTC began that a moment is in, by its length."""
    at = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    minute_of_day = at.hour * 60 + at.minute
    return _moment(at.year, at.month, at.day, minute_of_day - minute_of_day % minutes)


@lru_cache(maxsize=1_024)
def _moment(year: int, month: int, day: int, minute_of_day: int) -> datetime:
    """The same object for the same moment, whose hash is then known."""
    return datetime(year, month, day, minute_of_day // 60, minute_of_day % 60, tzinfo=UTC)


def starts_its_stream(event: Recorded) -> bool:
    """For tables keyed by the stream: its first event finds no row."""
    return event.version == 1


def document(value: object) -> Json:
    """The JSON text of structs, lists and mappings, for a Json column."""
    return Json(_JSON.encode(value).decode())


_JSON = msgspec.json.Encoder(order="deterministic")


def _integer_of_only_uuid(key: Key) -> Hashable:
    return cast("UUID", key[0]).int


def _integers_for_uuids(key: Key) -> Hashable:
    return tuple([part.int if type(part) is UUID else part for part in key])


def _itself(key: Key) -> Hashable:
    return key


def _column(name: str, hint: Any) -> Column:  # noqa: ANN401 - a type expression
    if hint in SQL_TYPES:
        return Column(name, SQL_TYPES[hint], is_nullable=False)
    choices = [choice for choice in get_args(hint) if choice is not type(None)]
    assert len(choices) == 1, f"column {name} has no SQL type for {hint}"
    assert choices[0] in SQL_TYPES, f"column {name} has no SQL type for {hint}"
    return Column(name, SQL_TYPES[choices[0]], is_nullable=True)
