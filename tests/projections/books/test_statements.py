"""Statements: every line of a period, and sums that lead from its opening to its closing."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from psycopg import AsyncConnection

from ledger.ids import charge_id, entity_id
from ledger.statement import Standing, Statement, StatementBroken, StatementLine
from ledger.streams.account import AccountOpened
from ledger.usage import Usage
from projections.books.as_of import resolve_as_of
from projections.books.statements import Period, statement
from projections.views import balance_blocks
from tests.builders import LawfulLog
from tests.projections.books.asking import Stored, ask, stored
from tests.projections.conftest import Books
from tests.projections.driving import run_to_head
from tests.projections.hand_made import (
    ACCOUNT,
    KEY,
    Log,
    adjusted,
    credit,
    refunded,
    reserved,
    settled,
)

MICROSECOND = timedelta(microseconds=1)


def lines_by_hand(
    events: list[Stored], account_id: UUID, since: datetime, until: datetime, as_of: int
) -> tuple[int, int, list[tuple[int, int, int]]]:
    """Opening and closing posted, and (position, amount, balance) of each line."""
    balance = opening = 0
    lines = []
    for event in events[:as_of]:
        if event.account_id != account_id or event.recorded_at >= until:
            continue
        match event.topic:
            case "credit.CreditGranted.v1":
                amount = event.data["amount_nanos"]
            case "charge.UsageSettled.v1":
                amount = -event.data["charged_nanos"]
            case "charge.ChargeAdjusted.v1":
                amount = -event.data["delta_nanos"]
            case "adjustment.AdjustmentPosted.v1" if event.data.get("amount_nanos"):
                amount = event.data["amount_nanos"]
            case _:
                continue
        balance += amount
        if event.recorded_at < since:
            opening = balance
        else:
            lines.append((event.position, amount, balance))
    return opening, balance, lines


async def pages_of(
    connection: AsyncConnection[Any], account_id: UUID, period: Period
) -> list[Statement]:
    pages: list[Statement] = []
    after: int | None = 0
    while after is not None:
        pages.append(await statement(connection, account_id, period, after=after))
        after = pages[-1].next_after
    return pages


def test_any_period_of_any_account_is_what_the_log_says(books: Books) -> None:
    log = LawfulLog(books.connection, seed=1, accounts=3)
    log.grow(1_600, batch_groups=20)
    run_to_head(books.dsn, books.connection, [balance_blocks.PROJECTION])
    log.grow(300, batch_groups=20)
    events, chance = stored(books), random.Random(1)

    async def question(connection: AsyncConnection[Any]) -> None:
        for _ in range(60):
            since, until = sorted(chance.choice(events).recorded_at for _ in range(2))
            account_id = chance.choice(log.accounts)
            as_of = await resolve_as_of(connection, chance.randrange(len(events) + 1))
            period = Period(as_of, since, until)
            pages = await pages_of(connection, account_id, period)
            lines = [line for page in pages for line in page.lines]
            opening, closing, expected = lines_by_hand(
                events, account_id, since, until, as_of.position
            )
            got = [(each.position, each.amount_nanos, each.balance_nanos) for each in lines]
            assert got == expected
            assert pages[0].opening.standing.posted_nanos == opening
            assert pages[0].closing.standing.posted_nanos == closing

    ask(books, question)


def test_pages_of_any_size_laid_end_to_end_are_the_whole(books: Books) -> None:
    log = LawfulLog(books.connection, seed=2, accounts=2)
    log.grow(900)
    account_id = log.accounts[1]

    async def question(connection: AsyncConnection[Any]) -> None:
        period = Period(await resolve_as_of(connection, None))
        whole = await statement(connection, account_id, period)
        assert whole.next_after is None
        pages = await pages_of(connection, account_id, period)
        assert [line for page in pages for line in page.lines] == list(whole.lines)
        for limit in (1, 7, 100):
            lines: list[StatementLine] = []
            after: int | None = 0
            while after is not None:
                page = await statement(connection, account_id, period, after=after, limit=limit)
                assert len(page.lines) <= limit
                assert (page.opening, page.closing) == (whole.opening, whole.closing)
                lines += page.lines
                after = page.next_after
            assert lines == list(whole.lines)
        behind = await statement(connection, account_id, period, after=10**9)
        assert (behind.lines, behind.next_after) == ((), None)

    ask(books, question)


def test_what_a_line_says(books: Books) -> None:
    log = Log(books)
    log.add(ACCOUNT, AccountOpened(account_id=ACCOUNT, group="default", actor="root"))
    granted = entity_id()
    first = log.add(granted, msgspec.structs.replace(credit(1_000), source="top_up", method="card"))
    call, free, failed = charge_id(), charge_id(), charge_id()
    second = log.add(call, reserved(100), settled(100, Usage(input=10), 30))
    third = log.add(free, reserved(0), settled(0, Usage(), 0))
    log.add(failed, reserved(60), refunded(60))
    fourth = log.add(call, adjusted(-12))
    log.add(charge_id(), reserved(200))
    found = whole(books)
    assert [
        (line.position, line.kind, line.amount_nanos, line.balance_nanos, line.detail)
        for line in found.lines
    ] == [
        (first, "credit", 1_000, 1_000, "top_up:card"),
        (second, "charge", -30, 970, "complete"),
        (third, "charge", 0, 970, "complete"),
        (fourth, "adjustment", 12, 982, "refund"),
    ]
    assert [(line.reference, line.model, line.key_id) for line in found.lines] == [
        (granted, "", None),
        (call, "vendor/m", KEY),
        (free, "vendor/m", KEY),
        (call, "vendor/m", KEY),
    ]
    assert found.closing.standing == Standing(982, 200, 1, 1_000, 30, 12, 1, 2, 1)
    assert found.closing.standing.available_nanos == 782
    assert (found.opening.position, found.opening.standing.posted_nanos) == (0, 0)
    assert [line.recorded_at for line in found.lines] == [
        log.recorded_at(each) for each in (first, second, third, fourth)
    ]


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(books: Books) -> None:
    log = Log(books)
    positions = [log.add(entity_id(), credit(amount)) for amount in (1, 2, 4, 8)]
    times = [log.recorded_at(position) for position in positions]

    async def question(connection: AsyncConnection[Any]) -> None:
        as_of = await resolve_as_of(connection, None)
        for since, until, amounts in (
            (times[1], times[3], [2, 4]),
            (times[1] + MICROSECOND, times[3] + MICROSECOND, [4, 8]),
            (None, times[0], []),
            (times[3] + MICROSECOND, None, []),
            (times[2], times[2], []),
            (None, None, [1, 2, 4, 8]),
        ):
            found = await statement(connection, ACCOUNT, Period(as_of, since, until))
            assert [line.amount_nanos for line in found.lines] == amounts
            opening = found.opening.standing.posted_nanos
            assert found.closing.standing.posted_nanos == opening + sum(amounts)

    ask(books, question)


def test_a_statement_as_of_then_never_changes(books: Books) -> None:
    log = LawfulLog(books.connection, seed=3, accounts=2)
    log.grow(500)
    account_id = log.accounts[1]

    async def question(connection: AsyncConnection[Any]) -> bytes:
        as_of = await resolve_as_of(connection, 450)
        found = await statement(connection, account_id, Period(replace(as_of, head=0)))
        return msgspec.json.encode(found)

    before = ask(books, question)
    log.grow(700)
    run_to_head(books.dsn, books.connection, [balance_blocks.PROJECTION])
    assert ask(books, question) == before


def whole(books: Books) -> Statement:
    async def question(connection: AsyncConnection[Any]) -> Statement:
        return await statement(connection, ACCOUNT, Period(await resolve_as_of(connection, None)))

    return ask(books, question)


@pytest.fixture
def lawful(books: Books) -> Statement:
    log = Log(books)
    log.add(entity_id(), credit(1_000))
    call = charge_id()
    log.add(call, reserved(100), settled(100, Usage(input=10), 30))
    log.add(call, adjusted(-12))
    found = whole(books)
    found.check()
    return found


def test_a_statement_that_does_not_add_up_is_refused(lawful: Statement) -> None:
    first, second, third = lawful.lines
    closing = lawful.closing
    structs = msgspec.structs

    def standing(**changes: int) -> Any:  # noqa: ANN401 - a BalanceAt
        changed = structs.replace(closing.standing, **changes)
        return structs.replace(closing, standing=changed)

    for broken in (
        replace(lawful, lines=(second, third)),
        replace(lawful, lines=(first, third)),
        replace(lawful, lines=(first, second)),
        replace(lawful, lines=(first, second, third, third)),
        replace(lawful, lines=(first, structs.replace(second, amount_nanos=-31), third)),
        replace(lawful, lines=(first, second, structs.replace(third, kind="charge"))),
        replace(lawful, carried_nanos=1),
        replace(lawful, closing=standing(posted_nanos=983)),
        replace(lawful, closing=standing(posted_nanos=983, credited_nanos=1_001)),
        replace(lawful, closing=standing(credits=2)),
        replace(lawful, closing=standing(held_nanos=-1)),
    ):
        with pytest.raises(StatementBroken):
            broken.check()
