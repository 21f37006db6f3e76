"""From usage to money: exact, and rounded once.

A price is a whole number of nanodollars per million tokens (per call for `calls`, per thousand
calls of a tool), so every product is an integer and the sum of all lines is exact. The multiplier
of the caller's group is a ratio of two integers. Only the final amount is rounded, half up to a
nanodollar; `ledger/README.md` shows how to do it by hand.

A model may cost more for long prompts, and something else in another service (batch, flex,
priority): each is a schedule of its own, and what nobody priced is never sold as the standard.
"""

from collections.abc import Mapping
from functools import cached_property
from operator import attrgetter
from types import MappingProxyType

import msgspec

from ledger.errors import UnpricedService
from ledger.money import MEMO_NANOS_MAX, divide_half_up, divide_up
from ledger.usage import CLASSES, TOOL_CLASSES, Usage

UNITS_PER_PRICE = 1_000_000
"""Prices of tokens are for this many units. It is a multiple of every other number of units."""

UNITS_PER_TOOL_PRICE = 1_000
"""Prices of tools are for this many of their calls, as providers write them."""

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
"""Whose price a class costs when it has none of its own; a call of a tool then costs nothing."""

STANDARD = ""
"""The service a model is sold in unless something else was agreed; it is named nowhere."""

INPUT_CLASSES = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in")
OUTPUT_CLASSES = ("output", "reasoning", "audio_out", "image_out")
_input_counts = attrgetter(*INPUT_CLASSES)
_output_counts = attrgetter(*OUTPUT_CLASSES)


