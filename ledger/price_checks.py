"""The price book as the log told it so far, and whether charges and costs follow what was in force.

A price is in force from its position on: whoever opens a charge behind it takes it, however little
later, if its moment has come when the call is admitted. What a charge froze stays. What a provider
takes is told by the book in force when it became known what was used, as far as the node knew it:
at some moment between the call's admission (of probes, a little before) and the event that tells
it.
"""

from bisect import bisect_right, insort
from datetime import UTC, datetime, timedelta
from math import inf
from typing import NamedTuple
from uuid import UUID

from ledger.admission_bounds import CLOCKS_APART_MAX_S, COST_KNOWN_FOR_S
from ledger.ids import charge_begun_us
from ledger.pricing import Price
from ledger.streams.charge.events import Cost, QuotaReserved
from ledger.streams.price import COST, SALE, PriceSet, cost_book

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_KNOWN_FOR = timedelta(seconds=COST_KNOWN_FOR_S)
_KNOWN_FOR_US = round(COST_KNOWN_FOR_S * 1_000_000)
_CLOCKS_APART_MAX_US = round(CLOCKS_APART_MAX_S * 1_000_000)


class Moments(NamedTuple):
    """When what a call used became known: at the earliest when it was admitted (by the clock of the
    node) and its hold stored; None: that is not known any more; at the latest when it was told.
    """

    charge_id: UUID
    admitted: tuple[int, datetime] | None
    told_at: datetime

    @property
    def from_us(self) -> int:
        """By the clock of the node; a charge's id says when its call came in."""
        if self.admitted is not None:
            return self.admitted[0] - _KNOWN_FOR_US
        return min(charge_begun_us(self.charge_id), _us(self.told_at))

    @property
    def to_us(self) -> int:
        """By the clock of the node."""
        return _us(self.told_at) + _CLOCKS_APART_MAX_US

    @property
    def known_at(self) -> datetime:
        """What had been stored by then, the node knew."""
        if self.admitted is not None:
            return self.admitted[1] - _KNOWN_FOR
        return _EPOCH + (self.from_us - _CLOCKS_APART_MAX_US) * _MICROSECOND - _KNOWN_FOR


class _Version(NamedTuple):
    """When a price begins, its version, and when it was set: in force is the greatest that has
    begun.
    """

    begins_us: int
    version: int
    set_at: datetime


class PricesSoFar:
    """Takes every `PriceSet` in the order of the log. Memory: the price books."""

    def __init__(self) -> None:
        self._prices: dict[tuple[str, str, int], Price] = {}
        self._begun: dict[tuple[str, str], list[_Version]] = {}
        self._priced_apart: set[str] = set()
        """The models for which some book but the two common ones has a price."""

    def add(self, version: int, event: PriceSet, at: datetime) -> None:
        """A version of a model's price, set at a moment."""
        self._prices[event.book, event.model, version] = event.price
        if event.book not in (SALE, COST):
            self._priced_apart.add(event.model)
        begun = self._begun.setdefault((event.book, event.model), [])
        insort(begun, _Version(event.effective_from_us, version, at))

    def find(self, book: str, model: str, version: int) -> Price | None:
        """A version of a book; None where there is no such one."""
        return self._prices.get((book, model, version))

    def wrong_version(self, opening: QuotaReserved) -> str | None:
        """What is wrong with the price version that a charge opens under; None: it is in force."""
        model, version = opening.terms.model, opening.terms.price_version
        in_force = self._in_force(SALE, model, opening.admitted_at_us)
        if in_force is None:
            return f"opened under price version {version} of {model!r}, which had no price yet"
        if version == in_force:
            return None
        return f"opened under price version {version} of {model!r}, when {in_force} was in force"

    def wrong_cost(self, channel_id: UUID, model: str, cost: Cost, moments: Moments) -> str | None:
        """What is wrong with the book and the version by which a channel's cost is told; None: it
        is the one that was in force for the channel. There is such a version.
        """
        if cost.book != COST:
            if cost.book != cost_book(channel_id):
                return f"the book {cost.book!r} is not that of the channel {channel_id}"
        elif model in self._priced_apart and self._had_begun(channel_id, model, moments):
            return f"by the book {COST!r}, when the channel {channel_id} had one of its own"
        version, from_us = cost.price_version, moments.from_us
        if version == self._in_force(cost.book, model, from_us):
            return None
        begun = self._begun[cost.book, model]
        ours = next(each for each in begun if each.version == version)
        moment_us, known_at = max(from_us, ours.begins_us), moments.known_at
        has_begun = moment_us <= moments.to_us
        if not has_begun or any(_hides(each, ours, moment_us, known_at) for each in begun):
            return f"version {version} of the book {cost.book!r} for {model!r} was not in force"
        return None

    def _in_force(self, book: str, model: str, moment_us: int) -> int | None:
        begun = self._begun.get((book, model), [])
        count = bisect_right(begun, (moment_us, inf))
        return begun[count - 1].version if count else None

    def _had_begun(self, channel_id: UUID, model: str, moments: Moments) -> bool:
        """Whether a channel had a price of its own for a model, whenever in these moments it was
        looked up.
        """
        begun = self._begun.get((cost_book(channel_id), model))
        if begun is None:
            return False
        from_us, known_at = moments.from_us, moments.known_at
        return any(each.begins_us <= from_us and each.set_at <= known_at for each in begun)


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _hides(other: _Version, ours: _Version, moment_us: int, known_at: datetime) -> bool:
    """Whether one that was known is in force at a moment in place of ours."""
    is_known = other.version < ours.version or other.set_at <= known_at
    return is_known and ours < other and other.begins_us <= moment_us
