"""Price books: one stream per model of a book; its versions are the versions of the price.

`SALE` is what customers pay. `COST` is what we pay, whatever the channel; `cost_book(channel)`
what one channel charges us. Any other book is a draft, to compare with or to publish.
"""

from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from ledger.ids import derived_id
from ledger.pricing import Price
from ledger.streams.contract import Event, Stream

SALE = ""
"""The book customers are charged by: its name is never written."""

COST = "cost"


class PriceSet(Event, frozen=True, kw_only=True, omit_defaults=True):
    """From `effective_from_us` on a model costs this; nanodollars as in `ledger.pricing.Price`."""

    TOPIC: ClassVar[str] = "price.PriceSet.v1"

    model: str
    price: Price
    effective_from_us: int
    actor: str
    reason: str = ""
    book: str = SALE
    provenance: str = ""


@dataclass(frozen=True, slots=True)
class SetPrice:
    """Price a model from a moment on. `provenance`: where the figures come from."""

    model: str
    price: Price
    effective_from_us: int
    actor: str
    reason: str = ""
    book: str = SALE
    provenance: str = ""


@dataclass(frozen=True, slots=True)
class PriceHistory:
    """The fold of one model's stream: every price it ever had, by version."""

    version: int = 0
    prices: tuple[PriceSet, ...] = ()

    def at(self, moment_us: int) -> tuple[int, PriceSet] | None:
        """Version and price in force at a moment: the latest to begin, of those the last set."""
        begun = [
            (event.effective_from_us, version)
            for version, event in enumerate(self.prices, 1)
            if event.effective_from_us <= moment_us
        ]
        if not begun:
            return None
        _, version = max(begun)
        return version, self.prices[version - 1]


def price_stream_id(model: str, book: str = SALE) -> UUID:
    """The stream of one model's prices in a book."""
    if book == SALE:
        return derived_id("price", model)
    return derived_id("book_price", f"{len(book)}:{book}:{model}")


def cost_book(channel_id: UUID) -> str:
    """The book of what one channel charges us."""
    return f"{COST}/{channel_id}"


def decide(state: PriceHistory, command: SetPrice) -> tuple[Event, ...]:  # noqa: ARG001 - contract
    """A new version, always: setting the same price again is a decision worth recording."""
    return (
        PriceSet(
            model=command.model,
            price=command.price,
            effective_from_us=command.effective_from_us,
            actor=command.actor,
            reason=command.reason,
            book=command.book,
            provenance=command.provenance,
        ),
    )


def evolve(state: PriceHistory, event: PriceSet) -> PriceHistory:
    """The state after an event."""
    return replace(state, version=state.version + 1, prices=(*state.prices, event))


STREAM = Stream(
    name="price",
    events=(PriceSet,),
    initial=PriceHistory,
    decide=decide,
    evolve=evolve,
    is_configuration=True,
)
