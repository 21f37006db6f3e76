"""Reading the log as it is: events by account, stream or type, in the order they were stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection, sql

from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from ledger.codec import UPCASTERS
from ledger.store.reader import read_head
from ledger.streams.registry import EVENT_OF_TOPIC

LIMIT_MAX = 1_000

SCANNED_MAX = 100_000
"""Positions looked through at a time when only a type is asked for: that has no index."""

_COLUMNS = sql.SQL(
    "select position, originator_id, originator_version, topic, recorded_at, state "
    "from ledger.event where position > %(after)s and position <= %(until)s "
)
_IN_ORDER = sql.SQL(" order by position limit %(limit)s")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events: all that are given must hold. `topic` is an event's whole type."""

    account_id: UUID | None = None
    stream_id: UUID | None = None
    topic: str | None = None
    after: int = 0
    limit: int = 100


class StoredRow(NamedTuple):
    """An event as it is stored; `state` is its JSON, byte for byte."""

    position: int
    stream_id: UUID
    version: int
    topic: str
    recorded_at: datetime
    state: bytes


class EventPage(NamedTuple):
    """Some events, the end of the log, and the `after` of the next page; None at the end."""

    events: list[StoredRow]
    head: int
    next_after: int | None


async def list_events(desk: Desk, wanted: EventFilter) -> EventPage:
    """A page of the log. A page may be empty and still have a next one.

    Raises InvalidInput for a type there is none of, QueryTooSlow, and psycopg.OperationalError.
    """
    topic = wanted.topic
    if topic is not None and topic not in EVENT_OF_TOPIC and topic not in UPCASTERS:
        raise InvalidInput("type", "is not a type of event")
    async with desk.reading() as connection:
        head, _ = await read_head(connection)
        until = head
        if topic and not (wanted.account_id or wanted.stream_id):
            until = min(head, wanted.after + SCANNED_MAX)
        events = await _read(connection, wanted, until)
    reached = events[-1].position if len(events) == wanted.limit else until
    return EventPage(events, head, reached if reached < head else None)


async def _read(
    connection: AsyncConnection[Any], wanted: EventFilter, until: int
) -> list[StoredRow]:
    conditions = {
        "account": ("and account_id = %(account)s ", wanted.account_id),
        "stream": ("and originator_id = %(stream)s ", wanted.stream_id),
        "topic": ("and topic = %(topic)s ", wanted.topic),
    }
    given = {name: value for name, (_, value) in conditions.items() if value is not None}
    where = [sql.SQL(conditions[name][0]) for name in given]  # our own text, never the caller's
    cursor = await connection.execute(
        sql.Composed([_COLUMNS, *where, _IN_ORDER]),
        {"after": wanted.after, "until": until, "limit": wanted.limit, **given},
        binary=True,
    )
    return [StoredRow(*row) for row in await cursor.fetchall()]
