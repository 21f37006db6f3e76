"""An account's statement: from one balance to another, line by line, and what makes it true.

Pure: events in, lines and sums out. `projections/books/statements.py` reads the events,
`ledger/export/statement_pdf.py` and `statement_file.py` draw and write what comes of it,
`admin_api/books` and `tollgate ledger statement` serve it.

All amounts are nanodollars from the customer's side: positive lines give, negative lines take.
`posted` is what was credited, less what was charged, plus or minus what was adjusted; holds are
not lines, they are what is `held` at either end.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from ledger.store.reader import Recorded
from ledger.streams.charge.events import (
    ChargeAdjusted,
    QuotaReserved,
    RefundIssued,
    UsageSettled,
)
from ledger.streams.credit import CreditGranted
from ledger.streams.registry import stream_of

LineKind = Literal["credit", "charge", "adjustment"]


class Standing(msgspec.Struct, frozen=True, gc=False):
    """What an account stands at, or what changed it: standings add up, field by field.

    posted = credited - charged + adjusted, and available = posted - held.
    `charged_nanos` is what calls cost when they were settled; corrections are in `adjusted_nanos`.
    """

    posted_nanos: int = 0
    held_nanos: int = 0
    open_charges: int = 0
    credited_nanos: int = 0
    charged_nanos: int = 0
    adjusted_nanos: int = 0
    credits: int = 0
    charges: int = 0
    adjustments: int = 0

    @property
    def available_nanos(self) -> int:
        """What a new hold may take, before any overdraft."""
        return self.posted_nanos - self.held_nanos

    def __add__(self, other: "Standing") -> "Standing":
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Standing(*(a + b for a, b in zip(mine, theirs, strict=True)))

    def __sub__(self, other: "Standing") -> "Standing":
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Standing(*(a - b for a, b in zip(mine, theirs, strict=True)))


NOTHING = Standing()


class StatementLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event that moved the posted balance, or a call that was delivered for nothing.

    amount_nanos: as the customer sees it. balance_nanos: posted, after this line.
    reference: the stream of the event: the request id of a charge, the id of a credit.
    detail: a code, not prose: the source of a credit, the reason of an adjustment.
    """

    position: int
    recorded_at: datetime
    kind: LineKind
    amount_nanos: int
    balance_nanos: int
    reference: UUID
    detail: str = ""
    model: str = ""
    key_id: UUID | None = None


class BalanceAt(msgspec.Struct, frozen=True, kw_only=True):
    """What an account stood at right after a position. `recorded_at`: of that position's event;
    None before the first.
    """

    position: int
    recorded_at: datetime | None
    standing: Standing


class StatementBroken(Exception):
    """A statement does not add up: its lines do not lead from its opening to its closing."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What happened to an account after `opening.position`, up to `closing.position`.

    Its lines may be a part of all (a page): those after `after`, which stood at `carried_nanos`
    posted. `next_after` continues; None when the last line is there.
    `as_of` is the position up to which the log was looked at, `head` where it ended when asked;
    `since` and `until` are the moments that were asked for (the first counts, the last does not).
    """

    account_id: UUID
    opening: BalanceAt
    closing: BalanceAt
    lines: tuple[StatementLine, ...]
    after: int
    carried_nanos: int
    next_after: int | None
    as_of: int
    head: int
    since: datetime | None = None
    until: datetime | None = None

    @property
    def moved(self) -> Standing:
        """The sums of the whole period: what was credited, charged and adjusted, and how often."""
        return self.closing.standing - self.opening.standing

    def check(self) -> None:
        """Raises StatementBroken unless everything adds up that was said."""
        for end in (self.opening, self.closing):
            _require(_is_consistent(end.standing), f"the balance at {end.position}")
        balance, position = self.carried_nanos, self.after
        for line in self.lines:
            _require(line.position > position, f"the place of line {line.position}")
            balance, position = balance + line.amount_nanos, line.position
            _require(line.balance_nanos == balance, f"the balance of line {line.position}")
        if self.after == self.opening.position:
            carried = self.opening.standing.posted_nanos
            _require(self.carried_nanos == carried, "the first line's beginning")
        if self.next_after is None:
            _require(balance == self.closing.standing.posted_nanos, "the closing balance")
        if self.after == self.opening.position and self.next_after is None:
            self._check_sums()

    def _check_sums(self) -> None:
        moved = self.moved
        expected: dict[LineKind, tuple[int, int]] = {
            "credit": (moved.credits, moved.credited_nanos),
            "charge": (moved.charges, -moved.charged_nanos),
            "adjustment": (moved.adjustments, moved.adjusted_nanos),
        }
        for kind, (count, total) in expected.items():
            amounts = [line.amount_nanos for line in self.lines if line.kind == kind]
            _require(len(amounts) == count, f"the number of lines that are a {kind}")
            _require(sum(amounts) == total, f"the sum of lines that are a {kind}")


