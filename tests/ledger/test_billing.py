"""A6: what of a cost is charged and what stays a memo; every bill fits into 64 bits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import MEMO_NANOS_MAX, NANOS_PER_USD
from ledger.pricing import Price, cost_nanos
from ledger.streams.charge.billing import Bill, bill, shortfall_nanos
from ledger.usage import Usage

amounts = st.one_of(st.integers(0, 100), st.integers(0, 10**40))
holds = st.one_of(st.integers(0, 100), st.integers(0, 4 * 10**18))


@pytest.mark.parametrize(
    ("cost", "held", "covered", "expected"),
    [
        (7, 10, None, Bill(0, 7, 0)),
        (7, 10, 0, Bill(0, 7, 0)),
        (12, 10, None, Bill(2, 12, 0)),
        (12, 10, 0, Bill(0, 10, 2)),
        (12, 10, 1, Bill(1, 11, 1)),
        (12, 10, 5, Bill(2, 12, 0)),
        (7, 10, 5, Bill(0, 7, 0)),
        (10 + MEMO_NANOS_MAX, 10, None, Bill(MEMO_NANOS_MAX, 10 + MEMO_NANOS_MAX, 0)),
        (11 + MEMO_NANOS_MAX, 10, None, Bill(0, 10, MEMO_NANOS_MAX, "cost_beyond_range")),
        (9 * 10**18, 10, 0, Bill(0, 10, MEMO_NANOS_MAX, "cost_beyond_range")),
        (9 * 10**30, 0, None, Bill(0, 0, MEMO_NANOS_MAX, "cost_beyond_range")),
    ],
)
def test_a6_a_bill(cost: int, held: int, covered: int | None, expected: Bill) -> None:
    assert bill(cost, held, covered) == expected


@given(amounts, holds, st.none() | amounts)
def test_a6_no_bill_leaves_its_range_and_fsck_agrees(
    cost: int, held: int, covered: int | None
) -> None:
    billed = bill(cost, held, covered)
    assert 0 <= billed.charged_nanos <= held + billed.excess_nanos
    assert 0 <= billed.excess_nanos <= MEMO_NANOS_MAX
    assert billed.shortfall_nanos == shortfall_nanos(cost, billed.charged_nanos)
    assert 0 <= billed.shortfall_nanos <= MEMO_NANOS_MAX
    if not billed.anomaly:
        assert billed.charged_nanos + billed.shortfall_nanos == cost


def test_a6_a_memo_is_no_more_than_a_million_dollars() -> None:
    assert MEMO_NANOS_MAX == 1_000_000 * NANOS_PER_USD
    assert shortfall_nanos(MEMO_NANOS_MAX + 5, 4) == MEMO_NANOS_MAX
    assert shortfall_nanos(MEMO_NANOS_MAX + 5, 6) == MEMO_NANOS_MAX - 1


def test_a6_what_a_provider_takes_is_a_memo_no_larger() -> None:
    price = Price(rates={"input": 9 * 10**15})
    assert cost_nanos(Usage(input=1_000), price) == 9 * 10**12
    assert cost_nanos(Usage(input=10**9), price) == MEMO_NANOS_MAX
