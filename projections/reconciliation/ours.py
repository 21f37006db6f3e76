"""Our side: what the ledger recorded per day, model and class, with amounts split exactly.

An event says what a call cost in all. What each class cost follows from the cost price it names,
exactly and unrounded; the difference to the rounded sums is told as `rounding`. Where a price has
a tier for long prompts that the read model does not tell apart, the amount stays whole.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date
from itertools import pairwise
from typing import NamedTuple

from ledger.pricing import UNITS_PER_PRICE, Price, Schedule, units_priced
from ledger.usage import CLASSES
from projections.views.upstream_daily import PROMPT_BANDS, UpstreamRow

PriceKey = tuple[str, str, int]
"""Book, model and version."""

_NEXT_BAND = dict(pairwise(PROMPT_BANDS))


class DayOfModel(NamedTuple):
    """Where figures belong on our side."""

    day: date
    model: str


@dataclass(frozen=True, slots=True)
class Ours:
    """Everything recorded for some channels in a period.

    units and femto (millionths of a nanodollar) are by place and usage class, whole_femto is of
    all classes. unsplit_nanos is what could not be split by class. Requests are answers; of
    these some were counted by estimate, some have no cost price. Failed attempts are by day.
    """

    units: Mapping[tuple[DayOfModel, str], int]
    femto: Mapping[tuple[DayOfModel, str], int]
    whole_femto: Mapping[DayOfModel, int]
    unsplit_nanos: Mapping[DayOfModel, int]
    requests: Mapping[DayOfModel, int]
    estimated: Mapping[date, int]
    uncosted: Mapping[date, int]
    failed: Mapping[date, int]
    recorded_nanos: Mapping[date, int]

    def models(self) -> set[str]:
        """The upstream models that answered."""
        return {place.model for place in self.requests}


def ours_from(rows: Iterable[UpstreamRow], prices: Mapping[PriceKey, Price]) -> Ours:
    """Our side from the rows of the read model and the cost prices that they name."""
    units: Counter[tuple[DayOfModel, str]] = Counter()
    femto: Counter[tuple[DayOfModel, str]] = Counter()
    whole: Counter[DayOfModel] = Counter()
    unsplit: Counter[DayOfModel] = Counter()
    requests: Counter[DayOfModel] = Counter()
    estimated: Counter[date] = Counter()
    uncosted: Counter[date] = Counter()
    failed: Counter[date] = Counter()
    recorded: Counter[date] = Counter()
    for row in rows:
        place = DayOfModel(row.day.astimezone(UTC).date(), row.upstream_model)
        failed[place.day] += row.failed_attempts
        if not row.requests:
            continue
        requests[place] += row.requests
        estimated[place.day] += row.estimated_requests
        recorded[place.day] += row.cost_nanos
        for kind in CLASSES:
            units[place, kind] += getattr(row, kind)
        if not row.cost_book:
            uncosted[place.day] += row.requests
            continue
        price = prices.get((row.cost_book, row.upstream_model, row.cost_version))
        schedule = None if price is None else _schedule(price, row)
        if schedule is None:
            unsplit[place] += row.cost_nanos
            continue
        for kind in CLASSES:
            amount = _femto(schedule, kind, getattr(row, kind))
            femto[place, kind] += amount
            whole[place] += amount
    return Ours(units, femto, whole, unsplit, requests, estimated, uncosted, failed, recorded)


def price_keys(rows: Iterable[UpstreamRow]) -> set[PriceKey]:
    """The cost prices that rows name."""
    return {(row.cost_book, row.upstream_model, row.cost_version) for row in rows if row.cost_book}


def _schedule(price: Price, row: UpstreamRow) -> Schedule | None:
    """What every call of a row was priced by; None where its prompts lie on both sides of a tier.

    As `ledger.pricing.cost_nanos` chooses it.
    """
    schedule = price.services.get(row.service, price)
    end = _NEXT_BAND.get(row.above_tokens)
    for tier in schedule.long_context:
        if row.above_tokens < tier.above_tokens and (end is None or tier.above_tokens < end):
            return None
    return schedule.for_prompt(row.above_tokens + 1)


def _femto(schedule: Schedule, kind: str, units: int) -> int:
    return units * schedule.rate(kind) * (UNITS_PER_PRICE // units_priced(kind))
