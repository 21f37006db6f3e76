"""Amounts: read and written exactly, and nothing else is an amount."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidAmount
from ledger.money import AMOUNT_NANOS_MAX, divide_half_up, divide_up, format_usd, parse_usd

AMOUNTS = st.integers(min_value=0, max_value=AMOUNT_NANOS_MAX)


@given(AMOUNTS)
def test_every_amount_is_read_back_as_it_was_written(nanos: int) -> None:
    assert parse_usd(format_usd(nanos)) == nanos


@given(st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9})?", fullmatch=True))
def test_every_text_of_the_form_has_its_exact_value(text: str) -> None:
    assert parse_usd(text) == Fraction(text) * 1_000_000_000


@given(st.integers())
def test_what_is_written_is_exact_for_any_sign(nanos: int) -> None:
    assert Fraction(format_usd(nanos)) * 1_000_000_000 == nanos


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (-1, "-0.000000001"),
        (12_500_000_000, "12.5"),
        (100_000_000_000, "100"),
        (AMOUNT_NANOS_MAX, "999999999.999999999"),
    ],
)
def test_amounts_are_written_without_idle_zeros(nanos: int, text: str) -> None:
    assert format_usd(nanos) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1\n",
        "+1",
        "-1",
        "1.",
        ".5",
        "1,5",
        "1_000",
        "1e3",
        "0x10",
        "NaN",
        "Infinity",
        "1234567890",
        "1.1234567890",
        "١٢",  # Arabic-Indic digits
        "１",  # a full-width digit
        "1.²",
        "\x001",
    ],
)
def test_nothing_else_is_an_amount(text: str) -> None:
    with pytest.raises(InvalidAmount):
        parse_usd(text)


@given(st.integers(0, 10**30), st.integers(1, 10**20))
def test_division_rounds_half_up_and_up(numerator: int, denominator: int) -> None:
    exact = Fraction(numerator, denominator)
    half_up = divide_half_up(numerator, denominator)
    assert -Fraction(1, 2) < half_up - exact <= Fraction(1, 2)
    assert 0 <= divide_up(numerator, denominator) - exact < 1
