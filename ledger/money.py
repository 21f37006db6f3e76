"""Money: whole nanodollars, read and written exactly, rounded in one place.

1 USD = 1,000,000,000 nanodollars. No float touches an amount. One legacy quota unit of the systems
Tollgate replaces (500,000 = 1 USD) is 2,000 nanodollars.
"""

import re

from ledger.errors import InvalidAmount

NANOS_PER_USD = 1_000_000_000
AMOUNT_NANOS_MAX = 999_999_999_999_999_999
"""The largest amount that can be written in the accepted form; nine digits before the point."""

MEMO_NANOS_MAX = 1_000_000_000_000_000
"""The largest memo of one call, a million dollars: what nobody pays or what a provider takes. More
is a mistake of whoever told the usage. Thousands of them add up without leaving 64 bits.
"""

_AMOUNT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?", re.ASCII)


def parse_usd(text: str) -> int:
    """Nanodollars of a decimal string such as "12.50".

    Raises InvalidAmount unless the whole text is 1-9 digits, optionally a point and 1-9 digits.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise InvalidAmount(text)
    dollars, fraction = match.groups()
    return int(dollars) * NANOS_PER_USD + int((fraction or "").ljust(9, "0"))


def format_usd(nanos: int) -> str:
    """The exact decimal string of an amount: "12.5", "-0.000000001", "0".

    For every non-negative amount up to AMOUNT_NANOS_MAX, parse_usd gives the amount back.
    """
    sign = "-" if nanos < 0 else ""
    dollars, fraction = divmod(abs(nanos), NANOS_PER_USD)
    return f"{sign}{dollars}.{fraction:09d}".rstrip("0").rstrip(".")


def divide_half_up(numerator: int, denominator: int) -> int:
    """The quotient rounded half up: the one rounding of a charge. Both must be non-negative."""
    assert numerator >= 0
    assert denominator > 0
    return (2 * numerator + denominator) // (2 * denominator)


def divide_up(numerator: int, denominator: int) -> int:
    """The quotient rounded up: for holds, which must never fall short of the charge."""
    assert numerator >= 0
    assert denominator > 0
    return -(-numerator // denominator)
