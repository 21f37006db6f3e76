"""What calls would have cost under other prices: pure, and the one place that says how.

What a customer pays for a call is what its settlement charged and what corrections added since.
Under other prices it is that, plus a difference: the usage that was billed, priced anew, less what
it was billed at (earlier repricings included). Three things never happen:

- a call that fell short of its cover, or was given back in part (refund, dispute), never rises:
  what was not covered then, or was given back, is not collected by the way;
- nothing falls below zero: what was not paid cannot be given back;
- a call that cannot be priced is not dropped: it is counted, with the reason.
"""

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from uuid import UUID

from ledger.alternative import Alternative, Question
from ledger.errors import UnpricedService
from ledger.pricing import Line, Multiplier, Price, charge_nanos, price_lines
from ledger.streams.adjustment import Correction, Direction
from ledger.streams.charge.events import ChargeAdjusted, RefundIssued, Terms, UsageSettled
from ledger.usage import Usage

Cause = Literal["no_price", "unpriced_service"]

MOST_AFFECTED = 20
EXAMPLES = 10
_GIVEN_BACK = ("refund", "dispute")


class Call(NamedTuple):
    """A closed call that was billed, with everything that was corrected since.

    paid_nanos: what the customer pays for it now. billed_nanos: what its usage was billed at.
    """

    charge_id: UUID
    account_id: UUID
    terms: Terms
    service: str
    usage: Usage
    lines: tuple[Line, ...]
    paid_nanos: int
    billed_nanos: int
    may_rise: bool


class Repriced(NamedTuple):
    """A call and what it would cost more; `lines` are those of the other price."""

    call: Call
    delta_nanos: int
    lines: tuple[Line, ...]


class Unpriced(NamedTuple):
    """A call that the other prices say nothing of."""

    call: Call
    cause: Cause


Verdict = Repriced | Unpriced


def billed_call(
    charge_id: UUID, closing: UsageSettled | RefundIssued, later: Sequence[ChargeAdjusted]
) -> Call | None:
    """A call by its closing event and its corrections in their order; None if nothing was billed.

    Usage that came late replaces what was settled: it is the usage of the whole call.
    """
    usage, lines, service, charged, shortfall = _closed(closing)
    billed = charged
    for event in later:
        if event.reason == "late_usage" and event.usage is not None and event.lines:
            usage, lines = event.usage, event.lines
            if event.late is not None:
                service = _service(closing.terms, event.late.service)
            cost = charge_nanos(lines, closing.terms.multiplier)
            shortfall = cost - billed - event.delta_nanos
        elif event.reason == "reprice" and event.lines:
            lines = event.lines
        if event.reason in ("late_usage", "reprice"):
            billed += event.delta_nanos
    if usage is None:
        return None
    given_back = any(event.reason in _GIVEN_BACK for event in later)
    return Call(
        charge_id=charge_id,
        account_id=closing.account_id,
        terms=closing.terms,
        service=service,
        usage=usage,
        lines=lines,
        paid_nanos=charged + sum(event.delta_nanos for event in later),
        billed_nanos=billed,
        may_rise=not given_back and shortfall <= 0,
    )


def _closed(
    closing: UsageSettled | RefundIssued,
) -> tuple[Usage | None, tuple[Line, ...], str, int, int]:
    if isinstance(closing, RefundIssued):
        return None, (), closing.terms.service, 0, 0
    service = _service(closing.terms, closing.service)
    return closing.usage, closing.lines, service, closing.charged_nanos, closing.shortfall_nanos


def _service(terms: Terms, answered: str | None) -> str:
    return terms.service if answered is None else answered


def reprice_call(call: Call, alternative: Alternative, price: Price | None) -> Verdict:
    """What the call would cost. `price`: of its model, by the alternative's book where it has one.

    Without a book and a price of its own, a model keeps the lines it was billed by.
    """
    terms = call.terms
    if not alternative.touches(terms.model, terms.group):
        return Repriced(call, 0, call.lines)
    chosen = alternative.prices.get(terms.model, price)
    if chosen is None and alternative.book is not None:
        return Unpriced(call, "no_price")
    try:
        lines = call.lines if chosen is None else price_lines(call.usage, chosen, call.service)
    except UnpricedService:
        return Unpriced(call, "unpriced_service")
    multiplier = alternative.multipliers.get(terms.group, terms.multiplier)
    return Repriced(call, _delta(call, lines, multiplier), lines)


def _delta(call: Call, lines: tuple[Line, ...], multiplier: Multiplier) -> int:
    delta = charge_nanos(lines, multiplier) - call.billed_nanos
    if delta > 0 and not call.may_rise:
        return 0
    return max(delta, -call.paid_nanos)


