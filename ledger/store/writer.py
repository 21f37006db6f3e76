"""The group-commit writer: one per process, the only way events get into the log while serving.

Whatever queued while the previous commit was in flight forms the next batch; nothing lingers. Its
bound refuses reservations only, never closings. When the connection is lost in the middle of a
batch its fate is unknown: the identical batch is sent again, and the append function recognises
what it stored the first time.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from ledger.errors import StoreUnavailable, WriterBusy
from ledger.store.append import (
    APPEND,
    Answer,
    Group,
    NewEvent,
    ScopeBalance,
    adapt,
    interpret,
    parameters,
    prepare,
)

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
        self._dsn = dsn
        self._publish = publish
        self._limits = limits
        self._releases: deque[_Waiting] = deque()
        self._holds: deque[_Waiting] = deque()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._publishing: set[asyncio.Future[bool]] = set()
        self.batches = 0
        self.reconnects = 0

    def append(self, events: Sequence[NewEvent]) -> "asyncio.Future[Appended]":
        """Store a group whole or not at all; the future ends when that is decided and durable.

        Cancelling the future does not take the group back. It ends with NotStored (OverBudget,
        VersionConflict, OutOfRange), or StoreUnavailable for a hold that was not sent.
        Raises WriterBusy at once for a hold when too much is queued.
        """
        group = prepare(events)
        if group.is_capped and len(self._holds) >= self._limits.queued_groups_max:
            raise WriterBusy("too many reservations are waiting for the database")
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        (self._holds if group.is_capped else self._releases).append(_Waiting(group, future))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return future

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

    async def _flush(self) -> None:
        try:
            while batch := self._next_batch():
                await self._store(batch)
        finally:
            self._flushing = None

    def _next_batch(self) -> list[_Waiting]:
        """Releases first: within one batch they make room for the holds."""
        batch: list[_Waiting] = []
        room_events, room_bytes = self._limits.batch_events_max, self._limits.batch_bytes_max
        for queue in (self._releases, self._holds):
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
        groups = [waiting.group for waiting in batch]
        pause_s = self._limits.reconnect_pause_s
        is_fate_unknown = False
        while True:
            try:
                connection = await self._connected()
                is_fate_unknown = True
                call = _call(connection, parameters(groups))
                row = await asyncio.wait_for(call, self._limits.statement_timeout_s)
                return self._resolve(batch, interpret(groups, row))
            except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError) as error:
                await self._disconnect()
                reason = StoreUnavailable(f"the database cannot be reached: {error}")
                self._refuse_holds(self._holds, reason)
                if not is_fate_unknown:
                    batch = self._refuse_holds(batch, reason)
                    groups = [waiting.group for waiting in batch]
                    if not batch:
                        return None
            except psycopg.Error as error:
                # The database understood and refuses the statement itself: find whose fault it is.
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

    def _resolve(self, batch: list[_Waiting], answer: Answer) -> None:
        self.batches += 1
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
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._dsn, autocommit=True, connect_timeout=3
            )
            adapt(self._connection)
            self.reconnects += 1
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def _call(connection: psycopg.AsyncConnection[Any], arguments: list[Any]) -> Sequence[Any]:
    cursor = await connection.execute(APPEND, arguments, prepare=True, binary=True)
    row: Sequence[Any] | None = await cursor.fetchone()
    assert row is not None
    return row
