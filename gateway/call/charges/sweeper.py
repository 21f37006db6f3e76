"""Closes what dead nodes left open: every hold whose node's lease has lapsed is refunded.

Only the database's clock decides. A node that was merely slow finds its charge closed when it
settles, and charges the real usage afterwards.
"""

import asyncio
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.call.charges.told_alarms import tell_alarms
from ledger.errors import LedgerError, UnknownTopic, VersionConflict
from ledger.store.append import NewEvent
from ledger.store.reader import read_state
from ledger.store.writer import Writer
from ledger.streams.charge import rules

log = structlog.get_logger()

SWEEP_EVERY_S = 5.0
_BATCH_MAX = 500
_LOCK = 0x73776570  # "swep": one sweeper works at a time; more would do no harm

# A charge younger than a lease is left alone: its node may not have been seen yet.
_LAPSED = """
    select o.charge_id, o.node, o.boot
    from projections.open_charges o
    left join operations.node_lease l on l.node = o.node and l.boot = o.boot
    where coalesce(l.expires_at, o.reserved_at + interval '30 seconds') < clock_timestamp()
    order by o.reserved_at limit %s
"""


class _Lapsed(NamedTuple):
    charge_id: UUID
    node: str
    boot: UUID


class Sweeper:
    """Sweeps on every node; an advisory lock lets one of them work."""

    def __init__(self, pool: AsyncConnectionPool[Any], writer: Writer) -> None:
        self._pool = pool
        self._writer = writer

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                swept = await self.sweep()
                if swept:
                    log.warning("sweeper.swept", charges=swept)
            except (psycopg.Error, PoolTimeout, LedgerError, OSError) as error:
                log.warning("sweeper.failed", error=str(error))
            await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self) -> int:
        """Close what has lapsed by now; the number of charges closed."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK,))
            row = await cursor.fetchone()
            if row is None or not row[0]:
                return 0
            cursor = await connection.execute(_LAPSED, (_BATCH_MAX,))
            lapsed = [_Lapsed(*found) for found in await cursor.fetchall()]
            states = [await self._state(connection, one) for one in lapsed]
            closed = await asyncio.gather(
                *[
                    self._close(one, state)
                    for one, state in zip(lapsed, states, strict=True)
                    if state is not None
                ]
            )
            await self._forget_leases(connection)
        return sum(closed)

    async def _state(
        self, connection: psycopg.AsyncConnection[Any], one: _Lapsed
    ) -> rules.Charge | None:
        """None, and a line in the log, for a stream that cannot be read: the others matter too."""
        try:
            state: rules.Charge = await read_state(connection, rules.STREAM, one.charge_id)
        except (UnknownTopic, msgspec.ValidationError) as error:
            log.error("sweeper.unreadable", charge_id=str(one.charge_id), error=str(error))
            return None
        return state

    async def _close(self, one: _Lapsed, state: rules.Charge) -> bool:
        """Refund one; False where it was closed meanwhile (the read model lags, or its node
        was only slow).
        """
        if state.is_closed:
            return False
        events = rules.decide(state, rules.Refund("node_lost", one.node, one.boot))
        try:
            await self._writer.append(
                [NewEvent(one.charge_id, state.version + n, e) for n, e in enumerate(events, 1)]
            )
        except VersionConflict:
            return False
        tell_alarms(one.charge_id, events)
        return True

    async def _forget_leases(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute(
            "delete from operations.node_lease l "
            "where expires_at < clock_timestamp() - interval '1 day' and not exists "
            "(select from projections.open_charges o where o.node = l.node and o.boot = l.boot)"
        )
