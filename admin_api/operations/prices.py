"""Prices: what a model costs from a moment on, and everything it ever cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from admin_api import inputs
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from ledger import clock
from ledger.errors import NotFound
from ledger.money import parse_usd
from ledger.pricing import Price
from ledger.streams import price
from ledger.streams.price import PriceHistory, PriceSet, SetPrice
from ledger.usage import CLASSES

CLASS_OF_FIELD: Mapping[str, str] = {
    ("per_call" if kind == "calls" else kind): kind for kind in CLASSES
}
"""What a price is called at the desk, and the class of usage it is for."""


@dataclass(frozen=True, slots=True)
class PriceView:
    """One version of a model's price."""

    version: int
    set: PriceSet
    recorded_at: datetime


async def set_price(
    desk: Desk, model: str, *, rates: Mapping[str, str], effective_from: str | None, actor: str
) -> int:
    """Price a model in USD per million tokens (`per_call`: per call); the price's version.

    `rates` has the keys of CLASS_OF_FIELD. Without `effective_from`: from now on.
    Raises InvalidAmount, InvalidInput, StoreUnavailable.
    """
    model = inputs.model("model", model)
    if not {"input", "per_call"} & set(rates):
        raise InvalidInput("input", "is required, or per_call")
    nanos = {CLASS_OF_FIELD[field]: parse_usd(text) for field, text in rates.items()}
    from_us = clock.now_us()
    if effective_from is not None:
        from_us = inputs.moment_us("effective_from", effective_from)
    stream_id = price.price_stream_id(model)
    command = SetPrice(model, Price(rates=nanos), from_us, actor)
    appended = await desk.handle(price.STREAM, stream_id, command)
    assert appended is not None
    events = await desk.ledger.events(stream_id)
    return next(one.version for one in events if one.position == appended.positions[0])


async def price_history(desk: Desk, model: str) -> list[PriceView]:
    """Every price of a model, oldest first. Raises NotFound."""
    events = await desk.ledger.events(price.price_stream_id(model))
    if not events:
        raise NotFound("no such price")
    return [PriceView(one.version, cast("PriceSet", one.event), one.recorded_at) for one in events]


def version_in_force(history: list[PriceView]) -> int | None:
    """Which version of a history applies now; None where all of it lies in the future."""
    found = PriceHistory(len(history), tuple(view.set for view in history)).at(clock.now_us())
    return None if found is None else found[0]


async def list_prices(desk: Desk) -> list[tuple[int, PriceSet]]:
    """Version and price of every model that has one now, by name. Raises NotCaughtUp."""
    await desk.up_to_date()
    now_us = clock.now_us()
    held = sorted(desk.configuration.held.prices.items())
    return [found for _, history in held if (found := history.at(now_us)) is not None]
