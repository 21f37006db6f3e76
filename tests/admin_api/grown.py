"""A log of many accounts behind a desk, grown at random, and what its read models show of it."""

import asyncio
from typing import Any

import psycopg

from ledger.store.append import adapt
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from tests.admin_api.desks import Servers
from tests.builders import LawfulLog
from tests.projections.driving import run_to_head


def grow(servers: Servers, events: int = 1_500) -> LawfulLog:
    """Store so many events."""
    with psycopg.connect(servers.dsn, autocommit=True) as connection:
        log = LawfulLog(connection, seed=3, accounts=3)
        log.grow(events, batch_groups=50)
        return log


def read_log(servers: Servers) -> list[Recorded]:
    """Every event, in order."""
    with psycopg.connect(servers.dsn, autocommit=True) as connection:
        adapt(connection)
        query = f"select {RECORDED_COLUMNS} from ledger.event order by position"
        return [recorded(row) for row in connection.execute(query, binary=True).fetchall()]


async def fold(servers: Servers) -> None:
    """Bring every read model to the end of the log."""

    def run() -> None:
        with psycopg.connect(servers.dsn, autocommit=True) as connection:
            run_to_head(servers.dsn, connection)

    await asyncio.to_thread(run)


Told = dict[str, Any]
"""JSON as a desk answers it."""