@dataclass(slots=True)
class Sums:
    """Some calls, what customers paid for them, and which of them would cost more or less."""

    calls: int = 0
    paid_nanos: int = 0
    raised_calls: int = 0
    raised_nanos: int = 0
    lowered_calls: int = 0
    lowered_nanos: int = 0

    @property
    def delta_nanos(self) -> int:
        """What customers would pay more."""
        return self.raised_nanos + self.lowered_nanos

    def add(self, repriced: Repriced) -> None:
        """One more call."""
        delta = repriced.delta_nanos
        self.calls += 1
        self.paid_nanos += repriced.call.paid_nanos
        if delta > 0:
            self.raised_calls += 1
            self.raised_nanos += delta
        elif delta < 0:
            self.lowered_calls += 1
            self.lowered_nanos += delta


@dataclass(slots=True)
class UnpricedCalls:
    """Calls that could not be repriced for one reason; `examples` are the first of them."""

    calls: int = 0
    paid_nanos: int = 0
    examples: list[UUID] = field(default_factory=list)


class Corrected:
    """The charges that a correction of one direction would touch, and the digest over them."""

    def __init__(self, direction: Direction) -> None:
        self.direction = direction
        self.charges = 0
        self.before_nanos = 0
        self.delta_nanos = 0
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """See `ledger.streams.adjustment.Correction`."""
        return self._digest.hexdigest()

    def add(self, repriced: Repriced) -> None:
        """One more call, in the order of the log."""
        if not is_corrected(repriced, self.direction):
            return
        self.charges += 1
        self.before_nanos += repriced.call.paid_nanos
        self.delta_nanos += repriced.delta_nanos
        self._digest.update(f"{repriced.call.charge_id}:{repriced.delta_nanos}\n".encode())


def is_corrected(repriced: Repriced, direction: Direction) -> bool:
    """Whether a correction of this direction touches the call."""
    delta = repriced.delta_nanos
    return delta < 0 or (delta > 0 and direction == "both")


class WhatIf:
    """The answer to a question, verdict by verdict, in the order of the log.

    Memory: sums per model and account, and a few examples; calls stream by.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        self.total = Sums()
        self.by_model: dict[str, Sums] = {}
        self.by_account: dict[UUID, Sums] = {}
        self.unpriced: dict[tuple[str, str, Cause], UnpricedCalls] = {}
        self._corrected: dict[Direction, Corrected] = {
            "both": Corrected("both"),
            "customer": Corrected("customer"),
        }
        self._raised = _Largest()
        self._lowered = _Largest()

    def add(self, verdict: Verdict) -> None:
        """One more call."""
        call = verdict.call
        if isinstance(verdict, Unpriced):
            key = (call.terms.model, call.service, verdict.cause)
            unpriced = self.unpriced.setdefault(key, UnpricedCalls())
            unpriced.calls += 1
            unpriced.paid_nanos += call.paid_nanos
            if len(unpriced.examples) < EXAMPLES:
                unpriced.examples.append(call.charge_id)
            return
        self.total.add(verdict)
        self.by_model.setdefault(call.terms.model, Sums()).add(verdict)
        self.by_account.setdefault(call.account_id, Sums()).add(verdict)
        for corrected in self._corrected.values():
            corrected.add(verdict)
        self._raised.add(verdict.delta_nanos, verdict)
        self._lowered.add(-verdict.delta_nanos, verdict)

    @property
    def raised(self) -> list[Repriced]:
        """The calls that would rise most, the most first."""
        return self._raised.in_order()

    @property
    def lowered(self) -> list[Repriced]:
        """The calls that would fall most, the most first."""
        return self._lowered.in_order()

    def accounts(self, limit: int = MOST_AFFECTED) -> Iterator[tuple[UUID, Sums]]:
        """The accounts whose total would change most, the most first."""
        changed = (item for item in self.by_account.items() if item[1].delta_nanos)
        yield from heapq.nsmallest(
            limit, changed, key=lambda item: (-abs(item[1].delta_nanos), item[0])
        )

    def correction(self, direction: Direction) -> Correction:
        """What a correction would do."""
        corrected = self._corrected[direction]
        accounts = sum(
            bool(sums.lowered_calls or (direction == "both" and sums.raised_calls))
            for sums in self.by_account.values()
        )
        return Correction(
            question=self.question,
            direction=direction,
            charges=corrected.charges,
            accounts=accounts,
            before_nanos=corrected.before_nanos,
            delta_nanos=corrected.delta_nanos,
            digest=corrected.digest,
        )


class _Largest:
    """The verdicts of the largest positive figures; of equals, those that came first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Repriced]] = []
        self._seen = 0

    def add(self, figure: int, verdict: Repriced) -> None:
        self._seen += 1
        if figure <= 0:
            return
        item = (figure, -self._seen, verdict)
        if len(self._heap) < MOST_AFFECTED:
            heapq.heappush(self._heap, item)
        elif item > self._heap[0]:
            heapq.heapreplace(self._heap, item)

    def in_order(self) -> list[Repriced]:
        return [verdict for _, _, verdict in sorted(self._heap, reverse=True)]
