"""A11: a hold priced by what is not the newest any more is not stored, and priced again."""

from collections.abc import Iterator

import pytest

from ledger.errors import Outdated, OverBudget, VersionConflict
from ledger.store.append import Group, Guard, NewEvent, Outcome, prepare
from ledger.streams.price import PriceSet, price_stream_id
from tests.ledger.building import ONE_NANO_PER_TOKEN, Call, Payer, credit, payer, reserve
from tests.ledger.store.appending import (
    Connection,
    append,
    append_prepared,
    balance,
    connect,
    kept,
    stored,
)
from tests.servers import FreshDatabase

STREAM = price_stream_id("m")


@pytest.fixture
def connection(ledger_database: FreshDatabase) -> Iterator[Connection]:
    with connect(ledger_database.app_dsn) as opened:
        yield opened


@pytest.fixture
def paying(connection: Connection) -> Payer:
    one = payer()
    stored(connection, [credit(one.account_id, 100)])
    return one


def price(version: int, model: str = "m") -> NewEvent:
    event = PriceSet(model=model, price=ONE_NANO_PER_TOKEN, effective_from_us=0, actor="test")
    return NewEvent(price_stream_id(model), version, event)


def hold(paying: Payer, known_version: int, amount_nanos: int = 10) -> Group:
    events = Call().next(reserve(paying.cover(), amount_nanos))
    return prepare(events, Guard(STREAM, known_version))


def refusals(outcomes: list[Outcome]) -> list[type | None]:
    return [None if one.refusal is None else type(one.refusal) for one in outcomes]


def held_nanos(connection: Connection, paying: Payer) -> int:
    found = balance(connection, paying.account_id)
    assert found is not None
    return found.held_nanos


def test_a11_by_the_newest_price_it_is_stored(connection: Connection, paying: Payer) -> None:
    stored(connection, [price(1)])
    assert refusals(append_prepared(connection, hold(paying, 1)).outcomes) == [None]
    assert held_nanos(connection, paying) == 10


def test_a11_by_an_older_one_it_is_refused_and_moves_nothing(
    connection: Connection, paying: Payer
) -> None:
    stored(connection, [price(1)])
    stored(connection, [price(2)])
    assert refusals(append_prepared(connection, hold(paying, 1)).outcomes) == [Outdated]
    assert held_nanos(connection, paying) == 0
    assert [row.recorded.position for row in kept(connection)] == [1, 2, 3]


def test_a11_its_neighbours_are_stored_and_judged_as_ever(
    connection: Connection, paying: Payer
) -> None:
    stored(connection, [price(1)])
    stored(connection, [price(2)])
    groups = [
        hold(paying, 1, 90),
        hold(paying, 2, 60),
        hold(paying, 2, 50),
        hold(paying, 1),
        hold(paying, 2, 40),
    ]
    outcomes = append_prepared(connection, *groups).outcomes
    assert refusals(outcomes) == [Outdated, None, OverBudget, Outdated, None]
    short = outcomes[2].refusal
    assert isinstance(short, OverBudget)
    assert (short.available_nanos, short.needed_nanos) == (40, 50)
    assert held_nanos(connection, paying) == 100
    positions = [place for one in outcomes for place in one.positions]
    assert positions == [4, 5]


def test_a11_a_price_of_the_same_batch_stands_before_the_hold(
    connection: Connection, paying: Payer
) -> None:
    stored(connection, [price(1)])
    outcomes = append_prepared(connection, prepare([price(2)]), hold(paying, 1)).outcomes
    assert refusals(outcomes) == [None, Outdated]


def test_a11_a_price_of_another_model_is_nothing_to_it(
    connection: Connection, paying: Payer
) -> None:
    stored(connection, [price(1)])
    batch = (prepare([price(1, "n")]), hold(paying, 1))
    assert refusals(append_prepared(connection, *batch).outcomes) == [None, None]


def test_a11_what_was_stored_before_stays_so_whatever_has_changed(
    connection: Connection, paying: Payer
) -> None:
    """As after a lost connection: the very same batch is sent again."""
    stored(connection, [price(1)])
    batch = [hold(paying, 1), hold(paying, 1)]
    first = append_prepared(connection, *batch).outcomes
    stored(connection, [price(2)])
    again = append_prepared(connection, *batch, hold(paying, 1)).outcomes
    assert refusals(again) == [None, None, Outdated]
    assert [one.positions for one in again[:2]] == [one.positions for one in first]
    assert [one.was_stored_before for one in again[:2]] == [True, True]
    assert held_nanos(connection, paying) == 20


def test_a11_where_groups_are_of_one_stream_it_is_told_as_well(
    connection: Connection, paying: Payer
) -> None:
    stored(connection, [price(1)])
    stored(connection, [price(2)])
    call = Call()
    (opening,) = call.next(reserve(paying.cover(), 10))
    groups = [
        prepare([opening], Guard(STREAM, 2)),
        prepare([opening], Guard(STREAM, 1)),
        prepare([NewEvent(opening.stream_id, 1, credit(paying.account_id, 1).event)]),
        hold(paying, 1),
    ]
    outcomes = append_prepared(connection, *groups).outcomes
    assert refusals(outcomes) == [None, None, VersionConflict, Outdated]
    assert outcomes[1].was_stored_before


def test_a11_without_a_guard_nothing_is_asked(connection: Connection, paying: Payer) -> None:
    stored(connection, [price(1)])
    stored(connection, [price(2)])
    events = Call().next(reserve(paying.cover(), 10))
    assert refusals(append(connection, events).outcomes) == [None]
