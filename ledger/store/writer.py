"""The group-commit writer: one per process, the only way events get into the log while serving.

Whatever queued while the previous commit was in flight forms the next batch; nothing lingers. Its
bound refuses reservations only, never closings. When the connection is lost in the middle of a
batch its fate is unknown: what the connection left running is ended, the identical batch is sent
again, and the append function recognises what it stored the first time.
"""

import asyncio
import select
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from ledger import clock
from ledger.errors import StoreUnavailable, Withdrawn, WriterBusy
from ledger.store.append import (
    APPEND,
    CONNECTION_LOST,
    END_BACKEND,
    BatchOutcome,
    Group,
    Guard,
    NewEvent,
    ScopeBalance,
    adapt,
    connection_name,
    interpret,
    parameters,
    prepare,
)

_ORPHAN_CHECK_S = 0.005
_ORPHAN_CHECKS_MAX = 1_000
LATE_AFTER_S = 1.0
"""A batch takes milliseconds."""

Publish = Callable[[Sequence[ScopeBalance], Sequence[tuple[UUID, UUID]]], Awaitable[bool]]
"""Told of every batch: the balances it left, and (account, stream) of every event in it."""


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """What the writer holds at most, and how long it waits."""

    queued_groups_max: int = 20_000
    batch_events_max: int = 500
    batch_bytes_max: int = 512 * 1024
    statement_timeout_s: float = 10.0
    reconnect_pause_s: float = 0.05
    reconnect_pause_max_s: float = 1.0


class Appended(NamedTuple):
    """Where a group was stored; `published` is done once the cache shows it, or cannot."""

    positions: tuple[int, ...]
    published: Awaitable[bool]


class _Waiting(NamedTuple):
    group: Group
    future: "asyncio.Future[Appended]"


async def _published_nowhere(
    balances: Sequence[ScopeBalance],  # noqa: ARG001 - the shape of Publish
    streams: Sequence[tuple[UUID, UUID]],  # noqa: ARG001
) -> bool:
    return True


