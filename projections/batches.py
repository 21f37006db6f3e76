"""A stretch of the log, read and decoded once for all projections that stand before it."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from ledger.codec import UPCASTERS
from ledger.errors import UnknownTopic
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.streams.registry import EVENT_OF_TOPIC
from projections.contract import Projection
from projections.storage import Connection

_EVERYTHING = (
    f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608 - a constant
    "where position > %b and position <= %b order by position limit %b"
)
# The condition of the index `event_configuration`, literally.
_CONFIGURATION = _EVERYTHING.replace(
    " order by", " and topic not like 'charge.%%' and topic not like 'credit.%%' order by"
)
_BUSY_STREAMS = frozenset({"charge", "credit"})


class ProjectionStopped(Exception):
    """A projection cannot fold past an event; it stands right before it."""

    def __init__(self, name: str, position: int, reason: str) -> None:
        super().__init__(f"projection {name} stopped before position {position}: {reason}")
        self.name = name
        self.position = position
        self.reason = reason


class LogBroken(Exception):
    """The log has a gap, or positions out of order; nothing may be folded past it."""


class Unreadable(NamedTuple):
    """An event that this release does not know, or whose bytes are not what its topic says."""

    position: int
    topic: str
    reason: str


class Batch(NamedTuple):
    """Decoded events of positions after+1..last; those nobody asked for are left out."""

    after: int
    last: int
    events: Sequence[Recorded]
    unreadable: Sequence[Unreadable]

    def part_for(self, projection: Projection) -> "Batch":
        """What this projection can fold: everything before the first event it cannot read.

        Raises ProjectionStopped if that is the very first.
        """
        stop = next((u for u in self.unreadable if projection.depends_on(u.topic)), None)
        if stop is None:
            return self
        if stop.position == self.after + 1:
            raise ProjectionStopped(projection.name, stop.position, stop.reason)
        events = [event for event in self.events if event.position < stop.position]
        return Batch(self.after, stop.position - 1, events, ())


class Interest:
    """Which events a set of projections wants decoded."""

    def __init__(self, projections: Iterable[Projection]) -> None:
        chosen = list(projections)
        types = {event for projection in chosen for event in projection.event_types()}
        streams = {name for projection in chosen for name in projection.stream_names()}
        self.topics = frozenset(event.TOPIC for event in types)
        self.skips_busy_streams = not (
            streams & _BUSY_STREAMS or any(each.folds_every_stream for each in chosen)
        )


def read_batch(
    connection: Connection, after: int, up_to: int, limit: int, interest: Interest
) -> Batch:
    """Up to `limit` events of positions after+1..up_to. Raises LogBroken.

    `up_to` must not be beyond the head.
    """
    query = _CONFIGURATION if interest.skips_busy_streams else _EVERYTHING
    cursor = connection.execute(query, (after, up_to, limit), binary=True, prepare=True)
    rows = cursor.fetchall()
    last = rows[-1][0] if len(rows) == limit else up_to
    if not interest.skips_busy_streams and len(rows) != last - after:
        raise LogBroken(f"the log has {len(rows)} events at positions {after + 1}..{last}")
    events, unreadable = _decoded(rows, interest.topics)
    return Batch(after, last, events, unreadable)


def read_head_position(connection: Connection) -> int:
    """The last position of the log."""
    row = connection.execute("select position from ledger.head", binary=True).fetchone()
    assert row is not None
    return int(row[0])


def _decoded(
    rows: Sequence[Sequence[Any]], wanted: frozenset[str]
) -> tuple[list[Recorded], list[Unreadable]]:
    events: list[Recorded] = []
    unreadable: list[Unreadable] = []
    for row in rows:
        topic = row[3]
        if topic not in wanted and topic in EVENT_OF_TOPIC and topic not in UPCASTERS:
            continue
        try:
            events.append(recorded(row))
        except (UnknownTopic, msgspec.MsgspecError, ValueError) as error:
            unreadable.append(Unreadable(row[0], topic, str(error)))
    return events, unreadable
