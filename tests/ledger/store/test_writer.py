"""The group-commit writer: every caller learns the truth, and nothing is stored twice."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import psycopg
import pytest

from ledger.errors import NotStored, OverBudget, StoreUnavailable, VersionConflict, WriterBusy
from ledger.ids import entity_id
from ledger.store.append import NewEvent, ScopeBalance
from ledger.store.reader import Balance
from ledger.store.writer import Writer, WriterLimits
from ledger.usage import Usage
from tests.ledger.building import Call, Payer, credit, payer, refund, reserve, settle
from tests.ledger.store.appending import balance, connect, head, log
from tests.ledger.store.cutting_proxy import Fate, cutting
from tests.servers import FreshDatabase

QUICK = WriterLimits(reconnect_pause_s=0.001, reconnect_pause_max_s=0.01)

Told = dict[tuple[UUID, int], int]
"""What callers were told: the position of each stored (stream, version)."""


def with_writer(dsn: str, work: Callable[[Writer], Awaitable[None]]) -> None:
    async def run() -> None:
        writer = Writer(dsn, limits=QUICK)
        await work(writer)
        await writer.close()

    asyncio.run(run())


async def told(writer: Writer, group: Sequence[NewEvent], truth: Told) -> bool:
    """Append, and note what the caller learns."""
    try:
        appended = await writer.append(group)
    except NotStored:
        return False
    for new, position in zip(group, appended.positions, strict=True):
        truth[new.stream_id, new.version] = position
    return True


async def paid_calls(writer: Writer, paying: Payer, appends: int, truth: Told) -> int:
    """Calls one after the other until so many appends were made; returns how many refused."""
    refusals = 0
    while appends > 0:
        call = Call()
        appends -= 1
        if not await told(writer, call.next(reserve(paying.cover(), 10)), truth):
            refusals += 1
        elif appends > 0:
            appends -= 1
            assert await told(writer, call.next(settle(Usage(input=10))), truth)
    return refusals


def assert_told_the_truth(database: FreshDatabase, truth: Told) -> None:
    with connect(database.app_dsn) as connection:
        events = log(connection)
    assert {(e.stream_id, e.version): e.position for e in events} == truth
    assert [e.position for e in events] == list(range(1, len(events) + 1))


def test_after_200_cuts_behind_the_commit_each_caller_knows_and_nothing_is_twice(
    ledger_database: FreshDatabase, is_long: bool
) -> None:
    appends = 5_000 if is_long else 200
    fates = [Fate.DROP_ANSWER, Fate.PASS] * (appends + 1)
    paying, truth = payer(), Told()

    async def run() -> None:
        async with cutting(ledger_database.app_dsn, fates) as proxy:
            writer = Writer(proxy.dsn, limits=QUICK)
            enough_for = appends // 4
            await told(writer, [credit(paying.account_id, 10 * enough_for)], truth)
            refusals = await paid_calls(writer, paying, appends, truth)
            await writer.close()
            assert refusals == appends - 2 * enough_for
            assert proxy.cuts == appends + 1
            assert proxy.appends == 2 * proxy.cuts

    asyncio.run(run())
    assert_told_the_truth(ledger_database, truth)
    with connect(ledger_database.app_dsn) as connection:
        now = balance(connection, paying.account_id)
        assert now is not None
        assert (now.posted_nanos, now.held_nanos) == (0, 0)


def test_concurrent_callers_learn_the_truth_wherever_the_connection_is_cut(
    ledger_database: FreshDatabase, is_long: bool
) -> None:
    cuts = [Fate.DROP_ANSWER, Fate.CUT_AFTER_REQUEST, Fate.DROP_REQUEST]
    fates = itertools.cycle(
        [Fate.PASS, *itertools.chain.from_iterable((cut, cut, Fate.PASS) for cut in cuts)]
    )
    paying, truth = payer(), Told()

    async def run() -> None:
        async with cutting(ledger_database.app_dsn, fates) as proxy:
            writer = Writer(proxy.dsn, limits=QUICK)
            await told(writer, [credit(paying.account_id, 300)], truth)
            each = 500 if is_long else 20
            callers = [paid_calls(writer, paying, each, truth) for _ in range(10)]
            assert sum(await asyncio.gather(*callers)) > 0
            await writer.close()
            assert proxy.cuts > 20

    asyncio.run(run())
    assert_told_the_truth(ledger_database, truth)


def test_a_refused_hold_whose_first_request_arrives_late_is_not_stored(
    ledger_database: FreshDatabase,
) -> None:
    paying = payer()

    async def run() -> None:
        fates = [Fate.PASS, Fate.DELAY_REQUEST]
        async with cutting(ledger_database.app_dsn, fates) as proxy:
            writer = Writer(proxy.dsn, limits=QUICK)
            await writer.append([credit(entity_id(), 1)])
            with pytest.raises(OverBudget):
                await writer.append(Call().next(reserve(paying.cover(), 10)))
            await writer.append([credit(paying.account_id, 10)])
            assert await proxy.deliver_late() == 1
            await writer.close()

    asyncio.run(run())
    with connect(ledger_database.app_dsn) as connection:
        assert head(connection) == 2
        assert balance(connection, paying.account_id) == Balance(10, 0, 1, 2)


def test_a_cancelled_caller_takes_nothing_back_and_harms_nobody(
    ledger_database: FreshDatabase,
) -> None:
    account_id = entity_id()

    async def work(writer: Writer) -> None:
        with connect(ledger_database.owner_dsn) as blocking:
            with blocking.transaction():
                blocking.execute("select from ledger.head for update")
                in_flight = asyncio.create_task(await_append(writer, [credit(account_id, 1)]))
                await asyncio.sleep(0.05)
                queued = asyncio.create_task(await_append(writer, [credit(account_id, 2)]))
                neighbour = asyncio.create_task(await_append(writer, [credit(account_id, 4)]))
                await asyncio.sleep(0.05)
                in_flight.cancel()
                queued.cancel()
            assert (await neighbour) == (3,)
            assert in_flight.cancelled()
            assert queued.cancelled()

    with_writer(ledger_database.app_dsn, work)
    with connect(ledger_database.app_dsn) as connection:
        assert balance(connection, account_id) == Balance(7, 0, 3, 3)


async def await_append(writer: Writer, group: Sequence[NewEvent]) -> tuple[int, ...]:
    return (await writer.append(group)).positions


def test_what_queues_during_a_commit_is_one_batch_with_releases_first(
    ledger_database: FreshDatabase,
) -> None:
    paying = payer()
    first, second, third = Call(), Call(), Call()

    async def work(writer: Writer) -> None:
        await writer.append([credit(paying.account_id, 10)])
        await writer.append(first.next(reserve(paying.cover(), 10)))
        known = [credit(entity_id(), 1)]
        with connect(ledger_database.owner_dsn) as blocking, blocking.transaction():
            blocking.execute("select from ledger.head for update")
            futures = [writer.append(known)]
            await asyncio.sleep(0.05)
            futures += [
                writer.append(second.next(reserve(paying.cover(), 10))),
                writer.append(third.next(reserve(paying.cover(), 1))),
                writer.append([credit(entity_id(), 1, known[0].stream_id)]),
                writer.append(first.next(refund())),
                writer.append(known),
            ]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        kinds = [type(a) if isinstance(a, BaseException) else a.positions for a in answers]
        assert kinds == [(3,), (5,), OverBudget, VersionConflict, (4,), (3,)]
        assert writer.batches == 4

    with_writer(ledger_database.app_dsn, work)


def test_the_bound_refuses_holds_and_never_closings(ledger_database: FreshDatabase) -> None:
    paying = payer()
    limits = WriterLimits(queued_groups_max=2)

    async def run() -> None:
        writer = Writer(ledger_database.app_dsn, limits=limits)
        await writer.append([credit(paying.account_id, 100)])
        open_call = Call()
        await writer.append(open_call.next(reserve(paying.cover(), 10)))
        with connect(ledger_database.owner_dsn) as blocking, blocking.transaction():
            blocking.execute("select from ledger.head for update")
            futures = [writer.append([credit(entity_id(), 1)])]
            await asyncio.sleep(0.05)
            futures += [writer.append(Call().next(reserve(paying.cover(), 1))) for _ in range(2)]
            with pytest.raises(WriterBusy):
                writer.append(Call().next(reserve(paying.cover(), 1)))
            futures.append(writer.append(open_call.next(refund())))
        assert len(await asyncio.gather(*futures)) == 4
        await writer.close()

    asyncio.run(run())


def test_a9_a_settlement_above_its_hold_passes_while_holds_fill_the_queue(
    ledger_database: FreshDatabase,
) -> None:
    paying = payer()
    holds_max = WriterLimits().queued_groups_max

    async def run() -> None:
        writer = Writer(ledger_database.app_dsn)
        await writer.append([credit(paying.account_id, 10**9)])
        dear = Call()
        await writer.append(dear.next(reserve(paying.cover(), 10)))
        with connect(ledger_database.owner_dsn) as blocking, blocking.transaction():
            blocking.execute("select from ledger.head for update")
            first = writer.append([credit(entity_id(), 1)])
            await asyncio.sleep(0.05)
            holds = [
                writer.append(Call().next(reserve(paying.cover(), 1))) for _ in range(holds_max)
            ]
            with pytest.raises(WriterBusy):
                writer.append(Call().next(reserve(paying.cover(), 1)))
            above = writer.append(dear.next(settle(Usage(input=100))))
        appended = await above
        assert appended.positions[0] == (await first).positions[0] + 1, "it waits for no hold"
        assert len(await asyncio.gather(*holds)) == holds_max == 20_000
        await writer.close()

    asyncio.run(run())


def test_a_batch_is_bounded_by_events_and_by_bytes(ledger_database: FreshDatabase) -> None:
    async def run(limits: WriterLimits) -> int:
        writer = Writer(ledger_database.app_dsn, limits=limits)
        await writer.append([credit(entity_id(), 1)])
        futures = [writer.append([credit(entity_id(), 1)]) for _ in range(20)]
        await asyncio.gather(*futures)
        await writer.close()
        return writer.batches - 1

    assert asyncio.run(run(WriterLimits())) == 1
    assert asyncio.run(run(WriterLimits(batch_events_max=5))) == 4
    assert asyncio.run(run(WriterLimits(batch_bytes_max=1))) == 20


def test_every_batch_is_published_with_its_balances_and_streams(
    ledger_database: FreshDatabase,
) -> None:
    paying, seen = payer(), []

    async def publish(
        balances: Sequence[ScopeBalance], streams: Sequence[tuple[UUID, UUID]]
    ) -> bool:
        seen.append((list(balances), list(streams)))
        return len(seen) == 1

    async def run() -> None:
        writer = Writer(ledger_database.app_dsn, publish)
        granted = credit(paying.account_id, 100)
        assert await (await writer.append([granted])).published
        call = Call()
        assert not await (await writer.append(call.next(reserve(paying.cover(), 30)))).published
        await writer.close()
        account, key = paying.account_id, paying.key_id
        assert seen == [
            ([ScopeBalance(account, account, -100, 1)], [(account, granted.stream_id)]),
            (
                sorted(
                    [ScopeBalance(account, account, -70, 2), ScopeBalance(account, key, 30, 2)],
                    key=lambda of: of.scope,
                ),
                [(account, call.stream_id)],
            ),
        ]

    asyncio.run(run())


def test_an_unreachable_database_refuses_holds_at_once_and_keeps_closings(
    ledger_database: FreshDatabase,
) -> None:
    paying = payer()

    async def run() -> None:
        async with cutting(ledger_database.app_dsn) as proxy:
            writer = Writer(proxy.dsn, limits=QUICK)
            call = Call()
            await writer.append([credit(paying.account_id, 10)])
            await writer.append(call.next(reserve(paying.cover(), 10)))
            await proxy.close()
            with pytest.raises(StoreUnavailable):
                await writer.append(Call().next(reserve(paying.cover(), 1)))
            closing = writer.append(call.next(refund()))
            with pytest.raises(StoreUnavailable):
                await writer.append(Call().next(reserve(paying.cover(), 1)))
            assert not closing.done()
            await proxy.listen()
            assert (await closing).positions == (3,)
            await writer.close()

    asyncio.run(run())


def test_connecting_to_nothing_is_store_unavailable(ledger_database: FreshDatabase) -> None:
    async def run() -> None:
        async with cutting(ledger_database.app_dsn) as proxy:
            await proxy.close()
            with pytest.raises(StoreUnavailable):
                await Writer(proxy.dsn).connect()

    asyncio.run(run())


def test_a_statement_that_hangs_is_given_up_and_sent_again(
    ledger_database: FreshDatabase,
) -> None:
    limits = WriterLimits(statement_timeout_s=0.2, reconnect_pause_s=0.001)

    async def run() -> None:
        writer = Writer(ledger_database.app_dsn, limits=limits)
        await writer.connect()
        with connect(ledger_database.owner_dsn) as blocking, blocking.transaction():
            blocking.execute("select from ledger.head for update")
            future = writer.append([credit(entity_id(), 1)])
            await asyncio.sleep(0.5)
            assert not future.done()
        assert (await future).positions == (1,)
        assert writer.reconnects > 1
        await writer.close()

    asyncio.run(run())


def test_a_statement_the_database_refuses_fails_its_callers_and_no_later_ones(
    ledger_database: FreshDatabase,
) -> None:
    async def work(writer: Writer) -> None:
        with connect(ledger_database.owner_dsn) as owner:
            owner.execute("revoke execute on function ledger.append_events from tollgate_app")
            futures = [writer.append([credit(entity_id(), 1)]) for _ in range(3)]
            for future in futures:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await future
            owner.execute("grant execute on function ledger.append_events to tollgate_app")
        assert (await writer.append([credit(entity_id(), 1)])).positions == (1,)

    with_writer(ledger_database.app_dsn, work)


def test_closing_waits_for_what_is_queued(ledger_database: FreshDatabase) -> None:
    async def run() -> None:
        writer = Writer(ledger_database.app_dsn)
        futures = [writer.append([credit(entity_id(), 1)]) for _ in range(10)]
        await writer.close()
        assert all(future.done() for future in futures)

    asyncio.run(run())
    with connect(ledger_database.app_dsn) as connection:
        assert head(connection) == 10
