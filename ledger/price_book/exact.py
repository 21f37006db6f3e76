"""Rational numbers as text: a decimal where that is exact, else a fraction such as "4/3"."""

import re
from decimal import Decimal
from fractions import Fraction

_DIGITS_MAX = 60
_DIGITS = f"[0-9]{{1,{_DIGITS_MAX}}}"
_WRITTEN = re.compile(rf"{_DIGITS}(?:\.{_DIGITS})?|{_DIGITS}/{_DIGITS}", re.ASCII)


def write_exact(value: Fraction) -> str:
    """The shortest decimal that is exactly `value`, else "numerator/denominator"."""
    odd, twos, fives = value.denominator, 0, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    while odd % 5 == 0:
        odd, fives = odd // 5, fives + 1
    places = max(twos, fives)
    if odd != 1 or places > _DIGITS_MAX:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    whole, rest = digits[: len(digits) - places], digits[len(digits) - places :]
    return f"{sign}{whole}.{rest}" if rest else f"{sign}{whole}"


def read_exact(value: object) -> Fraction:
    """A non-negative number out of JSON (read with `parse_float=Decimal`), or text as
    `write_exact` gives it for numerator and denominator below 10**60.

    Raises ValueError for everything else: a float has lost what it was written as.
    """
    if type(value) is int or isinstance(value, Decimal):
        exact = _of_number(value)
    elif isinstance(value, str) and _WRITTEN.fullmatch(value):
        exact = _of_text(value)
    else:
        raise ValueError("not a number")
    if exact < 0:
        raise ValueError("negative")
    return exact


def _of_number(value: int | Decimal) -> Fraction:
    """Without the many digits that a few characters may stand for, as in 1e999999."""
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > _DIGITS_MAX:
            raise ValueError("out of range")
    elif abs(value) >= 10**_DIGITS_MAX:
        raise ValueError("out of range")
    return Fraction(value)


def _of_text(value: str) -> Fraction:
    numerator, _, denominator = value.partition("/")
    if denominator and int(denominator) == 0:
        raise ValueError("divided by nothing")
    return Fraction(numerator) / int(denominator or 1)