class Writer:
    """Appends groups of events; create and use it on one event loop."""

    def __init__(
        self,
        dsn: str,
        publish: Publish = _published_nowhere,
        limits: WriterLimits = WriterLimits(),
    ) -> None:
        self.dsn = dsn
        self._publish = publish
        self._limits = limits
        self._releases: deque[_Waiting] = deque()
        self._capped_closings: deque[_Waiting] = deque()
        self._holds: deque[_Waiting] = deque()
        self._unsent: list[_Waiting] = []
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._name = connection_name()
        self._orphan: str | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._publishing: set[asyncio.Future[bool]] = set()
        self._has_failed = False
        self._sent_s: float | None = None
        self.batches = 0
        self.reconnects = 0

    @property
    def is_storing(self) -> bool:
        """Whether the last batch was stored, and the one under way is not late."""
        is_late = self._sent_s is not None and clock.monotonic_s() - self._sent_s > LATE_AFTER_S
        return not (self._has_failed or is_late)

    def append(
        self, events: Sequence[NewEvent], guard: Guard | None = None
    ) -> "asyncio.Future[Appended]":
        """Store a group whole or not at all; the future ends when that is decided and durable.

        Cancelling the future does not take the group back. It ends with NotStored (OverBudget,
        VersionConflict, OutOfRange, Outdated, ClockDoubted), or StoreUnavailable for a hold that
        was not sent. What was sent when the connection was lost is decided when the database is
        back, holds included: a caller who cannot wait must release the hold should it turn out to
        be stored.
        Raises WriterBusy at once for a hold when too much is queued, OutOfRange at once for an
        amount larger than any balance.
        """
        group = prepare(events, guard)
        queue = self._queue_of(group)
        if queue is self._holds and len(queue) >= self._limits.queued_groups_max:
            raise WriterBusy("too many reservations are waiting for the database")
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        queue.append(_Waiting(group, future))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return future

    def withdraw(self, future: "asyncio.Future[Appended]") -> bool:
        """Take a group back unless it was sent; its future then ends with Withdrawn."""
        waiting = (*self._unsent, *self._releases, *self._capped_closings, *self._holds)
        if future.done() or not any(one.future is future for one in waiting):
            return False
        future.set_exception(Withdrawn("taken back before it was sent"))
        return True

    async def connect(self) -> None:
        """Connect now, so that the first call does not pay for it. Raises StoreUnavailable."""
        try:
            await self._connected()
        except psycopg.OperationalError as error:
            raise StoreUnavailable(str(error)) from error

    async def close(self) -> None:
        """Wait until everything queued is decided and published, then disconnect."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
        if self._publishing:
            await asyncio.wait(self._publishing)
        await self._disconnect()

    def _queue_of(self, group: Group) -> deque[_Waiting]:
        if group.is_capped:
            return self._capped_closings if group.is_closing else self._holds
        return self._releases

    async def _flush(self) -> None:
        try:
            while batch := self._next_batch():
                self._sent_s = clock.monotonic_s()
                await self._store(batch)
        finally:
            self._flushing = self._sent_s = None

    def _next_batch(self) -> list[_Waiting]:
        """Releases first: within one batch they make room for the rest; closings before holds."""
        batch: list[_Waiting] = []
        room_events, room_bytes = self._limits.batch_events_max, self._limits.batch_bytes_max
        for queue in (self._releases, self._capped_closings, self._holds):
            while queue:
                group = queue[0].group
                room_events -= len(group.rows)
                room_bytes -= group.size_bytes
                if batch and (room_events < 0 or room_bytes < 0):
                    return batch
                batch.append(queue.popleft())
        return batch

    async def _store(self, batch: list[_Waiting]) -> None:
        """Send a batch until its fate is known, and tell everybody in it."""
        self._unsent = batch
        pause_s = self._limits.reconnect_pause_s
        is_fate_unknown = False
        while True:
            try:
                connection = await self._connected()
                if not is_fate_unknown:
                    batch = [waiting for waiting in batch if not _is_withdrawn(waiting)]
                    groups = [waiting.group for waiting in batch]
                    self._unsent = []
                if not batch:
                    return None
                is_fate_unknown, self._orphan = True, self._name
                call = _call(connection, parameters(groups))
                row = await asyncio.wait_for(call, self._limits.statement_timeout_s)
                self._orphan = None
                return self._resolve(batch, interpret(groups, row))
            except (*CONNECTION_LOST, TimeoutError) as error:
                self._has_failed = True
                await self._disconnect()
                reason = StoreUnavailable(f"the database cannot be reached: {error}")
                self._refuse_holds(self._holds, reason)
                if not is_fate_unknown:
                    self._unsent = batch = self._refuse_holds(batch, reason)
                    if not batch:
                        return None
            except psycopg.Error as error:
                # The database understood and refuses the statement itself: find whose fault it is.
                self._has_failed, self._orphan = True, None
                return await self._isolate(batch, error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._limits.reconnect_pause_max_s)

    async def _isolate(self, batch: list[_Waiting], error: psycopg.Error) -> None:
        if len(batch) == 1:
            if not batch[0].future.done():
                batch[0].future.set_exception(error)
            return
        for waiting in batch:
            await self._store([waiting])

    def _refuse_holds(
        self, queue: "deque[_Waiting] | list[_Waiting]", reason: StoreUnavailable
    ) -> list[_Waiting]:
        """Holds that were not sent are refused now: their callers can be told. Keeps the rest."""
        kept = [waiting for waiting in queue if not waiting.group.is_capped]
        for waiting in queue:
            if waiting.group.is_capped and not waiting.future.done():
                waiting.future.set_exception(reason)
        if queue is self._holds:
            self._holds.clear()
        return kept

    def _resolve(self, batch: list[_Waiting], answer: BatchOutcome) -> None:
        self.batches += 1
        self._has_failed = False
        streams = [
            (row[4], row[0])
            for waiting in batch
            for row in waiting.group.rows
            if row[4] is not None
        ]
        published = asyncio.ensure_future(self._publish(answer.balances, streams))
        self._publishing.add(published)
        published.add_done_callback(self._publishing.discard)
        for waiting, outcome in zip(batch, answer.outcomes, strict=True):
            if waiting.future.done():
                continue
            if outcome.refusal is not None:
                waiting.future.set_exception(outcome.refusal)
            else:
                waiting.future.set_result(Appended(outcome.positions, published))

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is not None and _is_ended(self._connection):
            # Noticed before anything is sent, so that holds can be refused instead of doubted.
            await self._disconnect()
        if self._connection is None:
            self._name = connection_name()
            self._connection = await psycopg.AsyncConnection.connect(
                self.dsn, autocommit=True, connect_timeout=3, application_name=self._name
            )
            adapt(self._connection)
            self.reconnects += 1
        if self._orphan is not None:
            ending = _end_backend(self._connection, self._orphan)
            await asyncio.wait_for(ending, self._limits.statement_timeout_s)
            self._orphan = None
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _is_withdrawn(waiting: _Waiting) -> bool:
    future = waiting.future
    return future.done() and not future.cancelled() and isinstance(future.exception(), Withdrawn)


def _is_ended(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Whether the other side has hung up; between batches it has nothing else to say."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


async def _call(connection: psycopg.AsyncConnection[Any], arguments: list[Any]) -> Sequence[Any]:
    cursor = await connection.execute(APPEND, arguments, prepare=True, binary=True)
    row: Sequence[Any] | None = await cursor.fetchone()
    assert row is not None
    return row


async def _end_backend(connection: psycopg.AsyncConnection[Any], name: str) -> None:
    for _ in range(_ORPHAN_CHECKS_MAX):
        cursor = await connection.execute(END_BACKEND, (name,))
        if not await cursor.fetchall():
            return
        await asyncio.sleep(_ORPHAN_CHECK_S)
    raise psycopg.OperationalError("the lost connection's backend does not end")
