"""The database's clock, and whether it is believed: by what rule, the append function's migration
says (`migrations/0010_clock_and_guards.sql`).

The append function stores no hold by a clock that jumped. So that the time that passes without an
append is no jump, somebody who was up all the while says every minute or so how much it was.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg_pool import AsyncConnectionPool

from ledger import clock


class Look(NamedTuple):
    """What the database's clock says, and whether that is believed."""

    is_believed: bool
    now: datetime


class Start(NamedTuple):
    """What the database's clock says at a start, and the log's own, which never runs backwards."""

    now: datetime
    recorded_at: datetime


def believe_clock(connection: psycopg.Connection[Any]) -> Start:
    """At a start: believe what the clock says. Takes the owner's role."""
    row = connection.execute("select now, recorded_at from ledger.believe_clock()").fetchone()
    assert row is not None
    return Start(*row)


class ClockWatch:
    """Tells the database how much time has passed."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], uptime_s: Callable[[], float] = clock.uptime_s
    ) -> None:
        self._pool = pool
        self._uptime_s = uptime_s
        self._believed: tuple[datetime, float] | None = None

    async def look(self) -> Look:
        """Look at the clock once, and say what it should show.

        Raises psycopg.Error, PoolTimeout.
        """
        expected = None
        if self._believed is not None:
            then, then_s = self._believed
            expected = then + timedelta(seconds=self._uptime_s() - then_s)
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "select is_believed, now from ledger.pass_time(%s)", (expected,)
            )
            row = await cursor.fetchone()
        assert row is not None
        look = Look(*row)
        if look.is_believed:
            self._believed = (look.now, self._uptime_s())
        return look
