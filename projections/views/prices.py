"""Prices: every version of every model's price in every book, from when it applies, and who set
it."""

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from ledger.store.reader import Recorded
from ledger.streams.price import SALE, PriceSet
from projections.contract import Json, Key, Projection, Row, Table, document, one_by_one
from projections.reading import list_rows


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


async def find_price(
    connection: AsyncConnection[Any], model: str, at_us: int, book: str = SALE
) -> PriceRow | None:
    """The price in force at a moment: the latest to begin, of those the last set."""
    rows = await list_rows(
        connection,
        TABLE,
        PriceRow,
        "where book = %s and model = %s and effective_from_us <= %s "
        "order by effective_from_us desc, version desc limit 1",
        (book, model, at_us),
    )
    return rows[0] if rows else None


async def list_prices(
    connection: AsyncConnection[Any], model: str, *, after: int, limit: int, book: str = SALE
) -> list[PriceRow]:
    """The history of a model's price by version, beginning behind the version `after`."""
    return await list_rows(
        connection,
        TABLE,
        PriceRow,
        "where book = %s and model = %s and version > %s order by version limit %s",
        (book, model, after, limit),
    )


async def list_priced_models(
    connection: AsyncConnection[Any], *, after: str, limit: int, book: str = SALE
) -> list[str]:
    """The names of all models that ever had a price, beginning behind `after`."""
    cursor = await connection.execute(
        "select model from projections.prices where version = 1 and book = %s and model > %s "
        "order by model limit %s",
        (book, after, limit),
    )
    return [row[0] for row in await cursor.fetchall()]
