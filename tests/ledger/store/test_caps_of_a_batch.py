"""Several caps on one scope in one batch: each hold is judged by its own (E: `min(p_cap)`)."""

from collections.abc import Iterator

import pytest

from ledger.errors import OverBudget
from ledger.ids import entity_id
from ledger.store.append import NewEvent, Outcome
from ledger.streams.charge.events import Window
from tests.ledger.building import Call, Payer, credit, payer, reserve
from tests.ledger.store.appending import Connection, append, balance, connect, stored
from tests.servers import FreshDatabase


@pytest.fixture
def connection(ledger_database: FreshDatabase) -> Iterator[Connection]:
    with connect(ledger_database.app_dsn) as opened:
        yield opened


def hold(paying: Payer, amount_nanos: int, **limits: object) -> list[NewEvent]:
    return Call().next(reserve(paying.cover(**limits), amount_nanos))


def told(outcomes: list[Outcome]) -> list[tuple[int, int] | None]:
    """Of each group what was available and needed, where it was refused for that; else None."""
    found: list[tuple[int, int] | None] = []
    for outcome in outcomes:
        refusal = outcome.refusal
        assert refusal is None or isinstance(refusal, OverBudget)
        short = None if refusal is None else (refusal.available_nanos, refusal.needed_nanos)
        found.append(short)
    return found


def test_e_a_generous_cap_does_not_excuse_a_narrow_one(connection: Connection) -> None:
    """Of 100 the first takes 60 under an overdraft of 1,000; the second has none, and 40 left."""
    paying = payer()
    stored(connection, [credit(paying.account_id, 100)])
    outcomes = append(
        connection, hold(paying, 60, overdraft_nanos=1_000), hold(paying, 60)
    ).outcomes
    assert told(outcomes) == [None, (40, 60)]
    left = balance(connection, paying.account_id)
    assert left is not None
    assert (left.posted_nanos, left.held_nanos) == (100, 60)


def test_e_a_narrow_cap_does_not_refuse_a_generous_one(connection: Connection) -> None:
    paying = payer()
    stored(connection, [credit(paying.account_id, 100)])
    outcomes = append(
        connection, hold(paying, 60), hold(paying, 60, overdraft_nanos=1_000)
    ).outcomes
    assert told(outcomes) == [None, None]


def test_e_two_caps_of_a_key_and_of_a_window(connection: Connection) -> None:
    paying, window = payer(), entity_id()
    stored(connection, [credit(paying.account_id, 1_000)])
    of_key = append(
        connection,
        hold(paying, 60, key_limit_nanos=500),
        hold(paying, 60, key_limit_nanos=100),
    ).outcomes
    assert told(of_key) == [None, (40, 60)]
    of_window = append(
        connection,
        hold(paying, 60, windows=(Window(window, 500),)),
        hold(paying, 60, windows=(Window(window, 100),)),
    ).outcomes
    assert told(of_window) == [None, (40, 60)]


def test_e_the_narrowest_cap_counts_within_one_group(connection: Connection) -> None:
    """Two holds that are stored together or not at all."""
    paying = payer()
    stored(connection, [credit(paying.account_id, 100)])
    both = [*hold(paying, 60, overdraft_nanos=1_000), *hold(paying, 60)]
    assert told(append(connection, both).outcomes) == [(100, 120)]
    left = balance(connection, paying.account_id)
    assert left is not None
    assert (left.posted_nanos, left.held_nanos) == (100, 0)
