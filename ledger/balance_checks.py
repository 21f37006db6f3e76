"""Effects, caps and postings of every event, and the sums they come to."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from ledger.budget import BudgetFold, Total
from ledger.store.reader import Recorded
from ledger.streams.contract import AccountEvent, Effect, Posting
from ledger.streams.registry import STREAM_OF

HELD, AVAILABLE = "customer:held", "customer:available"


class BelowZero(NamedTuple):
    """The event that took an account below zero, lawfully: a correction, never a hold."""

    position: int
    topic: str


class Problem(NamedTuple):
    """The id of a check, the scope it is about (None: the event's stream), and what is wrong."""

    check: str
    scope: str | None
    message: str


@dataclass(slots=True)
class _Posted:
    """What the postings of an account's events come to."""

    held_nanos: int = 0
    available_nanos: int = 0


@dataclass(slots=True)
class BalanceChecks:
    """Takes all events in order. Memory: a total per scope, and two sums per account.

    below_zero: accounts that are below zero now, each with its cause.
    """

    fold: BudgetFold
    below_zero: dict[UUID, BelowZero] = field(default_factory=dict)
    _accounts: dict[UUID, _Posted] = field(default_factory=dict)
    _trial: Counter[str] = field(default_factory=Counter)

    def check(self, event: Recorded) -> Iterator[Problem]:
        """What is wrong with an event."""
        own = event.event.account_id if isinstance(event.event, AccountEvent) else None
        if own != event.account_id:
            yield Problem("account", None, f"stored under {event.account_id}, but it is {own}'s")
            return
        for effect, total in self.fold.add(event):
            yield from _covered(effect, total)
            if effect.scope == own:
                self._note_below_zero(event, effect, total)
        postings = STREAM_OF[type(event.event)].postings(event.event)
        if sum([posting.amount_nanos for posting in postings]):
            yield Problem("postings", None, f"postings do not balance: {postings}")
        self._post(own, postings)

    def end(self) -> Iterator[Problem]:
        """Two ways to the same sums: postings of all events, and their effects on accounts."""
        if sum(self._trial.values()):
            yield Problem("trial_balance", None, f"does not sum to zero: {dict(self._trial)}")
        held = sum(self.fold.totals[each].held_nanos for each in self._accounts)
        posted = sum(self.fold.totals[each].posted_nanos for each in self._accounts)
        for name, total in ((HELD, held), (AVAILABLE, posted - held)):
            if self._trial[name] != total:
                message = f"postings say {self._trial[name]} nanos, the accounts {total}"
                yield Problem("trial_balance", name, message)
        for account_id, told in self._accounts.items():
            total_ = self.fold.totals[account_id]
            available = total_.posted_nanos - total_.held_nanos
            if (told.held_nanos, told.available_nanos) != (total_.held_nanos, available):
                message = (
                    f"its postings come to {told.available_nanos} available and "
                    f"{told.held_nanos} held, its budget to {available} and {total_.held_nanos}"
                )
                yield Problem("account_total", str(account_id), message)

    def _post(self, own: UUID | None, postings: tuple[Posting, ...]) -> None:
        for name, amount_nanos in postings:
            self._trial[name] += amount_nanos
        if own is None:
            return
        posted = self._accounts.get(own)
        if posted is None:
            posted = self._accounts[own] = _Posted()
        for name, amount_nanos in postings:
            if name == HELD:
                posted.held_nanos += amount_nanos
            elif name == AVAILABLE:
                posted.available_nanos += amount_nanos

    def _note_below_zero(self, event: Recorded, effect: Effect, total: Total) -> None:
        if total.posted_nanos >= total.held_nanos:
            if self.below_zero:
                self.below_zero.pop(effect.scope, None)
        elif effect.cap_nanos is None and effect.held_nanos > effect.posted_nanos:
            self.below_zero[effect.scope] = BelowZero(event.position, event.topic)


def _covered(effect: Effect, total: Total) -> Iterator[Problem]:
    used = total.held_nanos - total.posted_nanos
    if effect.cap_nanos is not None and used > effect.cap_nanos:
        message = f"the hold takes {used} of {effect.cap_nanos} nanos"
        yield Problem("cap", str(effect.scope), message)
    if total.held_nanos < 0:
        message = f"{total.held_nanos} nanos held: more was released than held"
        yield Problem("held", str(effect.scope), message)
