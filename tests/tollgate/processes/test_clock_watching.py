"""A18: a clock that jumped is told while it lasts, by the background process and the doctor."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool
from structlog.testing import capture_logs

from ledger.store.believed_clock import ClockWatch
from tests.servers import FreshDatabase
from tollgate.doctor.believed_clock import clock_faults
from tollgate.processes import clock_watching


def watched(dsn: str) -> list[Any]:
    """The lines of some looks."""

    async def watch() -> None:
        async with AsyncConnectionPool(dsn, min_size=1, max_size=1) as pool:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(clock_watching.watch_clock(ClockWatch(pool)), 0.5)

    with capture_logs() as lines:
        asyncio.run(watch())
    return lines


@pytest.mark.parametrize(
    ("off", "is_told"),
    [(timedelta(0), False), (timedelta(days=-400), True), (timedelta(hours=2), True)],
)
def test_a18_a_jump_is_an_alarm_while_it_lasts(
    ledger_database: FreshDatabase,
    monkeypatch: pytest.MonkeyPatch,
    off: timedelta,
    is_told: bool,
) -> None:
    monkeypatch.setattr(clock_watching, "LOOK_EVERY_S", 0.1)
    with psycopg.connect(ledger_database.owner_dsn, autocommit=True) as owner:
        owner.execute("update ledger.head set believed_at = clock_timestamp() + %s", (off,))
        told = watched(ledger_database.app_dsn)
        assert {(line["event"], line["kind"]) for line in told} == (
            {("alarm", "clock_jumped")} if is_told else set()
        )
        assert (len(told) > 1) is is_told
        assert clock_faults(owner) == []  # no node is up, so nobody says how much time passes
        owner.execute(
            "insert into operations.node_lease values "
            "('n1', gen_random_uuid(), clock_timestamp() + interval '30 s')"
        )
        found = [finding.finding for finding in clock_faults(owner)]
    assert len(found) == is_told
    assert all(finding.endswith("it jumped, so no call is taken") for finding in found)
