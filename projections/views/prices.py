"""Prices: every version of every model's price in every book, from when it applies, and who set
it."""

from datetime import datetime

from ledger.store.reader import Recorded
from ledger.streams.price import PriceSet
from projections.contract import Json, Key, Projection, Row, Table, document, one_by_one


class PriceRow(Row, frozen=True):
    """One version; `price` is a `ledger.pricing.Price` as it is stored."""

    book: str
    model: str
    version: int
    price: Json
    effective_from_us: int
    actor: str
    reason: str
    set_at: datetime
    position: int


def touches(event: Recorded) -> tuple[Key, ...]:
    """The new version."""
    assert isinstance(event.event, PriceSet)
    return ((event.event.book, event.event.model, event.version),)


def apply(key: Key, row: PriceRow | None, event: Recorded) -> PriceRow | None:  # noqa: ARG001
    """A version, once set, stays as it is."""
    price_set = event.event
    if not isinstance(price_set, PriceSet):
        return row
    return PriceRow(
        price_set.book,
        price_set.model,
        event.version,
        document(price_set.price),
        price_set.effective_from_us,
        price_set.actor,
        price_set.reason,
        event.recorded_at,
        event.position,
    )


def _always(event: Recorded) -> bool:  # noqa: ARG001 - the shape of the contract
    return True


TABLE = Table(
    name="prices",
    row=PriceRow,
    key=("book", "model", "version"),
    events=(PriceSet,),
    touches=touches,
    fold=one_by_one(apply),
    is_first=_always,
)
PROJECTION = Projection(name="prices", version=3, tables=(TABLE,))
