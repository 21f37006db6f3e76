"""What does not fit is told apart from what was stored before, whatever else is in its batch."""

from collections.abc import Iterator

import pytest

from ledger.errors import OutOfRange, OverBudget, VersionConflict
from ledger.ids import entity_id
from ledger.store.append import NewEvent, Outcome, adapt, parameters, prepare
from ledger.store.binary_arrays import shorts
from ledger.store.reader import Balance
from ledger.usage import Usage
from tests.ledger.building import Call, credit, payer, refund, reserve, settle
from tests.ledger.store.appending import Connection, append, balance, connect, head, kept, stored
from tests.servers import FreshDatabase

HUGE = 4_000_000_000_000_000_000
"""The largest balance there may be."""


@pytest.fixture
def connection(ledger_database: FreshDatabase) -> Iterator[Connection]:
    with connect(ledger_database.app_dsn) as opened:
        yield opened


def misfit() -> list[NewEvent]:
    """A hold of somebody who has nothing."""
    return Call().next(reserve(payer().cover(), 1))


def kinds(outcomes: list[Outcome]) -> list[object]:
    """Of each group: True stored, False stored before, else the kind of refusal."""
    return [
        not one.was_stored_before if one.refusal is None else type(one.refusal) for one in outcomes
    ]


def test_the_same_topic_with_other_bytes_is_a_conflict_beside_a_misfit(
    connection: Connection,
) -> None:
    account, stream_id = entity_id(), entity_id()
    first = credit(account, 100, stream_id)
    stored(connection, [first])
    other, fresh = credit(account, 101, stream_id), credit(account, 7)
    outcomes = append(connection, [other], [fresh], misfit()).outcomes
    assert kinds(outcomes) == [VersionConflict, True, OverBudget]
    outcomes = append(connection, [first], misfit()).outcomes
    assert kinds(outcomes) == [False, OverBudget]
    assert outcomes[0].positions == (1,)
    left = balance(connection, account)
    assert left is not None
    assert left.posted_nanos == 107


def test_two_closings_of_one_charge_beside_a_misfit_are_one(connection: Connection) -> None:
    """Groups of one stream are stored one after the other; the other bytes come too late."""
    paying, call = payer(), Call()
    stored(connection, [credit(paying.account_id, 100)])
    stored(connection, call.next(reserve(paying.cover(), 60)))
    opened = call.state
    settled = call.next(settle(Usage(input=20)))
    call.state = opened
    refunded = call.next(refund())
    outcomes = append(connection, settled, refunded, settled, misfit()).outcomes
    assert kinds(outcomes) == [True, VersionConflict, False, OverBudget]
    assert outcomes[0].positions == outcomes[2].positions == (3,)
    left = balance(connection, paying.account_id)
    assert left is not None
    assert (left.posted_nanos, left.held_nanos) == (80, 0)
    assert head(connection) == 3


def test_a_closing_beside_a_misfit_is_stored_although_others_were_closed_before(
    connection: Connection,
) -> None:
    paying = payer()
    stored(connection, [credit(paying.account_id, 100)])
    calls = [Call() for _ in range(3)]
    for call in calls:
        stored(connection, call.next(reserve(paying.cover(), 10)))
    stored(connection, calls[0].next(refund()))
    outcomes = append(
        connection, calls[1].next(settle(Usage(input=5))), calls[2].next(refund()), misfit()
    ).outcomes
    assert kinds(outcomes) == [True, True, OverBudget]


def test_one_scope_beyond_its_range_refuses_the_group_though_others_are_within(
    connection: Connection,
) -> None:
    one, other = payer(), payer()
    cover = one.cover(overdraft_nanos=2 * HUGE)
    stored(connection, Call().next(reserve(cover, HUGE)))
    fresh_key = type(cover)(
        account_id=one.account_id, key_id=other.key_id, overdraft_nanos=2 * HUGE
    )
    outcomes = append(connection, [credit(other.account_id, 1)], Call().next(reserve(fresh_key, 1)))
    assert kinds(outcomes.outcomes) == [True, OutOfRange]
    assert balance(connection, other.key_id) is None


@pytest.mark.parametrize("ahead", [2, 3])
def test_a_group_ahead_of_its_stream_beside_a_misfit_is_a_conflict(
    connection: Connection, ahead: int
) -> None:
    gap = credit(entity_id(), 1)._replace(version=ahead)
    outcomes = append(connection, [gap], [credit(entity_id(), 1)], misfit()).outcomes
    assert kinds(outcomes) == [VersionConflict, True, OverBudget]
    assert head(connection) == 1


