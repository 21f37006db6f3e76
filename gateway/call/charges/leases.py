"""The lease of this node: as long as it is renewed, nobody else closes this node's charges.

Renewed every 5 s, 30 s long, by the database's clock. A node that finds its lease lapsed takes a
new boot: what it still streams belongs to a boot that others may already have swept.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ledger import clock

log = structlog.get_logger()

RENEWAL_S = 5.0
LEASE_S = 30.0


class NodeLease:
    """`node` names the process, `boot` this uninterrupted life of it."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], node: str, when_lapsed: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._when_lapsed = when_lapsed
        self.node = node
        self.boot: UUID = uuid.uuid4()
        self._held_until_s = 0.0

    @property
    def is_held(self) -> bool:
        """Whether a charge may be opened under this boot. Errs to the safe side: counted from
        before the renewal was sent, on our own clock, it lapses here before it does there.
        """
        return clock.monotonic_s() < self._held_until_s

    async def acquire(self) -> None:
        """Take or renew the lease.

        Raises psycopg.Error, PoolTimeout or TimeoutError when the database is away.
        """
        started_s = clock.monotonic_s()
        if self._held_until_s and not self.is_held:
            self.boot = uuid.uuid4()
            log.warning("lease.lapsed", node=self.node, new_boot=str(self.boot))
            self._when_lapsed()
        async with (
            asyncio.timeout(RENEWAL_S),
            self._pool.connection(timeout=RENEWAL_S) as connection,
        ):
            await connection.execute(
                """insert into operations.node_lease (node, boot, expires_at)
                   values (%s, %s, clock_timestamp() + make_interval(secs => %s))
                   on conflict (node, boot) do update set expires_at = excluded.expires_at""",
                (self.node, self.boot, LEASE_S),
            )
        self._held_until_s = started_s + LEASE_S

    async def run(self) -> None:
        """Renew for ever."""
        while True:
            await asyncio.sleep(RENEWAL_S)
            try:
                await self.acquire()
            except (psycopg.Error, PoolTimeout, TimeoutError, OSError) as error:
                log.warning("lease.not_renewed", node=self.node, error=str(error))

    async def release(self) -> None:
        """Give it up at once: whatever is still open may be swept now."""
        self._held_until_s = 0.0
        async with self._pool.connection(timeout=1.0) as connection:
            await connection.execute(
                "update operations.node_lease set expires_at = clock_timestamp() "
                "where node = %s and boot = %s",
                (self.node, self.boot),
            )
