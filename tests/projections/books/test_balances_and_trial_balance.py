"""Balances and the trial balance as of any position: what a plain fold of the log says."""

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from ledger.ids import entity_id
from ledger.statement import NOTHING, BalanceAt, change
from ledger.store.reader import RECORDED_COLUMNS, recorded
from ledger.streams.registry import STREAM_OF
from projections.books.as_of import resolve_as_of
from projections.books.balances import balance_at
from projections.books.trial_balance import (
    BooksBroken,
    LedgerTotal,
    Totals,
    between,
    require_zero,
    totals_at,
    trial_balance,
)
from projections.fsck import check_projection
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from projections.views import balance_blocks, journal_blocks
from tests.builders import LawfulLog
from tests.projections.books.asking import ByHand, ask, stored
from tests.projections.conftest import Books
from tests.projections.driving import run_to_head
from tests.projections.hand_made import Log, credit

BLOCKS = [balance_blocks.PROJECTION, journal_blocks.PROJECTION]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 8 events or positions, 4 or 8 of which make one of the next level."""
    for module in ("projections.views.balance_blocks", "projections.books.balances"):
        monkeypatch.setattr(f"{module}.BLOCK_BITS", 3)
    for module in ("projections.views.journal_blocks", "projections.books.trial_balance"):
        monkeypatch.setattr(f"{module}.BLOCK_BITS", 3)
        monkeypatch.setattr(f"{module}.LEVEL_BITS", 2)


def plain(totals: Totals) -> dict[str, tuple[int, ...]]:
    return {
        total.account: (total.debits_nanos, total.credits_nanos, total.postings)
        for total in totals.values()
    }


def figures(balance: BalanceAt) -> list[int]:
    standing = balance.standing
    return [
        standing.posted_nanos,
        standing.held_nanos,
        standing.open_charges,
        balance.position,
    ]


@pytest.mark.usefixtures("small_blocks")
def test_the_trial_balance_is_zero_and_right_at_every_position(books: Books) -> None:
    LawfulLog(books.connection, seed=1).grow(3_000)
    run_to_head(books.dsn, books.connection, BLOCKS)

    async def question(connection: AsyncConnection[Any]) -> None:
        by_hand = ByHand()
        assert await totals_at(connection, 0) == {}
        for event in stored(books):
            by_hand.add(event)
            totals = await totals_at(connection, event.position)
            assert plain(totals) == by_hand.totals(), event.position
            assert sum(total.net_nanos for total in totals.values()) == 0

    ask(books, question)


@pytest.mark.usefixtures("small_blocks")
def test_every_balance_is_right_after_each_of_its_events(books: Books) -> None:
    LawfulLog(books.connection, seed=2, accounts=3).grow(1_500)
    run_to_head(books.dsn, books.connection, BLOCKS)

    async def question(connection: AsyncConnection[Any]) -> None:
        by_hand = ByHand()
        for event in stored(books):
            by_hand.add(event)
            if event.account_id is None:
                continue
            found = await balance_at(connection, event.account_id, event.position)
            assert figures(found) == by_hand.customers[event.account_id], event.position
            standing = found.standing
            assert standing.posted_nanos == (
                standing.credited_nanos - standing.charged_nanos + standing.adjusted_nanos
            )

    ask(books, question)


def test_snapshot_and_tail_are_a_full_replay_at_random_positions(books: Books) -> None:
    """I-31, with blocks as they are; folded live in part, and then by a rebuild."""
    log = LawfulLog(books.connection, seed=3, accounts=2)
    log.grow(3_000)
    run_to_head(books.dsn, books.connection, BLOCKS)
    log.grow(1_500)  # nobody folds these: the log itself answers
    expect_replay(books, 40)
    run_to_head(books.dsn, books.connection, BLOCKS)
    for projection in BLOCKS:
        rebuild(books.dsn, projection)
    expect_replay(books, 40)


def test_without_any_read_model_the_answers_are_the_same(books: Books) -> None:
    LawfulLog(books.connection, seed=4).grow(600)
    expect_replay(books, 20)


@pytest.mark.usefixtures("small_blocks")
def test_a_row_that_is_missing_makes_no_balance_wrong(books: Books) -> None:
    log = LawfulLog(books.connection, seed=5, accounts=2)
    log.grow(400)
    run_to_head(books.dsn, books.connection, BLOCKS)
    books.connection.execute("delete from view_balance_blocks_1.balance_blocks where block = 1")
    expect_replay(books, 20, trial=False)
    assert [each.check for each in check_projection(books.dsn, BLOCKS[0])]


def expect_replay(books: Books, count: int, *, trial: bool = True) -> None:
    events = stored(books)
    chosen = set(random.Random(count).sample(range(1, len(events) + 1), count)) | {len(events)}

    async def question(connection: AsyncConnection[Any]) -> None:
        by_hand = ByHand()
        for event in events:
            by_hand.add(event)
            if event.position not in chosen:
                continue
            for account_id, expected in by_hand.customers.items():
                found = await balance_at(connection, account_id, event.position)
                assert figures(found) == expected
            if trial:
                totals = await totals_at(connection, event.position)
                assert plain(totals) == by_hand.totals()

    ask(books, question)


def test_at_the_head_it_is_what_the_budgets_say(books: Books) -> None:
    log = LawfulLog(books.connection, seed=6)
    log.grow(2_000)
    run_to_head(books.dsn, books.connection, BLOCKS)
    budgets = {
        scope: rest
        for scope, *rest in books.connection.execute(
            "select scope, posted_nanos, held_nanos, position from ledger.budget"
        ).fetchall()
    }

    async def question(connection: AsyncConnection[Any]) -> None:
        as_of = await resolve_as_of(connection, None)
        for account_id in log.accounts:
            found = await balance_at(connection, account_id, as_of.position)
            posted, held, _, position = figures(found)
            assert [posted, held, position] == budgets[account_id]

    ask(books, question)


def test_an_account_nobody_knows_has_nothing(books: Books) -> None:
    LawfulLog(books.connection, seed=7).grow(50)
    found = ask(books, lambda connection: balance_at(connection, entity_id(), 50))
    assert found == BalanceAt(position=0, recorded_at=None, standing=NOTHING)


def test_an_answer_never_changes_once_it_was_given(books: Books) -> None:
    """I-32: asked again after more was appended, folded and rebuilt."""
    log = LawfulLog(books.connection, seed=8)
    log.grow(1_500)
    positions = random.Random(8).sample(range(1, 1_500), 12)
    before = ask(books, lambda connection: answers(connection, log.accounts, positions))
    run_to_head(books.dsn, books.connection, BLOCKS)
    log.grow(1_500)
    assert ask(books, lambda one: answers(one, log.accounts, positions)) == before
    run_to_head(books.dsn, books.connection, BLOCKS)
    for projection in BLOCKS:
        rebuild(books.dsn, projection)
    assert ask(books, lambda one: answers(one, log.accounts, positions)) == before


async def answers(
    connection: AsyncConnection[Any], accounts: Sequence[UUID], positions: Sequence[int]
) -> bytes:
    told = []
    for position in positions:
        as_of = await resolve_as_of(connection, position)
        told.append(repr((await trial_balance(connection, as_of)).totals))
        told += [repr(await balance_at(connection, each, position)) for each in accounts]
    return "\n".join(told).encode()


def test_sums_beyond_a_column_do_not_stop_the_books(books: Books) -> None:
    log = Log(books)
    largest = 999_999_999_999_999_999
    accounts = [entity_id() for _ in range(12)]
    for account_id in accounts:
        log.add(entity_id(), credit(largest, account_id))
    run_to_head(books.dsn, books.connection, BLOCKS)
    assert [each for one in BLOCKS for each in check_projection(books.dsn, one)] == []
    position = len(stored(books))
    totals = ask(books, lambda connection: totals_at(connection, position))
    assert totals["customer:available"].credits_nanos == 12 * largest > 2**63
    assert totals["clearing:manual"].debits_nanos == 12 * largest


def test_a_change_is_what_the_effects_of_the_event_say(books: Books) -> None:
    LawfulLog(books.connection, seed=9).grow(2_000)
    rows = books.connection.execute(
        f"select {RECORDED_COLUMNS} from ledger.event where account_id is not null", binary=True
    ).fetchall()
    for row in rows:
        event = recorded(row)
        own = [
            effect
            for effect in STREAM_OF[type(event.event)].effects(event.event)
            if effect.scope == event.account_id
        ]
        moved = change(event)
        assert moved.held_nanos == sum(effect.held_nanos for effect in own)
        assert moved.posted_nanos == sum(effect.posted_nanos for effect in own)


def test_books_that_do_not_balance_are_no_answer() -> None:
    with pytest.raises(BooksBroken, match="off by -1"):
        require_zero([LedgerTotal("a", debits_nanos=3), LedgerTotal("b", 0, 2)], "of a test")


def test_what_lies_between_two_trial_balances_leaves_out_what_did_not_move() -> None:
    earlier = {"a": LedgerTotal("a", 5, 0, 1), "b": LedgerTotal("b", 0, 5, 1)}
    later = earlier | {"b": LedgerTotal("b", 2, 7, 3), "c": LedgerTotal("c", 0, 0, 1)}
    assert between(earlier, later) == (LedgerTotal("b", 2, 2, 2), LedgerTotal("c", 0, 0, 1))


def test_the_blocks_are_among_what_fsck_compares() -> None:
    assert set(BLOCKS) <= set(PROJECTIONS)