def test_where_two_groups_are_of_one_stream_the_others_are_told_as_exactly(
    connection: Connection,
) -> None:
    paying, rich = payer(), payer()
    endless = rich.cover(overdraft_nanos=2 * HUGE)
    stored(connection, [credit(paying.account_id, 100)])
    stored(connection, Call().next(reserve(endless, HUGE)))
    first = credit(paying.account_id, 5)
    taken = credit(paying.account_id, 6, first.stream_id)
    pair = [credit(paying.account_id, 1), credit(paying.account_id, 2)]
    both = [
        *Call().next(reserve(paying.cover(overdraft_nanos=1_000), 60)),
        *Call().next(reserve(paying.cover(), 60)),
    ]
    outcomes = append(
        connection,
        [first],
        [first],
        [taken],
        pair,
        [credit(entity_id(), 1)._replace(version=2)],
        both,
        Call().next(reserve(paying.cover(), 60)),
        Call().next(reserve(paying.cover(), 60)),
        Call().next(reserve(endless, 1)),
    ).outcomes
    assert kinds(outcomes) == [
        True, False, VersionConflict, True, VersionConflict,
        OverBudget, True, OverBudget, OutOfRange,
    ]  # fmt: skip
    assert [one.positions for one in outcomes if one.refusal is None] == [(3,), (3,), (4, 5), (6,)]
    short = [one.refusal for one in outcomes if isinstance(one.refusal, OverBudget)]
    assert [(each.available_nanos, each.needed_nanos) for each in short] == [(108, 120), (48, 60)]
    assert {each.scope for each in short} == {paying.account_id}
    assert head(connection) == 6
    assert balance(connection, paying.account_id) == Balance(108, 60, 5, 6)
    assert all(one.leaf == one.expected_leaf() for one in kept(connection))


JUDGE = (
    "select status, short from ledger.judge("
    "%b::uuid[], %b::int8[], %b::text[], %b::bytea[], %b::int4[], %b::uuid[], %b::int4[], "
    "%b::int4[], %b::int8[], %b::int8[], %b::int8[], %b::int4[])"
)


def judged(dsn: str, *batch: list[NewEvent]) -> tuple[list[int], list[int]]:
    """What the first pass says of a batch, without storing it: a flood is not judged twice."""
    given = parameters([prepare(each) for each in batch])
    stream, version, topic, state, _, _, group = given[:7]
    effects = given[7:13]
    with connect(dsn) as owner, owner.cursor(binary=True) as cursor:
        adapt(cursor)
        asked = (stream, version, topic, state, group, *effects, shorts([]))
        row = cursor.execute(JUDGE, asked).fetchone()
    assert row is not None
    return row[0], row[1]


def test_one_pass_tells_what_becomes_of_every_group(
    ledger_database: FreshDatabase, connection: Connection
) -> None:
    """0 fits, 1 was stored before, 2 is in conflict, 3 is over budget, with what is left."""
    paying = payer()
    known = credit(paying.account_id, 100)
    stored(connection, [known])
    fresh, ahead = credit(entity_id(), 1), credit(entity_id(), 1)._replace(version=2)
    statuses, short = judged(
        ledger_database.owner_dsn,
        [known],
        [fresh],
        [ahead],
        Call().next(reserve(paying.cover(), 60)),
        Call().next(reserve(paying.cover(), 60)),
        Call().next(reserve(paying.cover(overdraft_nanos=20), 60)),
        Call().next(reserve(paying.cover(), 1)),
    )
    assert statuses == [1, 0, 2, 0, 3, 0, 3]
    assert [short[n : n + 4][0] for n in (0, 4)] == [5, 7]
    assert [short[n : n + 4][2:] for n in (0, 4)] == [[40, 60], [-20, 1]]
    assert head(connection) == 1


def test_one_pass_tells_of_a_group_whose_caps_differ(
    ledger_database: FreshDatabase, connection: Connection
) -> None:
    paying = payer()
    stored(connection, [credit(paying.account_id, 100)])
    both = [
        *Call().next(reserve(paying.cover(overdraft_nanos=1_000), 60)),
        *Call().next(reserve(paying.cover(), 60)),
    ]
    statuses, short = judged(
        ledger_database.owner_dsn, both, Call().next(reserve(paying.cover(), 100))
    )
    assert statuses == [3, 0]
    assert short[2:] == [100, 120]
