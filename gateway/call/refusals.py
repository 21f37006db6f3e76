"""Calls refused before a hold: not ledger, but somebody will ask why. Sampled under flood."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.call.callers import Caller
from gateway.errors import GatewayError

log = structlog.get_logger()

_KEPT_PER_FLUSH_MAX = 200
_FLUSH_S = 1.0


class Refusals:
    """Notes refusals in memory and writes them once a second; what exceeds that is only counted."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._noted: list[tuple[UUID, UUID | None, UUID | None, str, int, str]] = []
        self.dropped = 0

    def note(
        self, request_id: UUID, caller: Caller | None, model: str, error: GatewayError
    ) -> None:
        """Remember one under the id the client saw; never waits, never fails."""
        if len(self._noted) >= _KEPT_PER_FLUSH_MAX:
            self.dropped += 1
            return
        account_id = caller.account_id if caller else None
        key_id = caller.key_id if caller else None
        self._noted.append((request_id, account_id, key_id, model[:256], error.status, error.code))

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await asyncio.sleep(_FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what was noted; it may be lost, so a failure only says so."""
        noted, self._noted = self._noted, []
        if self.dropped:
            log.warning("refusals.dropped", count=self.dropped)
            self.dropped = 0
        if not noted:
            return
        try:
            async with self._pool.connection(timeout=_FLUSH_S) as connection:
                await connection.cursor().executemany(
                    "insert into operations.refusal "
                    "(refusal_id, account_id, key_id, model, status, code) "
                    "values (%s, %s, %s, %s, %s, %s)",
                    noted,
                )
        except (psycopg.Error, PoolTimeout, OSError) as error:
            log.warning("refusals.not_written", count=len(noted), error=str(error))
