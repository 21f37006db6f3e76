"""Prices, channels, settings and groups as they were after a position: the folds of their streams,
up to there.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, cast
from uuid import UUID

from psycopg import AsyncConnection

from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.streams import channel, group, price, setting
from ledger.streams.contract import Stream
from projections.books.as_of import AsOf, read_events, read_served_position
from projections.views import groups, settings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# The last two conditions are those of the index event_configuration, so that only it is read.
_CONFIGURATION = "topic = %(topic)s and topic not like 'charge.%%' and topic not like 'credit.%%'"
_STREAMS = (
    f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608 - constants
    "where originator_id = any(%s) and position <= %s order by originator_id, originator_version"
)


@dataclass(frozen=True, slots=True)
class Known:
    """A state, and the position of the last event it is the fold of."""

    state: Any
    position: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class PriceAt:
    """What a model cost: the version in force at the moment, of those that were known.

    in_force None: no price had begun. versions: how many were known, future ones included.
    """

    in_force: tuple[int, price.PriceSet] | None
    versions: int


async def price_at(
    connection: AsyncConnection[Any], model: str, as_of: AsOf, book: str = price.SALE
) -> PriceAt | None:
    """The price of a model then; None where nothing was ever set until then."""
    stream_id = price.price_stream_id(model, book)
    known = await _known(connection, price.STREAM, stream_id, as_of.position)
    if known is None:
        return None
    history = cast("price.PriceHistory", known.state)
    moment_us = (as_of.moment - _EPOCH) // _MICROSECOND
    return PriceAt(history.at(moment_us), history.version)


async def channel_at(
    connection: AsyncConnection[Any], channel_id: UUID, as_of: AsOf
) -> tuple[channel.Channel, Known] | None:
    """A channel then; None where there was none."""
    known = await _known(connection, channel.STREAM, channel_id, as_of.position)
    if known is None:
        return None
    return cast("channel.Channel", known.state), known


async def settings_at(
    connection: AsyncConnection[Any], as_of: AsOf
) -> list[tuple[str, setting.Setting, Known]]:
    """Every setting that was set until then, by name."""
    names = await _names(connection, setting.SettingChanged.TOPIC, settings.TABLE.name, as_of)
    streams = {name: setting.setting_stream_id(name) for name in names}
    found = await _all_known(connection, setting.STREAM, streams, as_of)
    return [(name, cast("setting.Setting", known.state), known) for name, known in found]


async def groups_at(
    connection: AsyncConnection[Any], as_of: AsOf
) -> list[tuple[group.Group, Known]]:
    """Every group that was set until then, by name."""
    names = await _names(connection, group.GroupSet.TOPIC, groups.TABLE.name, as_of)
    streams = {name: group.group_stream_id(name) for name in names}
    found = await _all_known(connection, group.STREAM, streams, as_of)
    return [(cast("group.Group", known.state), known) for _, known in found]


async def _names(
    connection: AsyncConnection[Any], topic: str, table: LiteralString, as_of: AsOf
) -> list[str]:
    """The names that were given until then: those the read model knows, which forgets none, and
    those of the log behind it.
    """
    served = await read_served_position(connection, table)
    names: set[str] = set()
    if served:
        cursor = await connection.execute(f"select name from projections.{table}")  # noqa: S608 - ours
        names = {row[0] for row in await cursor.fetchall()}
    tail = read_events(
        connection, _CONFIGURATION, {"topic": topic}, after=served, until=as_of.position
    )
    async for one in tail:
        names.add(one.event.name)  # type: ignore[attr-defined]  # both kinds have one
    return sorted(names)


async def _all_known(
    connection: AsyncConnection[Any], stream: Stream, streams: dict[str, UUID], as_of: AsOf
) -> list[tuple[str, Known]]:
    found = await _read_streams(connection, list(streams.values()), as_of.position)
    return [(name, _fold(stream, found[id_])) for name, id_ in streams.items() if id_ in found]


async def _known(
    connection: AsyncConnection[Any], stream: Stream, stream_id: UUID, position: int
) -> Known | None:
    events = (await _read_streams(connection, [stream_id], position)).get(stream_id)
    if not events or type(events[0].event) not in stream.events:
        return None  # an id that a caller chose may be that of something else
    return _fold(stream, events)


async def _read_streams(
    connection: AsyncConnection[Any], stream_ids: list[UUID], until: int
) -> dict[UUID, list[Recorded]]:
    """The events of each stream up to a position."""
    cursor = await connection.execute(_STREAMS, (stream_ids, until), binary=True)
    found: dict[UUID, list[Recorded]] = {}
    for row in await cursor.fetchall():
        one = recorded(row)
        found.setdefault(one.stream_id, []).append(one)
    return found


def _fold(stream: Stream, events: list[Recorded]) -> Known:
    state = stream.initial()
    for one in events:
        state = stream.evolve(state, one.event)
    return Known(state, events[-1].position, events[-1].recorded_at)
