"""What every operation at the desk works with."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from admin_api.channels.asker import Asker
from admin_api.channels.overrides import OverrideCheck
from admin_api.channels.types import ChannelType
from admin_api.errors import NotCaughtUp, QueryTooSlow
from ledger import clock
from ledger.application import Ledger
from ledger.errors import NotFound, OutcomeUnknown
from ledger.store.reader import read_head
from ledger.store.writer import Appended
from ledger.streams.contract import Event, Stream
from ledger.vault import Vault
from projections.books.as_of import read_served_position
from projections.cache.channel_keys import SharedChannelKeys
from projections.configuration import Configuration
from projections.reading import NotUpToDate, wait_for

T = TypeVar("T")

SHOWN_WITHIN_S = 1.0
"""How long an answer waits for the cache, our own view of the log or the log to show a change."""

FINISHED_WITHIN_S = 10.0
"""How long a caller waits for a command; the command itself goes on until its fate is known."""

_LOOK_AGAIN_S = 0.005
_ASK_AGAIN_S = 0.01
_QUESTION_TIMEOUT = "set local statement_timeout = '2s'"

# The conditions are those of the index event_configuration, so that only its end is read.
_LAST_CHANGE = (
    "select position from ledger.event "
    "where topic not like 'charge.%' and topic not like 'credit.%' order by position desc limit 1"
)


class Commands:
    """Carries commands to their end, whoever stops waiting for them."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def finish(self, command: Coroutine[Any, Any, T]) -> T:
        """Carry out a command; neither our cancellation nor our impatience takes it back.

        Raises OutcomeUnknown after FINISHED_WITHIN_S, and what the command raises.
        """
        task = asyncio.create_task(command)
        self._running.add(task)
        task.add_done_callback(self._finished)
        done, _ = await asyncio.wait([task], timeout=FINISHED_WITHIN_S)
        if not done:
            raise OutcomeUnknown("the command is not finished yet")
        return task.result()

    async def close(self) -> None:
        """Wait for everything that is still running."""
        if self._running:
            await asyncio.wait(self._running)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever still waits for it is told


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts. `channel_types` are the providers the gateway knows, by name, and
    `check_overrides` what it makes of a channel's overrides; `asker` asks providers.

    `pool` should give up after about a second, so that callers are told when Postgres is away.
    `closing`: set when the process is to end, so that answers without an end of their own stop.
    """

    pool: AsyncConnectionPool[Any]
    ledger: Ledger
    vault: Vault
    configuration: Configuration
    channel_types: Mapping[str, ChannelType]
    channel_keys: SharedChannelKeys
    check_overrides: OverrideCheck
    asker: Asker
    commands: Commands = field(default_factory=Commands)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def state(self, stream: Stream, stream_id: UUID) -> Any:  # noqa: ANN401 - each stream has its own state
        """The fold of a stream as it stands now. Raises NotFound for a stream of another kind."""
        return await self.ledger.state(_of_its_kind(stream), stream_id)

    async def handle(self, stream: Stream, stream_id: UUID, command: object) -> Appended | None:
        """Carry out one command; None when it changes nothing.

        Raises Refused (NotFound for a stream of another kind), NotStored, StoreUnavailable.
        """
        return await self.ledger.handle(_of_its_kind(stream), stream_id, command)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection for questions that may be large. Raises QueryTooSlow."""
        try:
            async with self.pool.connection() as connection, connection.transaction():
                await connection.execute(_QUESTION_TIMEOUT)
                yield connection
        except psycopg.errors.QueryCanceled as error:
            raise QueryTooSlow("the answer was not found in time") from error

    async def shown(self, appended: Appended) -> None:
        """Wait until the balance cache shows an append, but not for ever: it heals by itself."""
        await asyncio.wait([asyncio.ensure_future(appended.published)], timeout=SHOWN_WITHIN_S)

    async def up_to_date(self) -> None:
        """Wait until `configuration` has seen every change made so far, by any process.

        Raises NotCaughtUp.
        """
        async with self.pool.connection() as connection:
            row = await (await connection.execute(_LAST_CHANGE)).fetchone()
        newest = 0 if row is None else row[0]
        deadline_s = clock.monotonic_s() + SHOWN_WITHIN_S
        while self.configuration.position < newest:
            if clock.monotonic_s() > deadline_s:
                raise NotCaughtUp(f"configuration is at {self.configuration.position}")
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def wait_for_position(self, position: int) -> None:
        """Return once the log has reached a position. Raises NotCaughtUp."""
        deadline_s = clock.monotonic_s() + SHOWN_WITHIN_S
        while True:
            async with self.pool.connection() as connection:
                head, _ = await read_head(connection)
            if head >= position:
                return
            if clock.monotonic_s() > deadline_s:
                raise NotCaughtUp(f"the log ends at {head}")
            await asyncio.sleep(_ASK_AGAIN_S)


async def served_position(
    connection: AsyncConnection[Any], projection: str, at_least: int = 0
) -> int:
    """How far a read model was folded, once that is `at_least`.

    0 where it never was, and then it has no table either. Raises NotCaughtUp.
    """
    if at_least:
        try:
            await wait_for(connection, [projection], at_least)
        except NotUpToDate as behind:
            raise NotCaughtUp(str(behind)) from behind
    return await read_served_position(connection, projection)


def _of_its_kind(stream: Stream) -> Stream:
    """The stream, for ids that callers choose: an account's id does not name a channel."""

    def evolve(state: Any, event: Event) -> Any:  # noqa: ANN401 - any stream's state
        if type(event) not in stream.events:
            raise NotFound(f"no such {stream.name}")
        return stream.evolve(state, event)

    return stream._replace(evolve=evolve)
