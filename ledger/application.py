"""Commands in, events out: read the stream, decide, append; decide again when somebody was faster.

Not for the hot path: a call in flight knows its own charge and appends through the writer alone.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from ledger.errors import VersionConflict
from ledger.store.append import NewEvent
from ledger.store.reader import Recorded, read_state, read_stream
from ledger.store.writer import Appended, Writer
from ledger.streams.contract import Stream

_ATTEMPTS_MAX = 8


class Request(NamedTuple):
    """A command and the stream it is for."""

    stream: Stream
    stream_id: UUID
    command: Any


class Ledger:
    """The write side for everything that is not a call in flight."""

    def __init__(self, pool: AsyncConnectionPool[Any], writer: Writer) -> None:
        self._pool = pool
        self._writer = writer

    async def handle(self, stream: Stream, stream_id: UUID, command: object) -> Appended | None:
        """Carry out one command; None when it changes nothing.

        Raises Refused, NotStored, StoreUnavailable.
        """
        return await self.handle_together([Request(stream, stream_id, command)])

    async def handle_together(self, requests: Sequence[Request]) -> Appended | None:
        """Carry out commands of several streams as one group: all of them or none."""
        for attempt in range(_ATTEMPTS_MAX):
            new: list[NewEvent] = []
            for request in requests:
                state = await self.state(request.stream, request.stream_id)
                events = request.stream.decide(state, request.command)
                new += [
                    NewEvent(request.stream_id, state.version + number, event)
                    for number, event in enumerate(events, 1)
                ]
            if not new:
                return None
            try:
                return await self._writer.append(new)
            except VersionConflict:
                if attempt == _ATTEMPTS_MAX - 1:
                    raise
        raise AssertionError("unreachable")

    async def state(self, stream: Stream, stream_id: UUID) -> Any:  # noqa: ANN401 - each stream has its own state
        """The fold of a stream as it stands now."""
        async with self._pool.connection() as connection:
            return await read_state(connection, stream, stream_id)

    async def events(self, stream_id: UUID) -> list[Recorded]:
        """All events of a stream, oldest first."""
        async with self._pool.connection() as connection:
            return await read_stream(connection, stream_id)