class Multiplier(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An exact ratio, e.g. 3/2 for a group that pays half as much again."""

    numerator: int = 1
    denominator: int = 1

    def __post_init__(self) -> None:
        if self.numerator < 0 or self.denominator < 1:
            raise ValueError("a multiplier is a ratio of a non-negative and a positive integer")


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of a charge. Its exact base is units x price_nanos / per_units, in nanodollars."""

    kind: str
    units: int
    price_nanos: int
    per_units: int


class LongContext(msgspec.Struct, frozen=True, kw_only=True):
    """What prompts of more than `above_tokens` cost: all of their call, not only the excess.

    A class that is not named here keeps the schedule's ordinary rate.
    """

    above_tokens: int
    rates: dict[str, int]

    def __post_init__(self) -> None:
        _check_rates(self.rates)
        if self.above_tokens < 1:
            raise ValueError("a long prompt has more than a positive number of tokens")


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """What one service of a model costs: nanodollars by class for so many units as `units_priced`
    says. `long_context` is in ascending order.
    """

    rates: dict[str, int]
    long_context: tuple[LongContext, ...] = ()

    def __post_init__(self) -> None:
        _check_rates(self.rates)
        above = [tier.above_tokens for tier in self.long_context]
        if above != sorted(set(above)):
            raise ValueError("long prompts are priced in ascending order, each length once")

    def rate(self, kind: str) -> int:
        """The price of a class, its parent's where it has none, 0 where no ancestor has one."""
        while kind not in self.rates:
            if kind not in PARENT:
                return 0
            kind = PARENT[kind]
        return self.rates[kind]

    def for_prompt(self, tokens: int) -> "Schedule":
        """The schedule of a prompt of so many tokens, whatever their class; without tiers."""
        chosen: Schedule = self
        for above_tokens, schedule in self._long:
            if tokens > above_tokens:
                chosen = schedule
        return chosen

    def reachable(self, tokens: int) -> "list[Schedule]":
        """Every schedule that may apply to a prompt of at most so many tokens."""
        return [self, *(schedule for above_tokens, schedule in self._long if above_tokens < tokens)]

    @cached_property
    def _long(self) -> "tuple[tuple[int, Schedule], ...]":
        return tuple(
            (tier.above_tokens, Schedule(rates=self.rates | tier.rates))
            for tier in self.long_context
        )

    @cached_property
    def dearest_input(self) -> int:
        """The highest price any kind of input token can have, in a prompt of ordinary length."""
        return max(self.rate(kind) for kind in INPUT_CLASSES)

    @cached_property
    def dearest_output(self) -> int:
        """The highest price any kind of output token can have, after an ordinary prompt."""
        return max(self.rate(kind) for kind in OUTPUT_CLASSES)


class Price(Schedule, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """What a model costs: the standard schedule, and those of other services by name."""

    services: dict[str, Schedule] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        if STANDARD in self.services:
            raise ValueError("the standard service has no name, and no second schedule")

    def schedule(self, service: str = STANDARD) -> Schedule:
        """The schedule of a service. Raises UnpricedService."""
        if service == STANDARD:
            return self
        if service not in self.services:
            raise UnpricedService(service)
        return self.services[service]


def units_priced(kind: str) -> int:
    """For how many units of a class its price is."""
    if kind == "calls":
        return 1
    return UNITS_PER_TOOL_PRICE if kind in TOOL_CLASSES else UNITS_PER_PRICE


def prompt_tokens(usage: Usage) -> int:
    """The length of a prompt: everything that was read, from a cache or not."""
    return sum(_input_counts(usage))


def output_tokens(usage: Usage) -> int:
    """The length of an answer: everything that was produced, thoughts too."""
    return sum(_output_counts(usage))


def price_lines(usage: Usage, price: Price, service: str = STANDARD) -> tuple[Line, ...]:
    """One line for every class that was used and has a price. Raises UnpricedService."""
    schedule = price.schedule(service)
    if schedule.long_context:
        schedule = schedule.for_prompt(prompt_tokens(usage))
    return tuple(
        Line(
            kind=kind,
            units=count,
            price_nanos=schedule.rate(kind),
            per_units=units_priced(kind),
        )
        for kind, count in usage.classes()
        if count and schedule.rate(kind)
    )


def charge_nanos(lines: tuple[Line, ...], multiplier: Multiplier) -> int:
    """The amount of a charge: the exact sum of its lines times the multiplier, rounded once."""
    exact = sum(_micro(line) for line in lines) * multiplier.numerator
    return divide_half_up(exact, UNITS_PER_PRICE * multiplier.denominator)


def dearest_service(usage: Usage, price: Price) -> str:
    """The service in which this usage costs most: what is charged where one answered that has no
    price, so that an unknown one is never sold as the standard by mistake.
    """
    whole = Multiplier()
    return max(
        (STANDARD, *price.services),
        key=lambda service: charge_nanos(price_lines(usage, price, service), whole),
    )


def cost_nanos(usage: Usage, price: Price, service: str = STANDARD) -> int:
    """What the provider takes for a call, as far as a memo goes. A service the cost book does not
    name costs the standard there: it is a memo of ours, and refuses nobody.
    """
    known = service if service in price.services else STANDARD
    return min(charge_nanos(price_lines(usage, price, known), Multiplier()), MEMO_NANOS_MAX)


def worst_case_nanos(
    price: Price,
    multiplier: Multiplier,
    *,
    input_tokens: int,
    output_tokens: int,
    tool_calls: Mapping[str, int] = MappingProxyType({}),
    service: str = STANDARD,
) -> int:
    """The most a call can cost: all tokens at the dearest class, `tool_calls` by class of
    TOOL_CLASSES at their own price, rounded up.

    Raises UnpricedService.
    """
    exact = max(
        input_tokens * each.dearest_input
        + output_tokens * each.dearest_output
        + UNITS_PER_PRICE * each.rate("calls")
        + _tools_micro(tool_calls, each)
        for each in price.schedule(service).reachable(input_tokens)
    )
    return divide_up(exact * multiplier.numerator, UNITS_PER_PRICE * multiplier.denominator)


def _micro(line: Line) -> int:
    """The line's base in millionths of a nanodollar: always whole."""
    return line.units * line.price_nanos * (UNITS_PER_PRICE // line.per_units)


def _tools_micro(tool_calls: Mapping[str, int], schedule: Schedule) -> int:
    per_call = UNITS_PER_PRICE // UNITS_PER_TOOL_PRICE
    return sum(count * schedule.rate(kind) * per_call for kind, count in tool_calls.items())


def _check_rates(rates: Mapping[str, int]) -> None:
    unknown = set(rates) - set(CLASSES)
    if unknown or any(rate < 0 for rate in rates.values()):
        raise ValueError(f"a price has non-negative rates for {CLASSES}, not {sorted(unknown)}")
