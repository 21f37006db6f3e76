"""Price books: one stream per model of a book; its versions are the versions of the price.

`SALE` is what customers pay. `COST` is what we pay, whatever the channel; `cost_book(channel)`
what one channel charges us. Any other book is a draft, to compare with or to publish.
"""

from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

import msgspec

from ledger.errors import IdempotencyConflict
from ledger.ids import derived_id
from ledger.pricing import Price
from ledger.streams.contract import Event, Stream

SALE = ""
"""The book customers are charged by: its name is never written."""

COST = "cost"


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision about prices, however many it set; the same `id` is never carried out twice.

    `request_sha256` tells another request under the same id. `published`: the draft book that was
    put into force. The reason somebody gave lies in the vault, found by id and digest.
    """

    id: UUID
    request_sha256: str
    published: str = ""


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
    decision: Decision | None = None


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
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class SetPrices:
    """Several prices of one model, each from a moment of its own."""

    commands: tuple[SetPrice, ...]


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

    def decided(self, decision_id: UUID) -> tuple[tuple[int, PriceSet], ...]:
        """The versions that one decision set."""
        return tuple(
            (version, event)
            for version, event in enumerate(self.prices, 1)
            if event.decision is not None and event.decision.id == decision_id
        )


def price_stream_id(model: str, book: str = SALE) -> UUID:
    """The stream of one model's prices in a book."""
    if book == SALE:
        return derived_id("price", model)
    return derived_id("book_price", f"{len(book)}:{book}:{model}")


def cost_book(channel_id: UUID) -> str:
    """The book of what one channel charges us."""
    return f"{COST}/{channel_id}"


def decide(state: PriceHistory, command: SetPrice | SetPrices) -> tuple[Event, ...]:
    """New versions, always: setting the same price again is a decision worth recording. The same
    decision again gives nothing.

    Raises IdempotencyConflict.
    """
    commands = command.commands if isinstance(command, SetPrices) else (command,)
    if any(_is_made(state, each.decision) for each in commands):
        return ()
    return tuple(_set(each) for each in commands)


def _is_made(state: PriceHistory, decision: Decision | None) -> bool:
    made = () if decision is None else state.decided(decision.id)
    if any(event.decision != decision for _, event in made):
        raise IdempotencyConflict("this decision was another one")
    return bool(made)


def _set(command: SetPrice) -> PriceSet:
    return PriceSet(
        model=command.model,
        price=command.price,
        effective_from_us=command.effective_from_us,
        actor=command.actor,
        reason=command.reason,
        book=command.book,
        provenance=command.provenance,
        decision=command.decision,
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
