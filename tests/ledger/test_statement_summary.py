"""D15: what the lines of a statement come to by day, model and key."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from uuid import UUID

import pytest
from msgspec.structs import replace

from ledger.book_days import BookDays, calendar
from ledger.statement import (
    BalanceAt,
    LineKind,
    Standing,
    Statement,
    StatementBroken,
    StatementLine,
)
from ledger.statement_summary import By, StatementSummary

BEGIN = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
KATHMANDU = calendar([(datetime(2026, 1, 1, tzinfo=UTC), "Asia/Kathmandu")])
KEYS = (UUID(int=1), UUID(int=2))
# Kind, amount, hours after BEGIN, model, key. A day begins at 18:15 in UTC.
STORY: tuple[tuple[LineKind, int, float, str, UUID | None], ...] = (
    ("credit", 10_000, 0, "", None),
    ("charge", -7, 0.2, "b", KEYS[1]),
    ("charge", -11, 0.25, "a", KEYS[0]),
    ("adjustment", 3, 23, "a", KEYS[0]),
    ("charge", -13, 24.24, "b", KEYS[0]),
    ("charge", 0, 24.26, "b", KEYS[1]),
    ("adjustment", -1, 24.27, "", None),
)


def lines() -> list[StatementLine]:
    balances = accumulate(amount for _, amount, *_ in STORY)
    return [
        StatementLine(
            position=number,
            recorded_at=BEGIN + timedelta(hours=hours),
            kind=kind,
            amount_nanos=amount,
            balance_nanos=balance,
            reference=UUID(int=number),
            model=model,
            key_id=key_id,
        )
        for number, ((kind, amount, hours, model, key_id), balance) in enumerate(
            zip(STORY, balances, strict=True), 1
        )
    ]


def summed(by: By, days: BookDays = KATHMANDU) -> StatementSummary:
    summary = StatementSummary(by, days)
    for line in lines():  # a page each
        summary.take([line])
    return summary


def money(credited: int, charged: int, adjusted: int, *counts: int) -> Standing:
    posted = credited - charged + adjusted
    return Standing(posted, 0, 0, credited, charged, adjusted, *counts)


def test_days_are_those_of_the_books_each_with_its_balance() -> None:
    assert [(row.label, row.moved, row.balance_nanos) for row in summed("day").rows()] == [
        ("2026-03-01", money(10_000, 7, 0, 1, 1, 0), 9_993),
        ("2026-03-02", money(0, 24, 3, 0, 2, 1), 9_972),
        ("2026-03-03", money(0, 0, -1, 0, 1, 1), 9_971),
    ]
    assert [row.label for row in summed("day", BookDays()).rows()] == ["2026-03-01", "2026-03-02"]


def test_models_and_keys_have_what_their_calls_came_to() -> None:
    nothing = ("", money(10_000, 0, -1, 1, 0, 1), None)
    assert [(row.label, row.moved, row.balance_nanos) for row in summed("model").rows()] == [
        ("a", money(0, 11, 3, 0, 1, 1), None),
        ("b", money(0, 20, 0, 0, 3, 0), None),
        nothing,
    ]
    assert [(row.label, row.moved, row.balance_nanos) for row in summed("key").rows()] == [
        (str(KEYS[0]), money(0, 24, 3, 0, 2, 1), None),
        (str(KEYS[1]), money(0, 7, 0, 0, 2, 0), None),
        nothing,
    ]


@pytest.mark.parametrize("by", ["day", "model", "key"])
def test_a_summary_of_another_statement_is_refused(by: By) -> None:
    whole = summed(by)
    closing = Standing(9_971, 5, 1, 10_000, 31, 2, 1, 4, 2)
    statement = Statement(
        account_id=UUID(int=9),
        opening=BalanceAt(position=0, recorded_at=None, standing=Standing()),
        closing=BalanceAt(position=7, recorded_at=BEGIN, standing=closing),
        lines=tuple(lines()),
        after=0,
        carried_nanos=0,
        next_after=None,
        as_of=7,
        head=7,
    )
    statement.check()
    whole.check(statement)
    partly = StatementSummary(by, KATHMANDU)
    partly.take(lines()[:-1])
    with pytest.raises(StatementBroken, match="posted_nanos"):
        partly.check(statement)
    twice = summed(by)
    twice.take([replace_kind(lines()[0]), lines()[0]])
    with pytest.raises(StatementBroken):
        twice.check(statement)


@pytest.mark.parametrize(
    "moved",
    [
        {"charged_nanos": 1, "adjusted_nanos": 1},
        {"credited_nanos": 1, "adjusted_nanos": -1},
        {"credited_nanos": 1, "charged_nanos": 1},
        {"posted_nanos": 1},
    ],
)
def test_every_figure_of_a_summary_is_held_against_the_statement(moved: dict[str, int]) -> None:
    """Though what is posted comes to the same."""
    closing = Standing(9_971, 5, 1, 10_000, 31, 2, 1, 4, 2)
    changes = {name: getattr(closing, name) + nanos for name, nanos in moved.items()}
    end = replace(closing, **changes)
    statement = Statement(
        account_id=UUID(int=9),
        opening=BalanceAt(position=0, recorded_at=None, standing=Standing()),
        closing=BalanceAt(position=7, recorded_at=BEGIN, standing=end),
        lines=tuple(lines()),
        after=0,
        carried_nanos=0,
        next_after=None,
        as_of=7,
        head=7,
    )
    with pytest.raises(StatementBroken, match=next(iter(moved))):
        summed("day").check(statement)


def replace_kind(line: StatementLine) -> StatementLine:
    """Money that was paid in, taken for an adjustment that takes it away again."""
    return StatementLine(
        position=8,
        recorded_at=BEGIN + timedelta(days=2),
        kind="adjustment",
        amount_nanos=-line.amount_nanos,
        balance_nanos=0,
        reference=line.reference,
    )
