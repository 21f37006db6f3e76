"""Prices as people write them: USD per million tokens by class, per 1,000 calls of a tool, for long
prompts, in services.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from admin_api.errors import InvalidInput
from ledger.money import parse_usd
from ledger.pricing import LongContext, Price, Schedule
from ledger.usage import CLASSES

CLASS_OF_FIELD: Mapping[str, str] = {
    ("per_call" if kind == "calls" else kind): kind for kind in CLASSES
}
"""What a price is called at the desk, and the class of usage it is for."""

TOKENS_MAX = 1_000_000_000
LENGTHS_MAX = 8
_OUTPUT = "output"
SERVICES_MAX = 16

_SERVICE = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_STANDARD = frozenset({"auto", "default", "standard", "standard_only", "on_demand"})
"""How providers call the service whose price is the price itself."""


@dataclass(frozen=True, slots=True)
class ScheduleInput:
    """Amounts in USD by field of CLASS_OF_FIELD; `long_context`: by prompts of more tokens."""

    rates: Mapping[str, str]
    long_context: Mapping[int, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PriceInput(ScheduleInput):
    """The standard schedule, and those of other services by name."""

    services: Mapping[str, ScheduleInput] = field(default_factory=dict)


def read_price(given: PriceInput) -> Price:
    """The price that was written. Raises InvalidInput, InvalidAmount."""
    if len(given.services) > SERVICES_MAX:
        raise InvalidInput("services", f"must not be more than {SERVICES_MAX}")
    services = {}
    for name, schedule in given.services.items():
        if _SERVICE.fullmatch(name) is None or name in _STANDARD:
            raise InvalidInput(
                "services", "must be named as providers do: flex, batch, priority; not the standard"
            )
        services[name] = _schedule(f"services.{name}.", schedule)
    standard = _schedule("", given)
    _require_output(given)
    return Price(rates=standard.rates, long_context=standard.long_context, services=services)


def _require_output(given: PriceInput) -> None:
    """A schedule that leaves out what another one sells would give it away."""
    schedules = {"": given} | {f"services.{name}.": one for name, one in given.services.items()}
    if not any(_OUTPUT in one.rates for one in schedules.values()):
        return
    for prefix, one in schedules.items():
        if "input" in one.rates and _OUTPUT not in one.rates:
            raise InvalidInput(
                f"{prefix}{_OUTPUT}", "is required: another service sells it; 0 is free"
            )


def _schedule(prefix: str, given: ScheduleInput) -> Schedule:
    if not {"input", "per_call"} & set(given.rates):
        raise InvalidInput(f"{prefix}input", "is required, or per_call")
    if len(given.long_context) > LENGTHS_MAX:
        raise InvalidInput(f"{prefix}long_context", f"must not be more than {LENGTHS_MAX}")
    return Schedule(
        rates=_nanos(given.rates),
        long_context=tuple(
            _longer(f"{prefix}long_context", above_tokens, rates)
            for above_tokens, rates in sorted(given.long_context.items())
        ),
    )


def _longer(name: str, above_tokens: int, rates: Mapping[str, str]) -> LongContext:
    if not 1 <= above_tokens <= TOKENS_MAX:
        raise InvalidInput(name, f"must begin above 1 to {TOKENS_MAX} tokens")
    if not rates:
        raise InvalidInput(name, "must name what costs something else")
    return LongContext(above_tokens=above_tokens, rates=_nanos(rates))


def _nanos(rates: Mapping[str, str]) -> dict[str, int]:
    return {CLASS_OF_FIELD[name]: parse_usd(text) for name, text in rates.items()}
