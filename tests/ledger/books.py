"""An auditor: folds every position of a log and checks each invariant of money right there.

It shares no arithmetic with the code it audits: amounts are recomputed with fractions.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from math import floor
from typing import NamedTuple
from uuid import UUID

from ledger.streams.adjustment import (
    AdjustmentApproved,
    AdjustmentPosted,
    AdjustmentProposed,
    AdjustmentRejected,
)
from ledger.streams.charge.events import (
    ChargeAdjusted,
    QuotaReserved,
    RefundIssued,
    UsageSettled,
)
from ledger.streams.contract import AccountEvent, Effect, Event
from ledger.streams.credit import CreditGranted
from ledger.streams.registry import STREAM_OF

Budget = tuple[int, int, int, int]
"""held, posted, seq, position"""

_TOTAL_NANOS_MAX = 2**62


class Entry(NamedTuple):
    """One position of a log, as read back."""

    position: int
    stream_id: UUID
    version: int
    account_id: UUID | None
    account_seq: int | None
    recorded_at: datetime
    event: Event


class ChargeBook:
    """What is known of one charge."""

    def __init__(self, opening: QuotaReserved) -> None:
        self.opening = opening
        self.held = 0
        self.charged = 0
        self.closings = 0
        self.adjustments: set[UUID] = set()


class AdjustmentBook:
    """What is known of one adjustment."""

    def __init__(self, proposed: AdjustmentProposed) -> None:
        self.proposed = proposed
        self.decision: AdjustmentApproved | AdjustmentRejected | None = None
        self.is_posted = False


class Books:
    """Feed it every event in order; it raises AssertionError at the first that breaks a rule."""

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.recorded_at: datetime | None = None
        self.versions: Counter[UUID] = Counter()
        self.account_seqs: Counter[UUID] = Counter()
        self.budgets: dict[UUID, Budget] = {}
        self.charges: dict[UUID, ChargeBook] = {}
        self.trial: Counter[tuple[str, UUID | None]] = Counter()
        self.credited: Counter[UUID] = Counter()
        self.charged: Counter[UUID] = Counter()
        self.adjusted: Counter[UUID] = Counter()
        self.proposals: dict[UUID, AdjustmentBook] = {}
        self.lawfully_below: Counter[UUID] = Counter()

    def feed(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._order(entry)
            self._double_entry(entry)
            before = {scope: held - posted for scope, (held, posted, *_) in self.budgets.items()}
            self._move_budgets(entry)
            self._cover(entry.event, before)
            self._story(entry)
            if entry.account_id is not None:
                self._account(entry.account_id)

    def used(self, scope: UUID) -> int:
        held, posted, *_ = self.budgets.get(scope, (0, 0, 0, 0))
        return held - posted

    def _order(self, entry: Entry) -> None:
        """I-16, I-17, I-19."""
        assert entry.position == self.position + 1
        self.position = entry.position
        assert self.recorded_at is None or entry.recorded_at >= self.recorded_at
        self.recorded_at = entry.recorded_at
        self.versions[entry.stream_id] += 1
        assert entry.version == self.versions[entry.stream_id]
        if isinstance(entry.event, AccountEvent):
            assert entry.account_id == entry.event.account_id
            self.account_seqs[entry.account_id] += 1
            assert entry.account_seq == self.account_seqs[entry.account_id]
        else:
            assert (entry.account_id, entry.account_seq) == (None, None)

    def _double_entry(self, entry: Entry) -> None:
        """I-01, I-02."""
        postings = STREAM_OF[type(entry.event)].postings(entry.event)
        assert sum(posting.amount_nanos for posting in postings) == 0
        for posting in postings:
            of = entry.account_id if posting.account.startswith("customer:") else None
            self.trial[posting.account, of] += posting.amount_nanos
        assert sum(self.trial.values()) == 0

    def _move_budgets(self, entry: Entry) -> None:
        effects = STREAM_OF[type(entry.event)].effects(entry.event)
        if entry.account_id is not None and entry.account_id not in {e.scope for e in effects}:
            effects = (Effect(entry.account_id, 0, 0), *effects)
        for effect in effects:
            held, posted, seq, _ = self.budgets.get(effect.scope, (0, 0, 0, 0))
            held, posted = held + effect.held_nanos, posted + effect.posted_nanos
            assert 0 <= held < _TOTAL_NANOS_MAX
            assert abs(posted) < _TOTAL_NANOS_MAX
            self.budgets[effect.scope] = (held, posted, seq + 1, entry.position)

    def _cover(self, event: Event, before: dict[UUID, int]) -> None:
        """I-06, I-08: only covered holds and lawful corrections use more of anything."""
        for effect in STREAM_OF[type(event)].effects(event):
            used = self.used(effect.scope)
            if isinstance(event, QuotaReserved):
                is_open_ended = effect.scope == event.key_id and event.key_limit_nanos is None
                if event.hold_nanos and not is_open_ended:
                    assert effect.cap_nanos is not None
                    assert used <= effect.cap_nanos
            elif not isinstance(event, ChargeAdjusted | AdjustmentPosted):
                assert used <= before.get(effect.scope, 0)
        if isinstance(event, QuotaReserved) and event.hold_nanos:
            assert -self.used(event.account_id) >= -event.overdraft_nanos

    def _story(self, entry: Entry) -> None:
        match entry.event:
            case CreditGranted() as granted:
                assert entry.version == 1
                assert granted.amount_nanos > 0
                self.credited[granted.account_id] += granted.amount_nanos
            case QuotaReserved() as reserved:
                self._reserved(entry.stream_id, reserved)
            case UsageSettled() as settled:
                self._settled(self.charges[entry.stream_id], settled)
            case RefundIssued() as refunded:
                book = self._closing(self.charges[entry.stream_id], refunded)
                assert book.charged == 0
            case ChargeAdjusted() as adjusted:
                self._adjusted(self.charges[entry.stream_id], adjusted)
            case AdjustmentProposed() as proposed:
                assert entry.version == 1
                self.proposals[entry.stream_id] = AdjustmentBook(proposed)
            case AdjustmentApproved() | AdjustmentRejected():
                self._decided(self.proposals[entry.stream_id], entry.event)
            case AdjustmentPosted() as posted:
                self._posted(self.proposals[entry.stream_id], posted)
            case _:
                pass

    def _reserved(self, stream_id: UUID, event: QuotaReserved) -> None:
        """I-15: one chain, one payer, one price."""
        book = self.charges.setdefault(stream_id, ChargeBook(event))
        assert book.closings == 0
        assert event.hold_nanos >= 0
        assert (event.account_id, event.key_id, event.terms) == (
            book.opening.account_id,
            book.opening.key_id,
            book.opening.terms,
        )
        book.held += event.hold_nanos

    def _closing(self, book: ChargeBook, event: UsageSettled | RefundIssued) -> ChargeBook:
        """I-09, I-11: one closing, which releases everything."""
        book.closings += 1
        assert book.closings == 1
        assert event.released_nanos == book.held
        assert event.terms == book.opening.terms
        book.held = 0
        return book

    def _settled(self, book: ChargeBook, event: UsageSettled) -> None:
        """I-04, I-10, I-14: charged within the hold, recomputed from the event alone."""
        self._closing(book, event)
        assert 0 <= event.charged_nanos <= event.released_nanos
        assert event.shortfall_nanos >= 0
        assert event.charged_nanos + event.shortfall_nanos == recomputed(event)
        assert event.shortfall_nanos == 0 or event.charged_nanos == event.released_nanos
        used = dict(event.usage.classes())
        assert all(line.units == used[line.kind] for line in event.lines)
        book.charged = event.charged_nanos
        self.charged[event.account_id] += event.charged_nanos

    def _adjusted(self, book: ChargeBook, event: ChargeAdjusted) -> None:
        assert book.closings == 1
        assert event.adjustment_id not in book.adjustments
        book.adjustments.add(event.adjustment_id)
        book.charged += event.delta_nanos
        assert book.charged >= 0
        self.charged[event.account_id] += event.delta_nanos
        self.lawfully_below[event.account_id] += max(0, event.delta_nanos)

    def _decided(
        self, book: "AdjustmentBook", event: AdjustmentApproved | AdjustmentRejected
    ) -> None:
        """Once, and an approval by somebody else."""
        assert book.decision is None
        book.decision = event
        if isinstance(event, AdjustmentApproved):
            assert event.actor != book.proposed.actor

    def _posted(self, book: "AdjustmentBook", event: AdjustmentPosted) -> None:
        """Once, as it was proposed."""
        assert isinstance(book.decision, AdjustmentApproved)
        assert not book.is_posted
        book.is_posted = True
        assert event.account_id == book.proposed.account_id
        assert event.amount_nanos == book.proposed.amount_nanos
        self.adjusted[event.account_id] += event.amount_nanos
        self.lawfully_below[event.account_id] += max(0, -event.amount_nanos)

    def _account(self, account_id: UUID) -> None:
        """I-03: the balance from postings, from effects and from raw events is one figure."""
        held, posted, *_ = self.budgets[account_id]
        expected = self.credited[account_id] - self.charged[account_id] + self.adjusted[account_id]
        assert posted == expected
        assert self.trial["customer:held", account_id] == held
        assert self.trial["customer:available", account_id] == posted - held


def recomputed(event: UsageSettled) -> int:
    """The cost of the lines under the multiplier, half up: by hand, with fractions."""
    exact = sum(
        (Fraction(line.units * line.price_nanos, line.per_units) for line in event.lines),
        Fraction(0),
    )
    multiplier = event.terms.multiplier
    exact *= Fraction(multiplier.numerator, multiplier.denominator)
    return floor(exact + Fraction(1, 2))
