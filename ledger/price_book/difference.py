"""How two prices of one model differ: by service, by length of prompt, by class. Pure."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from ledger.price_book.exact import write_exact
from ledger.pricing import STANDARD, Price, Schedule
from ledger.usage import CLASSES

ORDINARY = 0
"""Stands for the prompts that are not long."""


class Change(NamedTuple):
    """A class that costs something else; nanodollars as in `ledger.pricing.Price`.

    `above_tokens`: in prompts longer than that; ORDINARY: in all others. None: the model is not
    sold in this service at all.
    """

    service: str
    above_tokens: int
    kind: str
    before_nanos: int | None
    after_nanos: int | None

    @property
    def percent(self) -> str | None:
        """By how much it changes, exactly; None where there is nothing to compare with."""
        if not self.before_nanos or self.after_nanos is None:
            return None
        return write_exact(
            Fraction(100 * (self.after_nanos - self.before_nanos), self.before_nanos)
        )


def difference(before: Price | None, after: Price | None) -> tuple[Change, ...]:
    """Everything that costs something else; empty where both always charge the same.

    What counts is what is charged: a class that states its parent's price costs the same as one
    that inherits it.
    """
    services = dict.fromkeys(
        (STANDARD, *(service for each in (before, after) if each for service in each.services))
    )
    return tuple(
        change
        for service in services
        for change in _in_service(service, _of(before, service), _of(after, service))
    )


def _in_service(service: str, before: Schedule | None, after: Schedule | None) -> Iterator[Change]:
    both = [each for each in (before, after) if each is not None]
    lengths = {tier.above_tokens for each in both for tier in each.long_context}
    for length in sorted({ORDINARY, *lengths}):
        was, becomes = _applied(before, length), _applied(after, length)
        for kind in CLASSES:
            if any(kind in each.rates for each in (was, becomes) if each is not None):
                change = Change(service, length, kind, _rate(was, kind), _rate(becomes, kind))
                if change.before_nanos != change.after_nanos:
                    yield change


def _of(price: Price | None, service: str) -> Schedule | None:
    if price is None or service == STANDARD:
        return price
    return price.services.get(service)


def _applied(schedule: Schedule | None, length: int) -> Schedule | None:
    return None if schedule is None else schedule.for_prompt(length + (length != ORDINARY))


def _rate(schedule: Schedule | None, kind: str) -> int | None:
    return None if schedule is None else schedule.rate(kind)