def change(event: Recorded) -> Standing:
    """What one event does to the standing of its account: what its effects do to its budget.

    Stated apart for calls, which are nearly all of the log; that it is the same is tested.
    """
    match event.event:
        case QuotaReserved(hold_nanos=hold):
            return Standing(0, hold, 1 if event.version == 1 else 0)
        case UsageSettled(released_nanos=released, charged_nanos=charged):
            return Standing(-charged, -released, -1, 0, charged, 0, 0, 1)
        case RefundIssued(released_nanos=released):
            return Standing(0, -released, -1)
        case ChargeAdjusted(delta_nanos=delta):
            return Standing(-delta, 0, 0, 0, 0, -delta, 0, 0, 1)
        case _:
            return _change_by_effects(event)


def _change_by_effects(event: Recorded) -> Standing:
    held = posted = 0
    for effect in stream_of(event.event).effects(event.event):
        if effect.scope == event.account_id:
            held += effect.held_nanos
            posted += effect.posted_nanos
    if isinstance(event.event, CreditGranted):
        return Standing(posted, held, 0, posted, 0, 0, 1)
    if posted:
        return Standing(posted, held, 0, 0, 0, posted, 0, 0, 1)
    return Standing(posted, held) if held else NOTHING


def fold(events: Iterable[Recorded], start: Standing = NOTHING) -> Standing:
    """The standing after some events of one account."""
    standings = [start, *map(change, events)]
    return Standing(*map(sum, zip(*map(msgspec.structs.astuple, standings), strict=True)))


def lines(events: Iterable[Recorded], carried_nanos: int) -> Iterator[StatementLine]:
    """The lines of an account's events, in their order; `carried_nanos` was posted before them."""
    balance = carried_nanos
    for event in events:
        moved = change(event)
        kind = _kind(moved)
        if kind is None:
            continue
        balance += moved.posted_nanos
        yield _line(event, kind, moved.posted_nanos, balance)


def _kind(moved: Standing) -> LineKind | None:
    if moved.credits:
        return "credit"
    if moved.charges:
        return "charge"
    return "adjustment" if moved.adjustments else None


def _line(event: Recorded, kind: LineKind, amount: int, balance: int) -> StatementLine:
    detail, model, key_id = "", "", None
    match event.event:
        case CreditGranted(source=source, method=method, reference=reference):
            detail = f"{source}:{method}" if method else source
            detail += f" {reference}" if reference else ""
        case UsageSettled(terms=terms, ending=ending):
            detail, model, key_id = ending, terms.model, event.event.key_id
        case ChargeAdjusted(terms=terms, reason=reason):
            detail, model, key_id = reason, terms.model, event.event.key_id
        case _:
            detail = str(getattr(event.event, "reason", ""))
    return StatementLine(
        position=event.position,
        recorded_at=event.recorded_at,
        kind=kind,
        amount_nanos=amount,
        balance_nanos=balance,
        reference=event.stream_id,
        detail=detail,
        model=model,
        key_id=key_id,
    )


def _is_consistent(standing: Standing) -> bool:
    sums = standing.credited_nanos - standing.charged_nanos + standing.adjusted_nanos
    return standing.posted_nanos == sums and standing.held_nanos >= 0


def _require(is_true: bool, what: str) -> None:
    if not is_true:
        raise StatementBroken(f"{what} is not what it should be")
