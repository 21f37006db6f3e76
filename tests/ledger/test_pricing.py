"""Charges: exact over disjoint classes, rounded once, never above the worst case."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.pricing import (
    INPUT_CLASSES,
    OUTPUT_CLASSES,
    PARENT,
    Multiplier,
    Price,
    charge_nanos,
    price_lines,
    worst_case_nanos,
)
from ledger.usage import CLASSES, COUNT_MAX, Usage

RATES = st.dictionaries(st.sampled_from(CLASSES), st.integers(0, 10**15))
PRICES = st.builds(lambda rates: Price(rates=rates), RATES)
MULTIPLIERS = st.builds(Multiplier, st.integers(0, 10**6), st.integers(1, 10**6))
COUNTS = st.integers(0, 10**7)
USAGES = st.builds(
    lambda counts: Usage(**counts), st.dictionaries(st.sampled_from(CLASSES), COUNTS)
)


def own_or_inherited_rate(price: Price, kind: str) -> int:
    chain = {
        "cache_write_1h": ("cache_write_1h", "cache_write_5m", "input"),
        "reasoning": ("reasoning", "output"),
        "audio_out": ("audio_out", "output"),
        "image_out": ("image_out", "output"),
        "output": ("output",),
        "calls": ("calls",),
    }.get(kind, (kind, "input"))
    return next((price.rates[name] for name in chain if name in price.rates), 0)


@given(USAGES, PRICES, MULTIPLIERS)
def test_a_charge_is_the_exact_sum_rounded_once(
    usage: Usage, price: Price, multiplier: Multiplier
) -> None:
    exact = Fraction(0)
    for kind, count in usage.classes():
        per = 1 if kind == "calls" else 1_000_000
        exact += Fraction(count * own_or_inherited_rate(price, kind), per)
    exact *= Fraction(multiplier.numerator, multiplier.denominator)
    charged = charge_nanos(price_lines(usage, price), multiplier)
    assert -Fraction(1, 2) < charged - exact <= Fraction(1, 2)


@given(USAGES, PRICES)
def test_lines_show_only_what_was_used_and_costs(usage: Usage, price: Price) -> None:
    lines = price_lines(usage, price)
    assert len({line.kind for line in lines}) == len(lines)
    for line in lines:
        assert line.units == getattr(usage, line.kind) > 0
        assert line.price_nanos == own_or_inherited_rate(price, line.kind) > 0


@given(PRICES, MULTIPLIERS, st.data())
def test_no_charge_within_the_bounds_exceeds_the_worst_case(
    price: Price, multiplier: Multiplier, data: st.DataObject
) -> None:
    counts = {kind: data.draw(COUNTS, kind) for kind in (*INPUT_CLASSES, *OUTPUT_CLASSES)}
    bound = worst_case_nanos(
        price,
        multiplier,
        input_tokens=sum(counts[kind] for kind in INPUT_CLASSES),
        output_tokens=sum(counts[kind] for kind in OUTPUT_CLASSES),
    )
    usage = Usage(**counts, calls=data.draw(st.integers(0, 1), "calls"))
    assert charge_nanos(price_lines(usage, price), multiplier) <= bound


def test_every_class_is_input_output_or_the_call() -> None:
    assert {*INPUT_CLASSES, *OUTPUT_CLASSES, "calls"} == set(CLASSES)
    assert set(PARENT) == set(CLASSES) - {"input", "output", "calls"}


@pytest.mark.parametrize(
    ("kind", "rates", "rate"),
    [
        ("cache_write_1h", {"input": 1, "cache_write_5m": 2, "cache_write_1h": 3}, 3),
        ("cache_write_1h", {"input": 1, "cache_write_5m": 2}, 2),
        ("cache_write_1h", {"input": 1}, 1),
        ("cache_read", {"input": 1, "cache_read": 0}, 0),
        ("reasoning", {"output": 4}, 4),
        ("reasoning", {"input": 1}, 0),
        ("calls", {"input": 1, "output": 2}, 0),
    ],
)
def test_a_class_without_a_price_costs_its_parents(
    kind: str, rates: dict[str, int], rate: int
) -> None:
    assert Price(rates=rates).rate(kind) == rate


def test_three_lines_of_a_third_of_a_nanodollar_are_rounded_together() -> None:
    usage = Usage(input=1, output=1, audio_in=1)
    price = Price(rates={"input": 333_333, "output": 333_333, "audio_in": 333_333})
    assert charge_nanos(price_lines(usage, price), Multiplier()) == 1


def test_exactly_half_a_nanodollar_is_rounded_up() -> None:
    lines = price_lines(Usage(input=1), Price(rates={"input": 500_000}))
    assert charge_nanos(lines, Multiplier()) == 1
    assert charge_nanos(lines, Multiplier(999_999, 1_000_000)) == 0


@pytest.mark.parametrize("rates", [{"input": -1}, {"tokens": 1}])
def test_a_negative_or_unknown_price_is_refused(rates: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="non-negative rates"):
        Price(rates=rates)


@pytest.mark.parametrize("count", [-1, COUNT_MAX + 1])
def test_an_absurd_count_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="output must lie within"):
        Usage(output=count)


@pytest.mark.parametrize("ratio", [(-1, 1), (1, 0), (1, -1)])
def test_a_multiplier_is_a_non_negative_ratio(ratio: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="a multiplier is"):
        Multiplier(*ratio)
