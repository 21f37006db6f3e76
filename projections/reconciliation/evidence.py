"""Reading our side of a reconciliation, all of it at one position of the log."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from ledger.pricing import Price
from projections.reading import NotUpToDate
from projections.reconciliation.ours import Ours, PriceKey, ours_from, price_keys
from projections.views import channels, prices, upstream_daily
from projections.views.upstream_daily import UpstreamRow, list_upstream_days

READS = (
    upstream_daily.PROJECTION.name,
    prices.PROJECTION.name,
    channels.PROJECTION.name,
)
"""The read models a reconciliation looks at."""

_PRICE = msgspec.json.Decoder(Price)
_POSITION = """
    select p.position, coalesce(e.recorded_at, to_timestamp(0))
    from operations.projection p left join ledger.event e on e.position = p.position
    where p.name = %s and p.is_served
"""
_CHANNELS = "select channel_id, type from projections.channels order by channel_id"
_PRICES = """
    select p.book, p.model, p.version, p.price::text from projections.prices p
    join unnest(%s::text[], %s::text[], %s::int8[]) k (book, model, version)
      on p.book = k.book and p.model = k.model and p.version = k.version
"""


class NoSuchChannel(Exception):
    """A channel that is named, or any of the type that is, does not exist."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What we had recorded when we were asked. channel_ids None: of all channels."""

    position: int
    recorded_at: datetime
    channel_ids: tuple[UUID, ...] | None
    ours: Ours
    digest: str
    """Of everything above but the position: it changes when the figures do."""


async def channels_of(
    connection: AsyncConnection[Any],
    channel_ids: Sequence[UUID],
    provider_type: str | None,
) -> tuple[UUID, ...] | None:
    """The channels that are meant: those named, else those of a type, else all (None).

    Removed ones count: they served once. Raises NoSuchChannel.
    """
    if not channel_ids and provider_type is None:
        return None
    known = dict(await (await connection.execute(_CHANNELS)).fetchall())
    if not channel_ids:
        found = tuple(each for each, type_ in known.items() if type_ == provider_type)
        if not found:
            raise NoSuchChannel(f"there is no channel of the type {provider_type}")
        return found
    for each in channel_ids:
        if each not in known:
            raise NoSuchChannel(f"there is no channel {each}")
    return tuple(sorted(set(channel_ids)))


async def gather(
    connection: AsyncConnection[Any],
    channel_ids: tuple[UUID, ...] | None,
    first: date,
    last: date,
) -> Evidence:
    """Our side for these channels and days. The connection's transaction must be one snapshot.

    Raises NotUpToDate.
    """
    cursor = await connection.execute(_POSITION, (upstream_daily.PROJECTION.name,))
    stands = await cursor.fetchone()
    if stands is None:
        raise NotUpToDate("nothing was folded yet")
    rows = await list_upstream_days(connection, first=first, last=last)
    if channel_ids is not None:
        wanted = set(channel_ids)
        rows = [row for row in rows if row.channel_id in wanted]
    named = await _prices(connection, sorted(price_keys(rows)))
    digest = hashlib.sha256(msgspec.json.encode(_canonical(rows, named))).hexdigest()
    position, recorded_at = stands
    return Evidence(position, recorded_at, channel_ids, ours_from(rows, named), digest)


async def _prices(
    connection: AsyncConnection[Any], keys: Sequence[PriceKey]
) -> dict[PriceKey, Price]:
    columns = [list(column) for column in zip(*keys, strict=True)] or [[], [], []]
    found = await (await connection.execute(_PRICES, columns)).fetchall()
    named = {(book, model, version): _PRICE.decode(price) for book, model, version, price in found}
    if len(named) < len(keys):
        raise NotUpToDate("a cost price is not folded yet")
    return named


def _canonical(rows: Sequence[UpstreamRow], named: dict[PriceKey, Price]) -> list[object]:
    return [
        [(row.day.astimezone(UTC), *msgspec.structs.astuple(row)[1:]) for row in rows],
        [[key, price] for key, price in sorted(named.items())],
    ]
