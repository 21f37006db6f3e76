"""Commands: decided on what is stored, decided again when somebody was faster."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from psycopg_pool import AsyncConnectionPool

from ledger.application import Ledger, Request
from ledger.errors import IdempotencyConflict, NotAllowedNow, NotFound
from ledger.ids import derived_id, entity_id
from ledger.store.writer import Writer
from ledger.streams import account, credit, setting
from ledger.streams.account import SpendingLimits
from tests.ledger.store.appending import connect, head, log
from tests.servers import FreshDatabase


def with_ledgers(dsn: str, count: int, work: Callable[[list[Ledger]], Awaitable[None]]) -> None:
    """Ledgers with a writer each, as in several workers."""

    async def run() -> None:
        async with AsyncConnectionPool(dsn, min_size=1, max_size=8, open=False) as pool:
            writers = [Writer(dsn) for _ in range(count)]
            await work([Ledger(pool, writer) for writer in writers])
            for writer in writers:
                await writer.close()

    asyncio.run(run())


def grant(amount_nanos: int = 5, digest: str = "a" * 64) -> credit.Grant:
    return credit.Grant(
        account_id=derived_id("account", "one"),
        amount_nanos=amount_nanos,
        source="manual",
        request_sha256=digest,
        actor="test",
    )


def test_50_identical_concurrent_credits_over_two_writers_are_one_event(
    ledger_database: FreshDatabase,
) -> None:
    stream_id = derived_id("credit", "api:caller:credits:key")

    async def work(ledgers: list[Ledger]) -> None:
        answers = await asyncio.gather(
            *(ledgers[n % 2].handle(credit.STREAM, stream_id, grant()) for n in range(50))
        )
        stored = [answer.positions for answer in answers if answer is not None]
        assert stored
        assert set(stored) == {(1,)}
        with pytest.raises(IdempotencyConflict):
            await ledgers[0].handle(credit.STREAM, stream_id, grant(6, "b" * 64))

    with_ledgers(ledger_database.app_dsn, 2, work)
    with connect(ledger_database.app_dsn) as connection:
        assert head(connection) == len(log(connection)) == 1


def test_of_different_requests_with_one_key_the_first_wins_and_the_others_conflict(
    ledger_database: FreshDatabase,
) -> None:
    stream_id = entity_id()

    async def work(ledgers: list[Ledger]) -> None:
        requests = [grant(n + 1, f"{n:064}") for n in range(20)]
        answers = await asyncio.gather(
            *(ledgers[n % 2].handle(credit.STREAM, stream_id, r) for n, r in enumerate(requests)),
            return_exceptions=True,
        )
        kinds = sorted(type(answer).__name__ for answer in answers)
        assert kinds == ["Appended", *["IdempotencyConflict"] * 19]

    with_ledgers(ledger_database.app_dsn, 2, work)
    with connect(ledger_database.app_dsn) as connection:
        assert head(connection) == 1


def test_whoever_was_slower_decides_again(ledger_database: FreshDatabase) -> None:
    stream_id = entity_id()

    async def work(ledgers: list[Ledger]) -> None:
        commands = [setting.ChangeSetting(name="n", value=str(n), actor="a") for n in range(6)]
        await asyncio.gather(
            *(ledgers[n % 2].handle(setting.STREAM, stream_id, c) for n, c in enumerate(commands))
        )
        events = await ledgers[0].events(stream_id)
        assert [event.version for event in events] == [1, 2, 3, 4, 5, 6]
        state = await ledgers[0].state(setting.STREAM, stream_id)
        assert state.version == 6

    with_ledgers(ledger_database.app_dsn, 2, work)


def test_commands_that_belong_together_are_stored_together_or_not_at_all(
    ledger_database: FreshDatabase,
) -> None:
    account_id, credit_id = entity_id(), entity_id()
    opening = Request(account.STREAM, account_id, account.Open(account_id, "default", "a"))

    async def work(ledgers: list[Ledger]) -> None:
        (ledger,) = ledgers
        closed = Request(account.STREAM, entity_id(), account.Suspend("a"))
        with pytest.raises(NotFound):
            await ledger.handle_together([opening, closed])
        assert await ledger.events(account_id) == []
        both = await ledger.handle_together([opening, Request(credit.STREAM, credit_id, grant())])
        assert both is not None
        assert both.positions == (1, 2)
        with pytest.raises(NotAllowedNow):
            await ledger.handle_together([opening])

    with_ledgers(ledger_database.app_dsn, 1, work)


def test_a_command_that_changes_nothing_stores_nothing(ledger_database: FreshDatabase) -> None:
    account_id = entity_id()

    async def work(ledgers: list[Ledger]) -> None:
        (ledger,) = ledgers
        await ledger.handle(account.STREAM, account_id, account.Open(account_id, "g", "a"))
        same = account.SetLimits(SpendingLimits(), "g", "a")
        assert await ledger.handle(account.STREAM, account_id, same) is None

    with_ledgers(ledger_database.app_dsn, 1, work)
