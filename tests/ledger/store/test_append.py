"""The append function: the database decides, whole groups, one order, no neighbour harmed."""

import threading
from collections.abc import Iterator

import psycopg
import pytest

from ledger.codec import encode
from ledger.errors import OutOfRange, OverBudget, VersionConflict
from ledger.ids import entity_id
from ledger.pricing import Multiplier
from ledger.store.append import NewEvent, prepare
from ledger.store.reader import Balance
from ledger.streams.account import AccountOpened
from ledger.streams.charge.events import Window
from ledger.streams.group import GroupSet, group_stream_id
from ledger.usage import Usage
from tests.ledger.building import Call, credit, payer, refund, reserve, samples, settle
from tests.ledger.store.appending import (
    Connection,
    append,
    balance,
    budgets,
    connect,
    head,
    kept,
    log,
    refused,
    stored,
)
from tests.servers import FreshDatabase


@pytest.fixture
def connection(ledger_database: FreshDatabase) -> Iterator[Connection]:
    with connect(ledger_database.app_dsn) as opened:
        yield opened


def test_every_event_is_stored_as_encoded_with_dense_positions_and_its_leaf(
    connection: Connection,
) -> None:
    every = samples()
    given = [every[0], *every]  # two holds, for there are two closings
    for event in given:
        stored(connection, [NewEvent(entity_id(), 1, event)])
    rows = kept(connection)
    assert [row.recorded.event for row in rows] == given
    assert [row.state for row in rows] == [encode(event) for event in given]
    assert [row.recorded.position for row in rows] == list(range(1, len(given) + 1))
    assert all(row.leaf == row.expected_leaf() for row in rows)


