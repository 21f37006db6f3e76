"""Prices: what a model costs in a book from a moment on, and everything it ever cost there."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from admin_api.channels.operations import require_channel
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from admin_api.prices.operations.decisions import Decider, Wanted, histories, reasons, set_prices
from admin_api.prices.operations.price_inputs import PriceInput, read_price
from ledger import clock
from ledger.errors import NotFound
from ledger.streams import price
from ledger.streams.price import COST, SALE, PriceHistory, PriceSet, cost_book


@dataclass(frozen=True, slots=True)
class PriceView:
    """One version of a model's price, and why it was set."""

    version: int
    set: PriceSet
    recorded_at: datetime
    reason: str | None = None


async def set_price(
    desk: Desk,
    model: str,
    given: PriceInput,
    decider: Decider,
    *,
    book: str = SALE,
    effective_from: str | None = None,
) -> int:
    """Price a model in a book; the price's version. Without `effective_from`: from now on.

    Raises InvalidAmount, InvalidInput, NotCaughtUp, StoreUnavailable.
    """
    model = inputs.model("model", model)
    from_us = None
    if effective_from is not None:
        if is_draft(book):
            raise InvalidInput("effective_from", "is given when the draft is published")
        from_us = inputs.moment_us("effective_from", effective_from)
    wanted = Wanted(model, read_price(given), from_us)
    (made,) = await set_prices(desk, book, [wanted], decider)
    return made.version


async def channel_cost_book(desk: Desk, channel_id: UUID | None) -> str:
    """The book of what a channel charges us; None: of all channels. Raises NotFound."""
    if channel_id is None:
        return COST
    await require_channel(desk, channel_id)
    return cost_book(channel_id)


async def price_history(desk: Desk, model: str, book: str = SALE) -> list[PriceView]:
    """Every price of a model in a book, oldest first. Raises NotFound."""
    events = await desk.ledger.events(price.price_stream_id(model, book))
    if not events:
        raise NotFound("no such price")
    sets = [cast("PriceSet", one.event) for one in events]
    why = await reasons(desk, sets)
    return [
        PriceView(
            one.version, event, one.recorded_at, why.get(event.decision) if event.decision else None
        )
        for one, event in zip(events, sets, strict=True)
    ]


def version_in_force(history: list[PriceView], book: str = SALE) -> int | None:
    """Which version of a history applies now; None where all of it lies in the future."""
    folded = PriceHistory(len(history), tuple(view.set for view in history))
    found = in_force(folded, book)
    return None if found is None else found[0]


def in_force(history: PriceHistory, book: str = SALE) -> tuple[int, PriceSet] | None:
    """Version and price that apply now; in a draft, which nobody is charged by, the last set."""
    if is_draft(book):
        return (history.version, history.prices[-1]) if history.prices else None
    return history.at(clock.now_us())


def is_draft(book: str) -> bool:
    """Whether nobody is charged by a book, and nothing costs us by it."""
    return book != SALE and book.partition("/")[0] != COST


async def list_prices(desk: Desk, book: str = SALE) -> list[tuple[int, PriceSet]]:
    """Version and price of every model that has one now, by name. Raises NotCaughtUp."""
    await desk.up_to_date()
    held = sorted(histories(desk, book))
    return [found for _, history in held if (found := in_force(history, book)) is not None]
