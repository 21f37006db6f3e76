"""`/livez` and `/readyz`: whether the process turns, and whether a call would be served."""

import asyncio
from typing import Any

import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.call.charges.leases import NodeLease
from gateway.http.exchange import Exchange
from ledger import clock
from ledger.store.reader import read_head
from ledger.store.trial import try_append
from ledger.store.writer import Writer
from projections.configuration import Configuration

_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_CHECK_AGAIN_S = 1.0
_CHECKED_WITHIN_S = 0.9


class Health:
    """Readiness is a real read of the ledger, remembered for a second; where the last append
    failed or waits, a trial one too, until one succeeds.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        configuration: Configuration,
        lease: NodeLease,
        writer: Writer,
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._lease = lease
        self._writer = writer
        self._checked_s = 0.0
        self._reasons: list[str] = []
        self._checking: asyncio.Task[None] | None = None
        self.is_draining = False

    async def live(self, exchange: Exchange) -> None:
        """200 as long as the event loop turns."""
        await exchange.respond(200, _JSON, b'{"status":"live"}')

    async def ready(self, exchange: Exchange) -> None:
        """200, or 503 with every reason why not."""
        reasons = ["draining"] if self.is_draining else await self._why_not()
        body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        await exchange.respond(503 if reasons else 200, _JSON, msgspec.json.encode(body))

    async def _why_not(self) -> list[str]:
        if clock.monotonic_s() - self._checked_s > _CHECK_AGAIN_S:
            # Not cancelled when it is late: a cancelled query may take longer than its answer.
            checking = self._checking = self._checking or asyncio.create_task(self._look())
            await asyncio.wait((checking,), timeout=_CHECKED_WITHIN_S)
            if not checking.done():
                return ["the ledger does not answer in time"]
            checking.result()
        return self._reasons

    async def _look(self) -> None:
        try:
            self._reasons = await self._check()
            self._checked_s = clock.monotonic_s()
        finally:
            self._checking = None

    async def _check(self) -> list[str]:
        reasons = [] if self._lease.is_held else ["the node lease is not held"]
        try:
            async with self._pool.connection(timeout=1.0) as connection:
                await read_head(connection)
        except (psycopg.Error, PoolTimeout, OSError):
            reasons.append("the ledger cannot be read")
        if not self._writer.is_storing:
            reasons += await self._why_not_stored()
        if not self._configuration.is_fresh:
            reasons.append("the configuration cannot be followed")
        return reasons

    async def _why_not_stored(self) -> list[str]:
        try:
            await try_append(self._writer.dsn)
        except (psycopg.Error, OSError):
            return ["the ledger cannot be written"]
        return []
