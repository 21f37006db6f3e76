"""Reading the log: one stream, or everything after a position, in the order it was stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from ledger.codec import decode
from ledger.streams.contract import Event, Stream

RECORDED_COLUMNS = (
    "position, originator_id, originator_version, topic, state, "
    "recorded_at, account_id, account_seq"
)
"""What `recorded` expects, in this order, from a binary cursor."""


class Recorded(NamedTuple):
    """A stored event with its place in the log."""

    position: int
    stream_id: UUID
    version: int
    topic: str
    recorded_at: datetime
    account_id: UUID | None
    account_seq: int | None
    event: Event

    @property
    def originator_id(self) -> UUID:
        """The stream, by the name that the eventsourcing library has for it."""
        return self.stream_id

    @property
    def originator_version(self) -> int:
        """The version, by the library's name."""
        return self.version


class Balance(NamedTuple):
    """A budget scope: available = posted - held; all in nanodollars, as of `position`."""

    posted_nanos: int
    held_nanos: int
    seq: int
    position: int

    @property
    def available_nanos(self) -> int:
        """What a new hold may take, before any overdraft."""
        return self.posted_nanos - self.held_nanos

    @property
    def used_nanos(self) -> int:
        """What caps are compared with: held - posted."""
        return self.held_nanos - self.posted_nanos


def recorded(row: Sequence[Any]) -> Recorded:
    """A row of RECORDED_COLUMNS. Raises UnknownTopic for an event of a newer release."""
    position, stream_id, version, topic, state, recorded_at, account_id, account_seq = row
    event = decode(topic, state)
    return Recorded(
        position, stream_id, version, topic, recorded_at, account_id, account_seq, event
    )


async def read_stream(connection: AsyncConnection[Any], stream_id: UUID) -> list[Recorded]:
    """All events of a stream, oldest first."""
    cursor = await connection.execute(
        f"select {RECORDED_COLUMNS} from ledger.event where originator_id = %s "  # noqa: S608
        "order by originator_version",
        (stream_id,),
        binary=True,
    )
    return [recorded(row) for row in await cursor.fetchall()]


async def read_state(connection: AsyncConnection[Any], stream: Stream, stream_id: UUID) -> Any:  # noqa: ANN401 - each stream has its own state
    """The fold of a stream; its initial state where there are no events."""
    state = stream.initial()
    for one in await read_stream(connection, stream_id):
        state = stream.evolve(state, one.event)
    return state


async def read_balance(connection: AsyncConnection[Any], scope: UUID) -> Balance | None:
    """A budget scope as it stands; None where nothing ever touched it."""
    cursor = await connection.execute(
        "select posted_nanos, held_nanos, seq, position from ledger.budget where scope = %s",
        (scope,),
        binary=True,
    )
    row = await cursor.fetchone()
    return None if row is None else Balance(*row)


async def read_head(connection: AsyncConnection[Any]) -> tuple[int, datetime]:
    """The last position, and when it was recorded."""
    cursor = await connection.execute("select position, recorded_at from ledger.head", binary=True)
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]
