"""A stretch of the log, read and decoded once for all projections that stand before it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from ledger.codec import UPCASTERS, decode, decoder_of
from ledger.errors import UnknownTopic
from ledger.store.reader import Recorded
from ledger.streams.contract import Event
from ledger.streams.registry import EVENT_OF_TOPIC
from projections.contract import STRETCH_BITS, Projection
from projections.storage import Connection

# In the order of Recorded, with the event itself last.
_EVERYTHING = (
    "select position, {stream_id}, {version}, topic, {recorded_at}, {account_id}, {account_seq},"
    " state from ledger.event "
    "where position > %b and position <= %b order by position limit %b"
)
_COLUMNS = {
    "stream_id": ("originator_id", "null::uuid"),
    "version": ("originator_version", "null::bigint"),
    "recorded_at": ("recorded_at", "null::timestamptz"),
    "account_id": ("account_id", "null::uuid"),
    "account_seq": ("account_seq", "null::bigint"),
}
"""How a place is read, and what stands for one that nobody looks at: a third of reading a row."""
# The condition of the index `event_configuration`, literally.
_CONFIGURATION = _EVERYTHING.replace(
    " order by", " and topic not like 'charge.%%' and topic not like 'credit.%%' order by"
)
# By the hash that hash indexes use: nothing else that Postgres can do with an id costs as little.
_PART_OF = {
    "stream": " and (uuid_hash(originator_id) & 65535) %% %b = %b order by",
    "stretch": f" and (position - 1 >> {STRETCH_BITS}) %% %b = %b order by",
    "account": " and coalesce(uuid_hash(account_id) & 65535, 0) %% %b = %b order by",
}
_WANTED = " and topic <> all(%b) order by"
_WHOLE = "select count(*) from ledger.event where position > %b and position <= %b"
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


class Part(NamedTuple):
    """The events of every `of`-th stream, account or stretch; part 0 has those without account."""

    by: Literal["stream", "account", "stretch"]
    number: int
    of: int


class Interest:
    """Which events a set of projections wants read and decoded; all of the log, or a part of it."""

    def __init__(self, projections: Iterable[Projection], part: Part | None = None) -> None:
        self.part = part
        chosen = list(projections)
        types = {event for projection in chosen for event in projection.event_types()}
        streams = {name for projection in chosen for name in projection.stream_names()}
        self.topics = frozenset(event.TOPIC for event in types)
        self.unwanted = frozenset(EVENT_OF_TOPIC.keys() - self.topics - UPCASTERS.keys())
        """What need not be decoded; but what this release does not know is tried."""
        self.decoders = _decoders(chosen, types)
        places = frozenset[str]().union(*(each.uses_places for each in chosen))
        self.columns = {
            place: read if place in places else left_out
            for place, (read, left_out) in _COLUMNS.items()
        }
        self.leaves_out_many = any(
            topic.partition(".")[0] in _BUSY_STREAMS for topic in self.unwanted
        )
        self.skips_busy_streams = not (
            streams & _BUSY_STREAMS or any(each.folds_every_stream for each in chosen)
        )


@lru_cache(maxsize=64)
def interest_of(projections: tuple[Projection, ...]) -> Interest:
    """The interest of some projections in all of the log; made once, for it takes a while."""
    return Interest(projections)


class Fetched(NamedTuple):
    """Rows of positions after+1..last, not decoded yet."""

    after: int
    last: int
    rows: Sequence[Sequence[Any]]

    def decoded(self, interest: Interest) -> Batch:
        """The events that are wanted."""
        events, unreadable = _decoded(self.rows, interest)
        return Batch(self.after, self.last, events, unreadable)


def read_batch(
    connection: Connection, after: int, up_to: int, limit: int, interest: Interest
) -> Batch:
    """Up to `limit` events of positions after+1..up_to. Raises LogBroken.

    `up_to` must not be beyond the head.
    """
    return fetch(connection, after, up_to, limit, interest).decoded(interest)


def fetch(
    connection: Connection, after: int, up_to: int, limit: int, interest: Interest
) -> Fetched:
    """As `read_batch`, without decoding. Raises LogBroken; of a part nobody knows it."""
    query = _CONFIGURATION if interest.skips_busy_streams else _EVERYTHING
    query = query.format(**interest.columns)
    parameters: list[object] = [after, up_to]
    if interest.part is not None:
        query = query.replace(" order by", _PART_OF[interest.part.by])
        parameters += [interest.part.of, interest.part.number]
    if interest.leaves_out_many:
        query = query.replace(" order by", _WANTED)
        parameters.append(list(interest.unwanted))
    cursor = connection.execute(query.encode(), (*parameters, limit), binary=True, prepare=True)
    rows = cursor.fetchall()
    last = rows[-1][0] if len(rows) == limit else up_to
    if interest.part is None and not interest.skips_busy_streams:
        found = _count(connection, after, last) if interest.leaves_out_many else len(rows)
        if found != last - after:
            raise LogBroken(f"the log has {found} events at positions {after + 1}..{last}")
    return Fetched(after, last, rows)


def _count(connection: Connection, after: int, last: int) -> int:
    row = connection.execute(_WHOLE, (after, last), binary=True, prepare=True).fetchone()
    assert row is not None
    return int(row[0])


def read_head_position(connection: Connection) -> int:
    """The last position of the log."""
    row = connection.execute("select position from ledger.head", binary=True).fetchone()
    assert row is not None
    return int(row[0])


def _decoders(
    projections: Sequence[Projection], types: Iterable[type[Event]]
) -> Mapping[str, Callable[[bytes], Event]]:
    """By topic, decoders of events of which nobody looks at everything."""
    decoders: dict[str, Callable[[bytes], Event]] = {}
    for event in types:
        readers = [each for each in projections if event in each.event_types()]
        if all(event in each.looks_at for each in readers):
            looked_at = frozenset[str]().union(*(each.looks_at[event] for each in readers))
            decoders[event.TOPIC] = decoder_of(event, looked_at)
    return decoders


def _decoded(
    rows: Sequence[Sequence[Any]], interest: Interest
) -> tuple[list[Recorded], list[Unreadable]]:
    events: list[Recorded] = []
    unreadable: list[Unreadable] = []
    add, make = events.append, tuple.__new__  # a million times over, calls by name cost
    unwanted, decoder_for = interest.unwanted, interest.decoders.get
    for row in rows:
        topic = row[3]
        if topic in unwanted:
            continue
        decoder = decoder_for(topic)
        try:
            event = decode(topic, row[7]) if decoder is None else decoder(row[7])
        except (UnknownTopic, msgspec.MsgspecError, ValueError) as error:
            unreadable.append(Unreadable(row[0], topic, str(error)))
        else:
            add(make(Recorded, (*row[:7], event)))
    return events, unreadable
