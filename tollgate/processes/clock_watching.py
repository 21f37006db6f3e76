"""Watches the database's clock from the background process, and tells of a jump while it lasts."""

import asyncio

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from ledger.store.believed_clock import ClockWatch

log = structlog.get_logger()

LOOK_EVERY_S = 60.0


async def watch_clock(watch: ClockWatch) -> None:
    """Look for ever."""
    while True:
        try:
            look = await watch.look()
            if not look.is_believed:
                log.error(
                    "alarm",
                    kind="clock_jumped",
                    database_clock=look.now.isoformat(),
                    consequence="no hold is stored, so no call is taken; all else is",
                    remedy="set the clock right; where it is right, restart `tollgate serve`",
                )
        except (psycopg.Error, PoolTimeout, OSError) as error:
            log.warning("clock.not_watched", error=str(error))
        await asyncio.sleep(LOOK_EVERY_S)
