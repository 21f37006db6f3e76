"""What a projection is: tables, and a pure fold of events into their rows.

A row is a frozen struct; its fields are the columns. A table says which event types change it,
which rows (by key) an event touches, and what becomes of one such row. That is all a new
projection provides: reading, writing, batching, checkpoints and generations are the runner's.

The fold knows no clock, no randomness, no float and no environment, so that folding the same
events again gives the same bytes.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
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


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table of a projection.

    touches(event) gives the keys of the rows an event of `events` changes, each once.
    apply(key, row, event) gives the row after the event; None where there is no row. Returning
    the very row it was given says that nothing changed.
    is_first(event) may say True when no row of the event's keys can exist yet: the runner then
    does not look for one.
    """

    name: str
    row: type[Any]
    key: tuple[str, ...]
    events: tuple[type[Event], ...]
    touches: Callable[[Recorded], tuple[Key, ...]]
    apply: Callable[[Key, Any, Recorded], Any]
    is_first: Callable[[Recorded], bool] = lambda _: False
    indexes: tuple[tuple[str, ...], ...] = ()

    def columns(self) -> tuple[Column, ...]:
        """The columns, in the order of the row's fields."""
        hints = get_type_hints(self.row)
        return tuple(_column(name, hints[name]) for name in self.row.__struct_fields__)

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
    """

    name: str
    version: int
    tables: tuple[Table, ...]
    folds_every_stream: bool = False
    rows_are_of: Literal["stream", "account", "stretch"] | None = None

    def event_types(self) -> frozenset[type[Event]]:
        """The types of events that change its rows."""
        return frozenset(event for table in self.tables for event in table.events)

    def stream_names(self) -> frozenset[str]:
        """The kinds of streams it folds."""
        return frozenset(STREAM_OF[event].name for event in self.event_types())

    def depends_on(self, topic: str) -> bool:
        """Whether it cannot fold past an event of this topic that cannot be read."""
        return self.folds_every_stream or topic.partition(".")[0] in self.stream_names()


def once_for_each(look: Callable[[Recorded], T]) -> Callable[[Recorded], T]:
    """The same, but an event that touches several rows in a row is looked at only once."""
    last: tuple[Recorded, T] | None = None

    def looked(event: Recorded) -> T:
        nonlocal last
        known = last
        if known is None or known[0] is not event:
            known = last = (event, look(event))
        return known[1]

    return looked


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
