"""The price book as the log told it so far, and whether a charge opened under what was in force.

A price is in force from its position on: whoever opens a charge behind it takes it, however little
later, if its moment has come when the call is admitted. What a charge froze stays.
"""

from bisect import bisect_right, insort
from math import inf

from ledger.pricing import Price
from ledger.streams.charge.events import QuotaReserved
from ledger.streams.price import SALE, PriceSet


class PricesSoFar:
    """Takes every `PriceSet` in the order of the log. Memory: the price books."""

    def __init__(self) -> None:
        self._prices: dict[tuple[str, str, int], Price] = {}
        self._begun: dict[str, list[tuple[int, int]]] = {}

    def add(self, version: int, event: PriceSet) -> None:
        """A version of a model's price."""
        self._prices[event.book, event.model, version] = event.price
        if event.book == SALE:
            insort(self._begun.setdefault(event.model, []), (event.effective_from_us, version))

    def find(self, book: str, model: str, version: int) -> Price | None:
        """A version of a book; None where there is no such one."""
        return self._prices.get((book, model, version))

    def wrong_version(self, opening: QuotaReserved) -> str | None:
        """What is wrong with the price version that a charge opens under; None: it is in force."""
        model, version = opening.terms.model, opening.terms.price_version
        begun = self._begun.get(model, [])
        count = bisect_right(begun, (opening.admitted_at_us, inf))
        if not count:
            return f"opened under price version {version} of {model!r}, which had no price yet"
        _, in_force = begun[count - 1]
        if version == in_force:
            return None
        return f"opened under price version {version} of {model!r}, when {in_force} was in force"
