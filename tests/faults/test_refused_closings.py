"""A21: whatever a closing is refused for, the charge is closed in the end, and nothing is held."""

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from gateway.call.charges import open_charge
from ledger.errors import (
    AlreadyClosed,
    NotReserved,
    OutOfRange,
    OverBudget,
    StoreUnavailable,
    UnpricedService,
    WriterBusy,
)
from tests.fake_provider import whole
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, Stage
from tests.running import until

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
STATES = {
    "a value the database does not take": "22003",
    "a row it does not take": "23514",
    "a duplicate": "23505",
}
IN_THE_WAY = {
    "no right to": "42501",
    "no such table": "42P01",
    "the disk is full": "53100",
    "a trigger": "P0001",
}


@contextlib.contextmanager
def refusing(stage: Stage, state: str) -> Iterator[None]:
    """The database refuses settlements with this SQLSTATE."""
    with psycopg.connect(stage.owner_dsn, autocommit=True) as connection:
        connection.execute(
            "create function ledger.refuse_settlement() returns trigger language plpgsql as "
            f"$$ begin raise exception 'no' using errcode = '{state}'; end $$"
        )
        connection.execute(
            "create trigger refuse_settlement before insert on ledger.event for each row "
            "when (new.topic = 'charge.UsageSettled.v1') "
            "execute function ledger.refuse_settlement()"
        )
        try:
            yield
        finally:
            connection.execute("drop trigger refuse_settlement on ledger.event")
            connection.execute("drop function ledger.refuse_settlement()")


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_a21_a_settlement_that_will_never_be_stored_is_a_refund(stage: Stage, state: str) -> None:
    payer = stage.books.payer(1)
    stage.provider.scripts["fine"] = whole()
    with refusing(stage, state):
        stage.gateway.client(payer.key).chat(MODEL)
        until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 10, "it is closed")
    (story,) = stage.books.stories(payer.account_id)
    assert story.names == ["QuotaReserved", "RefundIssued"]
    assert (story.refunded.reason, len(story.refunded.attempts)) == ("unsettled", 1)
    assert stage.books.balance(payer.account_id).posted_nanos == 10**9


@pytest.mark.parametrize("state", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_a21_a_settlement_that_cannot_be_stored_now_is_stored_later(
    stage: Stage, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_charge, "CLOSE_WITHIN_S", 0.3)
    payer = stage.books.payer(1)
    with refusing(stage, state):
        stage.gateway.client(payer.key).chat(MODEL, stream=True, metadata={"script": "fine_stream"})
        assert stage.books.balance(payer.account_id).held_nanos > 0
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 10, "it is closed")
    (story,) = stage.books.stories(payer.account_id)
    assert story.settled.charged_nanos == MEASURED


def test_a21_every_refusal_of_the_ledger_ends_a_settlement_or_is_waited_for() -> None:
    never = (OutOfRange("x"), AlreadyClosed("x"), NotReserved("x"), UnpricedService("x"))
    later = (StoreUnavailable("x"), WriterBusy("x"))
    assert all(isinstance(each, open_charge._REFUSALS) for each in never)
    assert not any(isinstance(each, open_charge._REFUSALS) for each in later)
    assert all(isinstance(each, open_charge._IN_THE_WAY) for each in later)
    assert issubclass(OverBudget, open_charge._REFUSALS)
