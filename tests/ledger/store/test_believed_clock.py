"""A18: a clock that jumps. No hold is stored by it; all else is, at the last time believed."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from ledger.errors import ClockDoubted
from ledger.fsck import check_ledger
from ledger.ids import entity_id
from ledger.store.believed_clock import ClockWatch, Look, believe_clock
from ledger.streams.charge import rules
from ledger.usage import Usage
from tests.ledger.building import (
    Call,
    Payer,
    credit,
    opened,
    payer,
    priced,
    refund,
    reserve,
    settle,
)
from tests.ledger.store.appending import Connection, append, connect, log, refused, stored
from tests.servers import FreshDatabase

JUMPS = {
    "400 days ahead": timedelta(days=-400),
    "61 minutes ahead": timedelta(minutes=-61),
    "61 minutes back": timedelta(minutes=61),
    "ten years back": timedelta(days=3_650),
}
"""What was believed, less what the clock says now."""
SMALL = {
    "59 minutes ahead": timedelta(minutes=-59),
    "59 minutes back": timedelta(minutes=59),
}


@pytest.fixture
def connection(ledger_database: FreshDatabase) -> Iterator[Connection]:
    with connect(ledger_database.app_dsn) as opened:
        yield opened


@pytest.fixture
def owner(ledger_database: FreshDatabase) -> Iterator[Connection]:
    with connect(ledger_database.owner_dsn) as opened:
        yield opened


def rich(connection: Connection) -> Payer:
    paying = payer()
    stored(connection, opened(paying))
    stored(connection, [credit(paying.account_id, 1_000_000)])
    return paying


def jump(owner: Connection, by: timedelta) -> datetime:
    """As if the clock had jumped: what it says is so far from what was believed. The belief."""
    row = owner.execute(
        "update ledger.head set believed_at = clock_timestamp() + %s returning believed_at", (by,)
    ).fetchone()
    assert row is not None
    believed: datetime = row[0]
    return believed


def now(connection: Connection) -> datetime:
    row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


@pytest.mark.parametrize("by", JUMPS.values(), ids=JUMPS)
def test_a18_a_hold_is_refused_and_everything_else_stored_at_the_time_believed(
    ledger_database: FreshDatabase, connection: Connection, owner: Connection, by: timedelta
) -> None:
    stored(connection, [priced()])
    paying = rich(connection)
    small, above, given_back, late, grows = (Call() for _ in range(5))
    for call in (small, above, given_back, late, grows):
        stored(connection, call.next(reserve(paying.cover(), 50)))
    stored(connection, late.next(refund()))
    before = log(connection)[-1]
    believed = jump(owner, by)
    new = Call().next(reserve(paying.cover(), 50))
    adjust = rules.Adjust(
        entity_id(), 7, "late_usage", "node", usage=Usage(input=7), overdraft_nanos=0
    )
    batch = [
        [credit(paying.account_id, 5)],
        small.next(settle(Usage(input=30))),
        given_back.next(refund()),
        new,
        above.next(settle(Usage(input=80))),
        late.next(adjust),
        grows.next(rules.Extend(5)),
    ]
    refusals = [outcome.refusal for outcome in append(connection, *batch).outcomes]
    assert [type(each) for each in refusals] == [
        *(type(None), type(None), type(None), ClockDoubted),
        *(type(None), type(None), ClockDoubted),
    ]
    assert "clock" in str(refusals[3])
    after = log(connection, before.position)
    assert [type(one.event).__name__ for one in after] == [
        *("CreditGranted", "UsageSettled", "RefundIssued"),
        *("QuotaReserved", "UsageSettled", "ChargeAdjusted"),
    ]
    assert {one.recorded_at for one in after} == {max(before.recorded_at, believed)}
    jump(owner, timedelta(0))
    stored(connection, new)
    # Here the belief alone is ahead; where the clock was, the log is as well, and fsck says so.
    findings = [each.check for each in check_ledger(ledger_database.app_dsn)]
    assert findings == (["recorded_at"] if by > timedelta(0) else [])


@pytest.mark.parametrize("by", SMALL.values(), ids=SMALL)
def test_a_clock_within_an_hour_is_believed(
    connection: Connection, owner: Connection, by: timedelta
) -> None:
    paying = rich(connection)
    jump(owner, by)
    stored(connection, Call().next(reserve(paying.cover(), 50)))
    jumped_on = jump(owner, by) - now(connection)
    stored(connection, Call().next(reserve(paying.cover(), 50)))
    row = owner.execute("select believed_at from ledger.head").fetchone()
    assert row is not None
    assert abs(row[0] - now(owner)) < abs(jumped_on)


def test_a_hold_that_is_stored_already_is_told_so_whatever_the_clock_says(
    connection: Connection, owner: Connection
) -> None:
    paying = rich(connection)
    hold = Call().next(reserve(paying.cover(), 50))
    first = stored(connection, hold)
    jump(owner, timedelta(days=-400))
    (again,) = append(connection, hold).outcomes
    assert (again.positions, again.was_stored_before) == (first, True)


def test_a_hold_that_is_not_covered_is_refused_for_the_clock_first(
    connection: Connection, owner: Connection
) -> None:
    jump(owner, timedelta(days=-400))
    assert isinstance(refused(connection, Call().next(reserve(payer().cover(), 50))), ClockDoubted)


def looks(dsn: str, owner: Connection, *steps: tuple[timedelta, float]) -> list[bool]:
    """What one watch believes, look by look; before each the belief is so far off, and so many
    seconds have passed.
    """

    async def look() -> list[bool]:
        passed_s = 0.0
        found: list[Look] = []
        async with AsyncConnectionPool(dsn, min_size=1, max_size=1) as pool:
            watch = ClockWatch(pool, lambda: passed_s)
            for by, seconds in steps:
                jump(owner, by)
                passed_s += seconds
                found.append(await watch.look())
        return [each.is_believed for each in found]

    return asyncio.run(look())


HOUR = timedelta(hours=1)


def test_time_that_passes_without_an_append_is_no_jump(
    ledger_database: FreshDatabase, owner: Connection
) -> None:
    dsn = ledger_database.app_dsn
    assert looks(dsn, owner, (timedelta(0), 0), (-HOUR / 2, 60), (HOUR / 2, 60)) == [True] * 3
    # Three hours of belief are lost, and the watch's own clock agrees with the database's.
    assert looks(dsn, owner, (timedelta(0), 0), (-3 * HOUR, 30)) == [True, True]


def test_a18_a_jump_is_not_believed_until_the_clock_is_right_again(
    ledger_database: FreshDatabase, owner: Connection
) -> None:
    dsn = ledger_database.app_dsn
    # Nothing is known of the time that passed: only what is near is believed.
    assert looks(dsn, owner, (-3 * HOUR, 0), (timedelta(0), 0)) == [False, True]
    # By the watch's own clock four hours have passed, and by the database's none.
    assert looks(dsn, owner, (timedelta(0), 0), (-3 * HOUR, 4 * 3_600)) == [True, False]


@pytest.mark.parametrize("ahead", [-HOUR, 2 * HOUR], ids=["before", "ahead"])
def test_a_start_believes_the_clock_and_tells_where_the_log_stands(
    owner: Connection, connection: Connection, ahead: timedelta
) -> None:
    paying = rich(connection)
    jump(owner, timedelta(days=-400))
    owner.execute("update ledger.head set recorded_at = clock_timestamp() + %s", (ahead,))
    start = believe_clock(owner)
    assert abs(start.recorded_at - start.now - ahead) < timedelta(minutes=1)
    stored(connection, Call().next(reserve(paying.cover(), 50)))


def test_the_applications_role_cannot_believe_anything(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        believe_clock(connection)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("update ledger.head set believed_at = clock_timestamp()")
