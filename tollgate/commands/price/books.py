"""What the actions about prices share: which book is meant, and how a price is written."""

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping

from admin_api.desk import Desk
from admin_api.prices.operations.books import SALE_NAME, book_of
from admin_api.prices.operations.price_inputs import CLASS_OF_FIELD, PriceInput, ScheduleInput
from admin_api.prices.operations.prices import channel_cost_book
from ledger.money import format_usd
from ledger.price_book.difference import ORDINARY, Change
from ledger.pricing import Price, Schedule
from tollgate.commands.at_the_desk import identifier, pairs
from tollgate.commands.contract import UsageRefused

_FIELDS = {kind: name for name, kind in CLASS_OF_FIELD.items()}
_RATE = re.compile(
    r"(?:(?P<service>[a-z][a-z0-9_]*)\.)?(?:above-(?P<above>[0-9]{1,10})\.)?(?P<name>[a-z0-9_]+)",
    re.ASCII,
)


def book_asked(arguments: argparse.Namespace) -> str | None:
    """The book that `--book` or `--cost` name; None: of a channel, see `opened_book`."""
    if arguments.channel and not arguments.cost:
        raise UsageRefused("--channel goes with --cost")
    if arguments.cost and arguments.book != SALE_NAME:
        raise UsageRefused("--cost is a book of its own: leave --book out")
    return None if arguments.cost else book_of(arguments.book)


async def opened_book(desk: Desk, arguments: argparse.Namespace) -> str:
    """The book that was asked for. Raises NotFound for a channel that is not there."""
    book = book_asked(arguments)
    if book is not None:
        return book
    channel_id = identifier(arguments.channel) if arguments.channel else None
    return await channel_cost_book(desk, channel_id)


def read_rates(texts: Iterable[str]) -> PriceInput:
    """`[SERVICE.][above-TOKENS.]CLASS=USD` each. Raises UsageRefused."""
    schedules: dict[str, dict[int, dict[str, str]]] = {"": {}}
    for name, usd in pairs(texts).items():
        match = _RATE.fullmatch(name)
        if match is None or match["name"] not in CLASS_OF_FIELD:
            known = ", ".join(CLASS_OF_FIELD)
            raise UsageRefused(f"no such rate: {name[:60]}; there are {known}")
        lengths = schedules.setdefault(match["service"] or "", {})
        lengths.setdefault(int(match["above"] or ORDINARY), {})[match["name"]] = usd
    standard = _schedule(schedules.pop(""))
    services = {service: _schedule(lengths) for service, lengths in schedules.items()}
    return PriceInput(standard.rates, standard.long_context, services)


def written_rates(price: Price) -> str:
    """A price as `read_rates` takes it."""
    told = [*_rates("", price)]
    for service, schedule in price.services.items():
        told += _rates(f"{service}.", schedule)
    return " ".join(told)


def written_changes(changes: Iterable[Change]) -> str:
    """What changes, from and to."""
    return "; ".join(
        f"{_place(change)} {_amount(change.before_nanos)} -> {_amount(change.after_nanos)}"
        + (f" ({change.percent}%)" if change.percent is not None else "")
        for change in changes
    )


def _place(change: Change) -> str:
    service = f"{change.service}." if change.service else ""
    return service + _above(change.above_tokens) + _FIELDS[change.kind]


def _amount(nanos: int | None) -> str:
    return "none" if nanos is None else format_usd(nanos)


def _rates(prefix: str, schedule: Schedule) -> Iterator[str]:
    lengths: Mapping[int, Mapping[str, int]] = {ORDINARY: schedule.rates} | {
        tier.above_tokens: tier.rates for tier in schedule.long_context
    }
    for above_tokens, rates in lengths.items():
        for kind, nanos in rates.items():
            yield f"{prefix}{_above(above_tokens)}{_FIELDS[kind]}={format_usd(nanos)}"


def _above(above_tokens: int) -> str:
    return "" if above_tokens == ORDINARY else f"above-{above_tokens}."


def _schedule(lengths: dict[int, dict[str, str]]) -> ScheduleInput:
    longer = {above: rates for above, rates in lengths.items() if above != ORDINARY}
    return ScheduleInput(lengths.get(ORDINARY, {}), longer)
