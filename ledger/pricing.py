"""From usage to money: exact, and rounded once.

A price is a whole number of nanodollars per million units (per call for `calls`), so every product
is an integer and the sum of all lines is exact. The multiplier of the caller's group is a ratio of
two integers. Only the final amount is rounded, half up to a nanodollar; `ledger/README.md` shows
how to do it by hand.
"""

from collections.abc import Mapping
from functools import cached_property

import msgspec

from ledger.money import divide_half_up, divide_up
from ledger.usage import CLASSES, Usage

UNITS_PER_PRICE = 1_000_000
"""Prices of counted classes are for this many units; a price per call is for one."""

PARENT: Mapping[str, str] = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "audio_in": "input",
    "image_in": "input",
    "reasoning": "output",
    "audio_out": "output",
    "image_out": "output",
}
"""Whose price a class costs when it has none of its own."""

INPUT_CLASSES = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in")
OUTPUT_CLASSES = ("output", "reasoning", "audio_out", "image_out")


class Multiplier(msgspec.Struct, frozen=True, array_like=True):
    """An exact ratio, e.g. 3/2 for a group that pays half as much again."""

    numerator: int = 1
    denominator: int = 1

    def __post_init__(self) -> None:
        if self.numerator < 0 or self.denominator < 1:
            raise ValueError("a multiplier is a ratio of a non-negative and a positive integer")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a charge. Its exact base is units x price_nanos / per_units, in nanodollars."""

    kind: str
    units: int
    price_nanos: int
    per_units: int


class Price(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What a model costs: nanodollars per million units by class, and per call for `calls`."""

    rates: dict[str, int]

    def __post_init__(self) -> None:
        unknown = set(self.rates) - set(CLASSES)
        if unknown or any(rate < 0 for rate in self.rates.values()):
            raise ValueError(f"a price has non-negative rates for {CLASSES}, not {sorted(unknown)}")

    def rate(self, kind: str) -> int:
        """The price of a class, its parent's where it has none, 0 where no ancestor has one."""
        while kind not in self.rates:
            if kind not in PARENT:
                return 0
            kind = PARENT[kind]
        return self.rates[kind]

    @cached_property
    def is_free(self) -> bool:
        """True when nothing this model does can cost anything."""
        return not any(self.rates.values())

    @cached_property
    def dearest_input(self) -> int:
        """The highest price any kind of input token can have."""
        return max(self.rate(kind) for kind in INPUT_CLASSES)

    @cached_property
    def dearest_output(self) -> int:
        """The highest price any kind of output token can have."""
        return max(self.rate(kind) for kind in OUTPUT_CLASSES)


def price_lines(usage: Usage, price: Price) -> tuple[Line, ...]:
    """One line for every class that was used and has a price."""
    return tuple(
        Line(
            kind=kind,
            units=count,
            price_nanos=price.rate(kind),
            per_units=1 if kind == "calls" else UNITS_PER_PRICE,
        )
        for kind, count in usage.classes()
        if count and price.rate(kind)
    )


def charge_nanos(lines: tuple[Line, ...], multiplier: Multiplier) -> int:
    """The amount of a charge: the exact sum of its lines times the multiplier, rounded once."""
    exact = sum(_micro(line) for line in lines) * multiplier.numerator
    return divide_half_up(exact, UNITS_PER_PRICE * multiplier.denominator)


def worst_case_nanos(
    price: Price, multiplier: Multiplier, *, input_tokens: int, output_tokens: int
) -> int:
    """The most a call can cost: all tokens at the dearest class, rounded up."""
    exact = (
        input_tokens * price.dearest_input
        + output_tokens * price.dearest_output
        + UNITS_PER_PRICE * price.rate("calls")
    ) * multiplier.numerator
    return divide_up(exact, UNITS_PER_PRICE * multiplier.denominator)


def _micro(line: Line) -> int:
    """The line's base in millionths of a nanodollar: always whole."""
    return line.units * line.price_nanos * (UNITS_PER_PRICE // line.per_units)
