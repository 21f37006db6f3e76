"""C5: when a key that is out of use is asked again, over a real Postgres."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from gateway.channels.probe_schedule import ProbeSchedule
from tests.servers import FreshDatabase

CHANNEL, A, B = UUID(int=1), UUID(int=2), UUID(int=3)
OUT = {A: CHANNEL}


def scheduled(
    database: FreshDatabase, check: Callable[["Time", ProbeSchedule], Awaitable[None]]
) -> None:
    async def run() -> None:
        async with AsyncConnectionPool(database.app_dsn, min_size=1, max_size=4) as pool:
            await check(Time(database.owner_dsn), ProbeSchedule(pool))

    asyncio.run(run())


class Time:
    """What the database believes of its clock, by moving what is stored the other way."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def passes(self, minutes: float) -> None:
        with psycopg.connect(self._dsn) as connection:
            connection.execute(
                "update operations.key_probe set due_at = due_at - make_interval(secs => %(s)s), "
                "recovered_at = recovered_at - make_interval(secs => %(s)s)",
                {"s": 60.0 * minutes},
            )

    def minutes_to_wait(self, key_id: UUID = A) -> float:
        with psycopg.connect(self._dsn) as connection:
            row = connection.execute(
                "select due_at from operations.key_probe where key_id = %s", (key_id,)
            ).fetchone()
        assert row is not None
        waits: float = (row[0] - datetime.now(UTC)).total_seconds() / 60
        return waits


def test_c5_after_1_5_15_and_60_minutes_then_hourly(ledger_database: FreshDatabase) -> None:
    async def check(time: Time, schedule: ProbeSchedule) -> None:
        for number, minutes in enumerate((1, 5, 15, 60, 60, 60), 1):
            assert await schedule.take_due(OUT, 8) == []
            assert time.minutes_to_wait() == pytest.approx(minutes, abs=0.1)
            time.passes(minutes - 0.2)
            assert await schedule.take_due(OUT, 8) == []
            time.passes(0.3)
            assert await schedule.take_due(OUT, 8) == [(A, CHANNEL, number)]

    scheduled(ledger_database, check)


def test_c5_of_all_processes_one_asks(ledger_database: FreshDatabase) -> None:
    async def check(time: Time, schedule: ProbeSchedule) -> None:
        out = {A: CHANNEL, B: CHANNEL}
        await schedule.take_due(out, 8)
        time.passes(1.1)
        taken = await asyncio.gather(*(schedule.take_due(out, 8) for _ in range(12)))
        assert sorted(one.key_id for some in taken for one in some) == [A, B]

    scheduled(ledger_database, check)


def test_c5_so_many_at_once_and_the_others_next(ledger_database: FreshDatabase) -> None:
    async def check(time: Time, schedule: ProbeSchedule) -> None:
        out = {UUID(int=10 + number): CHANNEL for number in range(5)}
        await schedule.take_due(out, 2)
        time.passes(1.1)
        taken = [len(await schedule.take_due(out, 2)) for _ in range(4)]
        assert taken == [2, 2, 1, 0]

    scheduled(ledger_database, check)


def test_c5_a_key_that_flaps_changes_its_state_seven_times_in_an_hour_at_most(
    ledger_database: FreshDatabase,
) -> None:
    """It works whenever it is probed, and fails with the next call."""

    async def check(time: Time, schedule: ProbeSchedule) -> None:
        changes: list[float] = []
        now = 0.0
        while now < 600:
            changes.append(now)  # it fails
            await schedule.take_due(OUT, 8)
            waits = time.minutes_to_wait() + 0.01
            time.passes(waits)
            now += waits
            assert len(await schedule.take_due(OUT, 8)) == 1
            changes.append(now)  # it works
            await schedule.take_due({}, 8)
        most = max(sum(at <= other < at + 60 for other in changes) for at in changes)
        assert most == 7
        assert sum(other >= 540 for other in changes) <= 4

    scheduled(ledger_database, check)


def test_c5_a_key_that_worked_for_two_hours_begins_anew(ledger_database: FreshDatabase) -> None:
    async def check(time: Time, schedule: ProbeSchedule) -> None:
        for minutes in (1.1, 5.1):
            await schedule.take_due(OUT, 8)
            time.passes(minutes)
            await schedule.take_due(OUT, 8)
        await schedule.take_due({}, 8)
        time.passes(60)
        await schedule.take_due(OUT, 8)
        assert time.minutes_to_wait() == pytest.approx(15, abs=0.1)
        await schedule.take_due({}, 8)
        time.passes(121)
        await schedule.take_due(OUT, 8)
        assert time.minutes_to_wait() == pytest.approx(1, abs=0.1)

    scheduled(ledger_database, check)


def test_c5_a_restart_begins_nothing_anew(ledger_database: FreshDatabase) -> None:
    async def check(time: Time, schedule: ProbeSchedule) -> None:
        await schedule.take_due(OUT, 8)
        time.passes(1.1)
        await schedule.take_due(OUT, 8)

    async def after(time: Time, schedule: ProbeSchedule) -> None:
        assert await schedule.take_due(OUT, 8) == []
        assert time.minutes_to_wait() == pytest.approx(5, abs=0.1)

    scheduled(ledger_database, check)
    scheduled(ledger_database, after)
