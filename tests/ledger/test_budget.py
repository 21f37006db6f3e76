"""The fold of budgets, event by event, and what of it is stored otherwise."""

from uuid import UUID

import pytest

from ledger import budget
from ledger.budget import BudgetFold, effects, rebuild_budget
from ledger.ids import entity_id
from ledger.pricing import Multiplier
from ledger.store.append import NewEvent
from ledger.store.reader import Balance
from ledger.streams.account import AccountOpened
from ledger.streams.contract import Effect
from ledger.streams.group import GroupSet, group_stream_id
from ledger.usage import Usage
from tests.ledger.building import Call, credit, payer, reserve, settle
from tests.ledger.store.appending import budgets, connect, log, stored
from tests.servers import FreshDatabase


def test_each_event_touches_its_scopes_and_its_account_in_any_case(
    ledger_database: FreshDatabase,
) -> None:
    paying, call = payer(), Call()
    with connect(ledger_database.app_dsn) as connection:
        opened = AccountOpened(account_id=paying.account_id, group="vip", actor="a")
        group = GroupSet(name="vip", multiplier=Multiplier(), actor="a")
        stored(connection, [NewEvent(group_stream_id("vip"), 1, group)])
        stored(connection, [NewEvent(paying.account_id, 1, opened)])
        stored(connection, [credit(paying.account_id, 100)])
        stored(connection, call.next(reserve(paying.cover(), 60)))
        stored(connection, call.next(settle(Usage(input=20))))
        events = log(connection)
        kept = budgets(connection)
    fold = BudgetFold()
    touched = [[(effect.scope, total.seq) for effect, total in fold.add(each)] for each in events]
    account, key = paying.account_id, paying.key_id
    assert touched == [
        [], [(account, 1)], [(account, 2)], [(account, 3), (key, 1)], [(account, 4), (key, 2)],
    ]  # fmt: skip
    assert effects(events[0]) == ()
    assert effects(events[1]) == (Effect(account, 0, 0),)
    assert {scope: total.balance() for scope, total in fold.totals.items()} == {
        account: Balance(80, 0, 4, 5),
        key: Balance(-20, 0, 2, 5),
    }
    assert kept == {account: (0, 80, 4, 5), key: (0, -20, 2, 5)}
    assert {total.account_id for total in fold.totals.values()} == {account}


@pytest.mark.parametrize("column", ["held_nanos", "posted_nanos", "seq", "position"])
def test_every_figure_that_is_stored_otherwise_is_found_and_made_anew(
    ledger_database: FreshDatabase, column: str
) -> None:
    right, lost, invented = entity_id(), entity_id(), UUID(int=5)
    with connect(ledger_database.app_dsn) as connection:
        for account in (right, lost):
            stored(connection, [credit(account, 100)])
        before = budgets(connection)
    with connect(ledger_database.owner_dsn) as owner:
        owner.execute(
            f"update ledger.budget set {column} = {column} + 1 where scope = %s", (right,)
        )
        owner.execute("delete from ledger.budget where scope = %s", (lost,))
        owner.execute("insert into ledger.budget values (%s, 0, 0, 1, 1)", (invented,))
        wrong = {one.scope: one for one in rebuild_budget(ledger_database.owner_dsn)}
        assert wrong.keys() == {right, lost, invented}
        assert (wrong[lost].stored, wrong[lost].folded) == (None, Balance(100, 0, 1, 2))
        assert (wrong[invented].stored, wrong[invented].folded) == (Balance(0, 0, 1, 1), None)
        assert wrong[right].folded == Balance(100, 0, 1, 1)
        assert budgets(owner) == before
        assert rebuild_budget(ledger_database.owner_dsn) == []


def test_a_long_log_is_folded_stretch_by_stretch_before_anybody_waits(
    ledger_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "_NEAR_EVENTS", 10)
    account = entity_id()
    with connect(ledger_database.app_dsn) as connection:
        for _ in range(25):
            stored(connection, [credit(account, 2)])
    with connect(ledger_database.owner_dsn) as owner:
        owner.execute("update ledger.budget set posted_nanos = 7")
        (wrong,) = rebuild_budget(ledger_database.owner_dsn)
        assert wrong.folded == Balance(50, 0, 25, 25)
        assert budgets(owner) == {account: (0, 50, 25, 25)}
