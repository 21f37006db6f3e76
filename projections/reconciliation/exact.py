"""Exact decimals: amounts of providers have more digits than a nanodollar, and none may be lost.

Nothing here rounds except `rate`, which says so: a result that would need more digits than there
is room for raises decimal.Inexact instead.
"""

from collections.abc import Iterable
from decimal import (
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from fractions import Fraction

_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_WIDE = Context(prec=200, traps=[InvalidOperation, DivisionByZero, Overflow])
_NANO = Decimal("1e-9")
_RATE_PLACES = Decimal("1e-6")

ZERO = Decimal(0)


def total(values: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    result = ZERO
    for value in values:
        result = _EXACT.add(result, value)
    return result


def difference(one: Decimal, other: Decimal) -> Decimal:
    """one - other."""
    return _EXACT.subtract(one, other)


def product(one: Decimal, other: Decimal) -> Decimal:
    """one * other."""
    return _EXACT.multiply(one, other)


def usd_of_nanos(nanos: int) -> Decimal:
    """Nanodollars as dollars."""
    return _EXACT.scaleb(Decimal(nanos), -9)


def usd_of_femto(femto: int) -> Decimal:
    """Millionths of a nanodollar, in which every price of ours is whole, as dollars."""
    return _EXACT.scaleb(Decimal(femto), -15)


def split_nanos(usd: Decimal) -> tuple[int, Decimal]:
    """Whole nanodollars, downwards, and what is left of the amount, in dollars: 0 to below 1e-9."""
    whole = usd.quantize(_NANO, ROUND_FLOOR, _WIDE)
    return int(_EXACT.scaleb(whole, 9)), difference(usd, whole)


def plain(value: Decimal) -> str:
    """The decimal without an exponent and without zeros at its end: "12.5", "-0.0000001", "0"."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def ratio(ours: Decimal, theirs: Decimal) -> Fraction | None:
    """ours / theirs; None where they have nothing."""
    return None if not theirs else Fraction(ours) / Fraction(theirs)


def rate(exact: Fraction) -> str:
    """A ratio as a decimal with six places, rounded half up: the only rounding of a report."""
    quotient = _WIDE.divide(Decimal(exact.numerator), Decimal(exact.denominator))
    return str(quotient.quantize(_RATE_PLACES, ROUND_HALF_UP, _WIDE))
