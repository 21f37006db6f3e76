"""The life of every charge, event by event: opened, held, closed once, priced as it says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from ledger.admission_checks import AdmissionsSoFar, wrong_moment
from ledger.errors import UnpricedService
from ledger.price_checks import Moments, PricesSoFar
from ledger.pricing import Line, Price, charge_nanos, cost_nanos, price_lines
from ledger.store.reader import Recorded
from ledger.streams.charge.billing import shortfall_nanos
from ledger.streams.charge.events import (
    ChargeAdjusted,
    Cost,
    QuotaReserved,
    RefundIssued,
    Terms,
    UsageSettled,
    paid_tries,
)
from ledger.streams.price import SALE, PriceSet
from ledger.usage import Usage

Problem = tuple[str, str]
"""The id of a check, and what is wrong."""


class _Used(NamedTuple):
    """What was used of a channel, and in which service."""

    usage: Usage
    channel_id: UUID
    upstream_model: str
    service: str


@dataclass(slots=True)
class _Unclosed:
    """What is known of a charge until it is closed. `doubt`: what cannot be of one that is
    charged.
    """

    opening: QuotaReserved
    recorded_at: datetime
    doubt: Problem | None
    held_nanos: int = 0


class ChargeChecks:
    """Takes all events of the log in order; remembers open charges, the price book and what calls
    are admitted by.
    """

    def __init__(self) -> None:
        self._open: dict[UUID, _Unclosed] = {}
        self._prices = PricesSoFar()
        self._admissions = AdmissionsSoFar()

    def check(self, event: Recorded) -> Iterator[Problem]:
        """What is wrong with an event."""
        match event.event:
            case QuotaReserved() as reserved:
                yield from self._reserved(event, reserved)
            case UsageSettled() as settled:
                moments = self._moments(event)
                yield from self._closed(event, settled)
                yield from self._amount(settled, moments)
                yield from self._attempts(settled, moments)
            case RefundIssued() as refund:
                moments = self._moments(event)
                yield from self._closed(event, refund)
                yield from self._attempts(refund, moments)
            case ChargeAdjusted() as adjusted:
                moments = self._moments(event)
                yield from self._adjusted(event, adjusted, moments)
                yield from self._attempts(adjusted, moments)
            case PriceSet() as price:
                self._prices.add(event.version, price, event.recorded_at)
            case _:
                self._admissions.add(event)

    def _reserved(self, event: Recorded, reserved: QuotaReserved) -> Iterator[Problem]:
        if reserved.hold_nanos < 0:
            yield "charge", f"a hold of {reserved.hold_nanos} nanos"
        charge = self._open.get(event.stream_id)
        if charge is None and event.version > 1:
            yield "charge", "a closed charge holds again"
            return
        if charge is None:
            doubt = self._doubt(event, reserved)
            charge = self._open[event.stream_id] = _Unclosed(reserved, event.recorded_at, doubt)
            message = self._prices.wrong_version(reserved)
            if message is not None:
                yield "price", message
        elif _payer(charge.opening) != _payer(reserved):
            yield "charge", "the hold grows at another's expense"
        elif replace(charge.opening, hold_nanos=reserved.hold_nanos) != reserved:
            yield "charge", "the hold grows under other terms than it was opened under"
        charge.held_nanos += reserved.hold_nanos

    def _doubt(self, event: Recorded, opening: QuotaReserved) -> Problem | None:
        """Told when the charge is settled: a hold that waited for a database that was away is
        stored however much later, and is given back.
        """
        moment = wrong_moment(opening, event.recorded_at)
        if moment is not None:
            return "price", f"at position {event.position} {moment}"
        terms = self._admissions.wrong_terms(opening, event.recorded_at)
        return None if terms is None else ("terms", f"at position {event.position} {terms}")

    def _moments(self, event: Recorded) -> Moments:
        charge = self._open.get(event.stream_id)
        admitted = None if charge is None else (charge.opening.admitted_at_us, charge.recorded_at)
        return Moments(event.stream_id, admitted, event.recorded_at)

    def _closed(self, event: Recorded, closing: UsageSettled | RefundIssued) -> Iterator[Problem]:
        charge = self._open.pop(event.stream_id, None)
        if charge is None:
            reason = "closed a second time" if event.version > 1 else "closed, but never reserved"
            yield "charge", f"the charge is {reason}"
            return
        opening = charge.opening
        closed_for = (closing.account_id, closing.key_id, closing.windows)
        if closing.released_nanos != charge.held_nanos:
            yield "charge", f"releases {closing.released_nanos} of {charge.held_nanos} nanos held"
        if _payer(opening) != closed_for:
            yield "charge", f"reserved for {_payer(opening)}, closed for {closed_for}"
        if closing.terms != opening.terms:
            yield "charge", "closed under other terms than it was reserved under"
        if charge.doubt is not None and isinstance(closing, UsageSettled):
            yield charge.doubt

    def _adjusted(
        self, event: Recorded, adjusted: ChargeAdjusted, moments: Moments
    ) -> Iterator[Problem]:
        if event.stream_id in self._open:
            yield "charge", "a charge that is not closed is adjusted"
        elif event.version == 1:
            yield "charge", "a charge that was never reserved is adjusted"
        late, usage = adjusted.late, adjusted.usage
        if late is None or usage is None:
            return
        service = adjusted.terms.service if late.service is None else late.service
        yield from self._priced(usage, adjusted.lines, adjusted.terms, service)
        if late.cost is not None:
            used = _Used(usage, late.channel_id, late.upstream_model, service)
            yield from self._cost(used, late.cost, moments)

    def _amount(self, settled: UsageSettled, moments: Moments) -> Iterator[Problem]:
        """The amount follows from the event alone; the lines also from the price it names."""
        charged, released = settled.charged_nanos, settled.released_nanos
        if not 0 <= charged <= released:
            yield "amount", f"charged {charged} of {released} nanos held"
        if settled.shortfall_nanos and charged != released:
            yield "amount", f"short of {settled.shortfall_nanos} nanos, yet not all was charged"
        cost = charge_nanos(settled.lines, settled.terms.multiplier)
        if settled.shortfall_nanos != shortfall_nanos(cost, charged):
            stated = charged + settled.shortfall_nanos
            yield "amount", f"the lines cost {cost} nanos, the event says {stated}"
        terms, usage = settled.terms, settled.usage
        service = terms.service if settled.service is None else settled.service
        yield from self._priced(usage, settled.lines, terms, service)
        if settled.cost is not None:
            used = _Used(usage, settled.channel_id, settled.upstream_model, service)
            yield from self._cost(used, settled.cost, moments)

    def _priced(
        self, usage: Usage, lines: tuple[Line, ...], terms: Terms, service: str
    ) -> Iterator[Problem]:
        """The lines follow from the usage and the price version of the terms."""
        price = self._prices.find(SALE, terms.model, terms.price_version)
        if price is not None and _lines(usage, price, service) == lines:
            return
        used = dict(usage.classes())
        for line in lines:
            if used.get(line.kind) != line.units:
                yield "amount", f"the line {line.kind!r} has {line.units} units, the usage another"
        if price is None:
            yield "amount", f"there is no price version {terms.price_version} of {terms.model!r}"
        else:
            yield "amount", f"the lines are not of price version {terms.price_version}"

    def _attempts(
        self, event: UsageSettled | RefundIssued | ChargeAdjusted, moments: Moments
    ) -> Iterator[Problem]:
        """What a try costs follows from what it used."""
        for attempt, cost in paid_tries(event.attempts):
            if attempt.usage is None:
                yield "cost", f"a try costs {cost.amount_nanos} nanos and used nothing"
                continue
            service = event.terms.service if attempt.service is None else attempt.service
            used = _Used(attempt.usage, attempt.channel_id, attempt.upstream_model, service)
            yield from self._cost(used, cost, moments)

    def _cost(self, used: _Used, cost: Cost, moments: Moments) -> Iterator[Problem]:
        """What the provider takes follows from the usage and the book that is named, which is the
        one in force for its channel.
        """
        price = self._prices.find(cost.book, used.upstream_model, cost.price_version)
        if price is None:
            yield "cost", f"there is no version {cost.price_version} in the book {cost.book!r}"
            return
        expected = cost_nanos(used.usage, price, used.service)
        if expected != cost.amount_nanos:
            yield "cost", f"{cost.amount_nanos} nanos, the book {cost.book!r} says {expected}"
        message = self._prices.wrong_cost(used.channel_id, used.upstream_model, cost, moments)
        if message is not None:
            yield "cost", message


def _lines(usage: Usage, price: Price, service: str) -> tuple[Line, ...] | None:
    try:
        return price_lines(usage, price, service)
    except UnpricedService:
        return None


def _payer(reserved: QuotaReserved) -> tuple[UUID, UUID, tuple[UUID, ...]]:
    windows = tuple(window.scope for window in reserved.windows)
    return reserved.account_id, reserved.key_id, windows