def test_positions_of_two_concurrent_writers_are_dense_and_in_commit_order(
    ledger_database: FreshDatabase,
) -> None:
    account_id = entity_id()
    seen: list[list[int]] = [[], []]

    def write(number: int) -> None:
        with connect(ledger_database.app_dsn) as own:
            for _ in range(50):
                pair = [credit(account_id, 1), credit(account_id, 2)]
                seen[number] += stored(own, pair)

    threads = [threading.Thread(target=write, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connect(ledger_database.app_dsn) as own:
        events = log(own)
        assert head(own) == 200
    assert [event.position for event in events] == list(range(1, 201))
    assert [event.account_seq for event in events] == list(range(1, 201))
    assert sorted(seen[0] + seen[1]) == list(range(1, 201))
    assert seen[0] == sorted(seen[0])
    times = [event.recorded_at for event in events]
    assert times == sorted(times)


def test_recorded_at_never_decreases_even_when_the_clock_jumped_back(
    ledger_database: FreshDatabase, connection: Connection
) -> None:
    with connect(ledger_database.owner_dsn) as owner:
        owner.execute("update ledger.head set recorded_at = recorded_at + interval '1 hour'")
    stored(connection, [credit(entity_id(), 1)])
    stored(connection, [credit(entity_id(), 1)])
    first, second = log(connection)
    assert first.recorded_at == second.recorded_at
    assert all(row.leaf == row.expected_leaf() for row in kept(connection))


def test_a_hold_beyond_the_balance_is_refused_and_names_scope_available_and_needed(
    connection: Connection,
) -> None:
    paying = payer()
    stored(connection, [credit(paying.account_id, 100)])
    refusal = refused(connection, Call().next(reserve(paying.cover(), 101)))
    assert isinstance(refusal, OverBudget)
    assert (refusal.scope, refusal.available_nanos, refusal.needed_nanos) == (
        paying.account_id,
        100,
        101,
    )
    assert head(connection) == 1
    stored(connection, Call().next(reserve(paying.cover(), 100)))
    assert balance(connection, paying.account_id) == Balance(100, 100, 2, 2)


def test_an_overdraft_lets_a_hold_go_below_nothing_as_far_as_it_says(
    connection: Connection,
) -> None:
    paying = payer()
    cover = paying.cover(overdraft_nanos=30)
    assert isinstance(refused(connection, Call().next(reserve(cover, 31))), OverBudget)
    stored(connection, Call().next(reserve(cover, 30)))


def test_a_key_and_a_window_have_caps_of_their_own(connection: Connection) -> None:
    paying = payer()
    stored(connection, [credit(paying.account_id, 1_000)])
    narrow = paying.cover(key_limit_nanos=50)
    refusal = refused(connection, Call().next(reserve(narrow, 51)))
    assert isinstance(refusal, OverBudget)
    assert refusal.scope == paying.key_id
    window = Window(entity_id(), 20)
    refusal = refused(connection, Call().next(reserve(paying.cover(windows=(window,)), 21)))
    assert isinstance(refusal, OverBudget)
    assert refusal.scope == window.scope
    assert budgets(connection).keys() == {paying.account_id}


def test_a_spent_limit_stays_spent_after_the_call(connection: Connection) -> None:
    paying = payer()
    stored(connection, [credit(paying.account_id, 1_000)])
    call = Call()
    stored(connection, call.next(reserve(paying.cover(key_limit_nanos=50), 50)))
    stored(connection, call.next(settle(Usage(input=40))))
    again = paying.cover(key_limit_nanos=50)
    assert isinstance(refused(connection, Call().next(reserve(again, 11))), OverBudget)
    stored(connection, Call().next(reserve(again, 10)))


def test_holding_nothing_needs_no_cover(connection: Connection) -> None:
    paying = payer()
    stored(connection, Call().next(reserve(paying.cover(), 0)))
    assert balance(connection, paying.account_id) == Balance(0, 0, 1, 1)


def test_refused_and_duplicate_groups_leave_their_neighbours_alone(
    connection: Connection,
) -> None:
    paying = payer()
    known = credit(paying.account_id, 100)
    assert stored(connection, [known]) == (1,)
    conflicting = credit(paying.account_id, 7, known.stream_id)
    before, after = credit(paying.account_id, 10), credit(paying.account_id, 20)
    too_much, fits = Call(), Call()
    answer = append(
        connection,
        [before],
        [conflicting],
        [known],
        [after],
        too_much.next(reserve(paying.cover(), 131)),
        fits.next(reserve(paying.cover(), 130)),
    )
    assert [outcome.positions for outcome in answer.outcomes] == [(2,), (), (1,), (3,), (), (4,)]
    assert [outcome.was_stored_before for outcome in answer.outcomes] == [
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    assert [type(outcome.refusal) for outcome in answer.outcomes] == [
        type(None),
        VersionConflict,
        type(None),
        type(None),
        OverBudget,
        type(None),
    ]
    assert balance(connection, paying.account_id) == Balance(130, 130, 4, 4)
    assert [event.account_seq for event in log(connection)] == [1, 2, 3, 4]
    of_account = next(b for b in answer.balances if b.scope == paying.account_id)
    assert (of_account.used_nanos, of_account.position) == (0, 4)


def test_a_group_is_stored_whole_or_not_at_all(connection: Connection) -> None:
    paying = payer()
    taken = credit(paying.account_id, 5)
    stored(connection, [taken])
    pair = [credit(paying.account_id, 1), credit(paying.account_id, 6, taken.stream_id)]
    assert isinstance(refused(connection, pair), VersionConflict)
    half_known = [credit(paying.account_id, 1), taken]
    assert isinstance(refused(connection, half_known), VersionConflict)
    assert balance(connection, paying.account_id) == Balance(5, 0, 1, 1)
    assert head(connection) == 1


def test_releases_in_a_batch_make_room_for_its_holds(connection: Connection) -> None:
    paying = payer()
    stored(connection, [credit(paying.account_id, 100)])
    first, second = Call(), Call()
    stored(connection, first.next(reserve(paying.cover(), 100)))
    answer = append(connection, first.next(refund()), second.next(reserve(paying.cover(), 100)))
    assert [outcome.positions for outcome in answer.outcomes] == [(3,), (4,)]


def test_the_very_same_events_again_give_the_first_positions(connection: Connection) -> None:
    paying = payer()
    granted = [credit(paying.account_id, 100)]
    call = Call()
    held = call.next(reserve(paying.cover(), 100))
    settled = call.next(settle(Usage(input=60)))
    groups = [granted, held, settled]
    assert [stored(connection, group) for group in groups] == [(1,), (2,), (3,)]
    # Each of them would be refused for its money now, were it new.
    assert [stored(connection, group) for group in groups] == [(1,), (2,), (3,)]
    assert [o.positions for o in append(connection, *groups).outcomes] == [(1,), (2,), (3,)]
    assert balance(connection, paying.account_id) == Balance(40, 0, 3, 3)
    assert head(connection) == 3


def test_a_hold_sent_again_is_recognised_although_it_used_up_the_balance(
    connection: Connection,
) -> None:
    paying = payer()
    stored(connection, [credit(paying.account_id, 100)])
    held = Call().next(reserve(paying.cover(), 100))
    assert stored(connection, held) == stored(connection, held)


def test_identical_groups_in_one_batch_are_stored_once(connection: Connection) -> None:
    granted = [credit(entity_id(), 100)]
    answer = append(connection, granted, granted, granted)
    assert [outcome.positions for outcome in answer.outcomes] == [(1,), (1,), (1,)]
    assert len(log(connection)) == 1


def test_a_charge_closed_by_two_nodes_is_closed_once(connection: Connection) -> None:
    paying = payer()
    stored(connection, [credit(paying.account_id, 100)])
    call = Call()
    stored(connection, call.next(reserve(paying.cover(), 100)))
    here, there = Call(), Call()
    here.stream_id = there.stream_id = call.stream_id
    here.state = there.state = call.state
    stored(connection, here.next(settle(Usage(input=60))))
    assert isinstance(refused(connection, there.next(refund())), VersionConflict)
    assert balance(connection, paying.account_id) == Balance(40, 0, 3, 3)


def test_a_second_closing_at_a_later_version_is_a_conflict_too(connection: Connection) -> None:
    paying = payer()
    stored(connection, [credit(paying.account_id, 100)])
    call, other = Call(), Call()
    stored(connection, call.next(reserve(paying.cover(), 40)))
    refunded = call.next(refund())
    stored(connection, refunded)
    again = [refunded[0]._replace(version=3)]
    assert isinstance(refused(connection, again), VersionConflict)
    # With another hold open its release would even fit.
    stored(connection, other.next(reserve(paying.cover(), 60)))
    assert isinstance(refused(connection, again), VersionConflict)
    twice = Call()
    stored(connection, twice.next(reserve(paying.cover(), 10)))
    (closing,) = twice.next(refund())
    both = [closing, closing._replace(version=3)]
    assert isinstance(refused(connection, both), VersionConflict)


def test_the_owner_cannot_close_twice_either(
    ledger_database: FreshDatabase, connection: Connection
) -> None:
    paying = payer()
    stored(connection, [credit(paying.account_id, 100)])
    call = Call()
    stored(connection, call.next(reserve(paying.cover(), 40)))
    stored(connection, call.next(refund()))
    with (
        connect(ledger_database.owner_dsn) as owner,
        pytest.raises(psycopg.errors.UniqueViolation, match="event_closing"),
    ):
        owner.execute(
            "insert into ledger.event select originator_id, 3, 'charge.UsageSettled.v1', state, 4, "
            "recorded_at, account_id, 4, leaf from ledger.event where position = 3"
        )


@pytest.mark.parametrize("version", [2, 3, 99])
def test_a_version_without_its_predecessor_is_refused(connection: Connection, version: int) -> None:
    gap = [credit(entity_id(), 1)._replace(version=version)]
    assert isinstance(refused(connection, gap), VersionConflict)
    assert head(connection) == 0
    assert budgets(connection) == {}


def test_versions_may_follow_each_other_within_a_group(connection: Connection) -> None:
    stream_id = group_stream_id("vip")
    pair = [
        NewEvent(stream_id, n, GroupSet(name="vip", multiplier=Multiplier(n), actor="a"))
        for n in (1, 2)
    ]
    assert isinstance(refused(connection, pair[::-1]), VersionConflict)
    assert stored(connection, pair) == (1, 2)


def test_a_balance_beyond_the_range_is_refused_and_the_neighbours_are_not(
    connection: Connection,
) -> None:
    rich, other = entity_id(), entity_id()
    huge = 4_000_000_000_000_000_000
    answer = append(
        connection,
        [credit(rich, huge)],
        [credit(rich, 1)],
        [credit(rich, 2**63 - 1)],
        [credit(other, 1)],
    )
    assert [type(outcome.refusal) for outcome in answer.outcomes] == [
        type(None),
        OutOfRange,
        OutOfRange,
        type(None),
    ]
    assert balance(connection, rich) == Balance(huge, 0, 1, 1)
    assert head(connection) == 2


def test_more_than_was_held_is_never_released(connection: Connection) -> None:
    paying = payer()
    call = Call()
    call.next(reserve(paying.cover(), 10))
    never_held = [new._replace(version=1) for new in call.next(refund())]
    assert isinstance(refused(connection, never_held), OutOfRange)


def test_an_amount_beyond_eight_bytes_is_refused_before_it_is_sent() -> None:
    with pytest.raises(OutOfRange):
        prepare([credit(entity_id(), 2**63)])


def test_an_events_own_account_is_numbered_though_no_money_moves(connection: Connection) -> None:
    account_id = entity_id()
    opened = AccountOpened(account_id=account_id, group="default", actor="a")
    answer = append(connection, [NewEvent(account_id, 1, opened)], [credit(account_id, 1)])
    assert [outcome.positions for outcome in answer.outcomes] == [(1,), (2,)]
    assert [event.account_seq for event in log(connection)] == [1, 2]
    assert balance(connection, account_id) == Balance(1, 0, 2, 2)


def test_account_numbers_of_interleaved_accounts_are_gapless(connection: Connection) -> None:
    one, other = entity_id(), entity_id()
    taken = credit(other, 9)
    stored(connection, [taken])
    append(
        connection,
        [credit(one, 1), credit(other, 1), credit(one, 1)],
        [credit(other, 8, taken.stream_id)],
        [credit(other, 1), credit(one, 1)],
    )
    for account_id in (one, other):
        numbers = [e.account_seq for e in log(connection) if e.account_id == account_id]
        assert numbers == [1, 2, 3]


def test_followers_are_woken_and_configuration_followers_only_for_configuration(
    ledger_database: FreshDatabase, connection: Connection
) -> None:
    with connect(ledger_database.app_dsn) as listening:
        listening.execute("listen ledger_event")
        listening.execute("listen ledger_configuration")
        stored(connection, [credit(entity_id(), 1)])
        assert [n.channel for n in listening.notifies(timeout=5, stop_after=1)] == ["ledger_event"]
        vip = GroupSet(name="vip", multiplier=Multiplier(2), actor="a")
        stored(connection, [NewEvent(group_stream_id("vip"), 1, vip)])
        channels = {n.channel for n in listening.notifies(timeout=5, stop_after=2)}
        assert channels == {"ledger_event", "ledger_configuration"}


def test_a_large_batch_is_one_order(connection: Connection) -> None:
    account_id = entity_id()
    groups = [[credit(account_id, n)] for n in range(1, 501)]
    positions = [outcome.positions for outcome in append(connection, *groups).outcomes]
    assert positions == [(n,) for n in range(1, 501)]
    stored_amounts = [event.event.amount_nanos for event in log(connection)]  # type: ignore[attr-defined]
    assert stored_amounts == list(range(1, 501))
    assert balance(connection, account_id) == Balance(125_250, 0, 500, 500)
