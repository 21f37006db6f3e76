"""Where a process appends and reads its charges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.call.charges.leases import NodeLease
from gateway.owned_tasks import OwnedTasks
from ledger.store.append import ScopeBalance
from ledger.store.reader import read_balance
from ledger.store.writer import Writer
from projections.cache.balances import BalanceCache

log = structlog.get_logger()

ANSWERED_WITHIN_S = 0.9
"""How long a caller waits for the ledger, however often it is asked; what was begun goes on. With
all else it is told within a second that the ledger does not answer.
"""


@dataclass(frozen=True, slots=True)
class ChargeStore:
    """One of each per process; `tasks` are those that no request takes down."""

    writer: Writer
    cache: BalanceCache
    pool: AsyncConnectionPool[Any]
    lease: NodeLease
    tasks: OwnedTasks

    async def read_used(self, account_id: UUID, scopes: Sequence[UUID]) -> dict[UUID, int] | None:
        """Used nanodollars by scope; None where the database cannot be asked.

        The cache learns what was read, so that what it had missed is healed.
        """
        try:
            async with self.pool.connection(timeout=ANSWERED_WITHIN_S) as connection:
                balances = {scope: await read_balance(connection, scope) for scope in scopes}
        except (PoolTimeout, psycopg.Error, OSError) as error:
            log.warning("charge.not_confirmed", error=str(error))
            return None
        known = {scope: found for scope, found in balances.items() if found is not None}
        await self.cache.publish(
            [
                ScopeBalance(account_id, scope, found.used_nanos, found.position)
                for scope, found in known.items()
            ],
            (),
        )
        return {scope: found.used_nanos for scope, found in known.items()}
