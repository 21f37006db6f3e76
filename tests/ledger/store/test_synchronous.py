"""The command line's writer gives the answers of the serving one."""

import asyncio
from collections.abc import Callable, Iterable

import pytest

from ledger.errors import OutcomeUnknown, OverBudget, StoreUnavailable, VersionConflict
from ledger.ids import entity_id
from ledger.store.synchronous import SynchronousWriter
from tests.ledger.building import Call, credit, payer, refund, reserve
from tests.ledger.store.appending import connect, head
from tests.ledger.store.cutting_proxy import CuttingProxy, Fate, cutting
from tests.servers import FreshDatabase


def through_proxy(dsn: str, fates: Iterable[Fate], work: Callable[[CuttingProxy], None]) -> None:
    """Run blocking work in a thread while the proxy serves it."""

    async def run() -> None:
        async with cutting(dsn, fates) as proxy:
            await asyncio.to_thread(work, proxy)

    asyncio.run(run())


def test_it_stores_refuses_and_recognises(ledger_database: FreshDatabase) -> None:
    paying, call = payer(), Call()
    with SynchronousWriter(ledger_database.app_dsn) as writer:
        granted = [credit(paying.account_id, 10), credit(paying.account_id, 5)]
        assert writer.append(granted) == (1, 2)
        assert writer.append(granted) == (1, 2)
        with pytest.raises(OverBudget):
            writer.append(Call().next(reserve(paying.cover(), 16)))
        with pytest.raises(VersionConflict):
            writer.append([credit(paying.account_id, 6, granted[0].stream_id)])
        assert writer.append(call.next(reserve(paying.cover(), 15))) == (3,)
        assert writer.append(call.next(refund())) == (4,)


@pytest.mark.parametrize("fate", [Fate.DROP_ANSWER, Fate.CUT_AFTER_REQUEST, Fate.DROP_REQUEST])
def test_a_lost_connection_is_followed_by_the_truth(
    ledger_database: FreshDatabase, fate: Fate
) -> None:
    paying = payer()

    def work(proxy: CuttingProxy) -> None:
        with SynchronousWriter(proxy.dsn) as writer:
            assert writer.append([credit(paying.account_id, 10)]) == (1,)
            assert writer.append(Call().next(reserve(paying.cover(), 10))) == (2,)
            with pytest.raises(OverBudget):
                writer.append(Call().next(reserve(paying.cover(), 1)))
        assert proxy.cuts == 4

    through_proxy(
        ledger_database.app_dsn, [fate, Fate.PASS, fate, fate, Fate.PASS, fate, Fate.PASS], work
    )
    with connect(ledger_database.app_dsn) as connection:
        assert head(connection) == 2


def test_a_database_that_does_not_come_back_leaves_the_outcome_unknown(
    ledger_database: FreshDatabase,
) -> None:
    granted = [credit(entity_id(), 10)]

    def work(proxy: CuttingProxy) -> None:
        with SynchronousWriter(proxy.dsn, patience_s=0.0) as writer:
            with pytest.raises(OutcomeUnknown):
                writer.append(granted)
            assert writer.append(granted) == (1,)

    through_proxy(ledger_database.app_dsn, [Fate.DROP_ANSWER], work)


def test_a_database_that_is_not_there_is_store_unavailable(
    ledger_database: FreshDatabase,
) -> None:
    async def run() -> None:
        async with cutting(ledger_database.app_dsn) as proxy:
            await proxy.close()
            writer = SynchronousWriter(proxy.dsn)
            with pytest.raises(StoreUnavailable):
                await asyncio.to_thread(writer.append, [credit(entity_id(), 1)])

    asyncio.run(run())
