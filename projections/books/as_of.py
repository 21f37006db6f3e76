"""From a time to a position of the log, and how far the read models have come.

`recorded_at` never decreases along the log, so the last event until a moment is found by looking at
few positions, however long the log is. Answers are about positions: an answer as of one never
changes, for the log before it does not.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, LiteralString

from psycopg import AsyncConnection

from ledger.book_days import read_days
from ledger.store.reader import RECORDED_COLUMNS, Recorded, read_head, recorded
from projections.batches import LogBroken

_PROBES = 15
_ROWS_PER_FETCH = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class AsOf:
    """What an answer is as of: everything up to and including `position`.

    recorded_at: of the event there, None before the first. head: the last position of the log when
    it was asked. moment: what was asked for, else recorded_at. beyond_head: the log had not passed
    the time or the position that was asked for, so that another answer may follow for it.
    day, time_zone: where a day was asked for, it, and the zone in which `moment` is its end.
    """

    position: int
    recorded_at: datetime | None
    moment: datetime
    head: int
    beyond_head: bool = False
    day: date | None = None
    time_zone: str | None = None


async def resolve_as_of(
    connection: AsyncConnection[Any], when: date | datetime | int | None
) -> AsOf:
    """The last position at or before a time; the position that was given; or the head.

    A day is asked for as its end, in the time zone of the books.
    """
    if isinstance(when, date) and not isinstance(when, datetime):
        days = await read_days(connection)
        end = days.end(when)
        as_of = await resolve_as_of(connection, end)
        return replace(as_of, day=when, time_zone=days.zone_at(end))
    head, head_at = await read_head(connection)
    if isinstance(when, datetime):
        position = await last_until(connection, when, head)
        at = await recorded_at(connection, position)
        return AsOf(position, at, when, head, beyond_head=when >= head_at)
    position = head if when is None else min(when, head)
    at = await recorded_at(connection, position)
    beyond_head = when is not None and when > head
    return AsOf(position, at, at or _EPOCH, head, beyond_head)


async def last_until(connection: AsyncConnection[Any], moment: datetime, head: int) -> int:
    """The last position up to `head` that was recorded at or before a moment; 0 for none."""
    return await _search(connection, moment, head, "recorded_at <= %(moment)s")


async def last_before(connection: AsyncConnection[Any], moment: datetime, head: int) -> int:
    """The last position up to `head` that was recorded before a moment; 0 for none."""
    return await _search(connection, moment, head, "recorded_at < %(moment)s")


async def recorded_at(connection: AsyncConnection[Any], position: int) -> datetime | None:
    """When the event at a position was recorded; None at 0. Raises LogBroken."""
    if position == 0:
        return None
    cursor = await connection.execute(
        "select recorded_at from ledger.event where position = %s", (position,)
    )
    row = await cursor.fetchone()
    if row is None:
        raise LogBroken(f"the log has no event at position {position}")
    at: datetime = row[0]
    return at.astimezone(UTC)


async def read_served_position(connection: AsyncConnection[Any], projection: str) -> int:
    """How far a projection was folded; 0 where it never was, and then it has no table either."""
    cursor = await connection.execute(
        "select position from operations.projection where name = %s and is_served", (projection,)
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def read_events(
    connection: AsyncConnection[Any],
    condition: LiteralString,
    parameters: dict[str, object],
    *,
    after: int,
    until: int,
    limit: int | None = None,
) -> AsyncIterator[Recorded]:
    """Events of positions after+1..until under a condition, in order, at most `limit`.

    Some thousand at a time: a caller may stop, and a stretch may be long.
    """
    query = (
        f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608 - constants
        f"where position > %(after)s and position <= %(until)s and {condition} "
        "order by position limit %(rows)s"
    )
    left = limit
    while left is None or left > 0:
        rows_max = _ROWS_PER_FETCH if left is None else min(left, _ROWS_PER_FETCH)
        given = {**parameters, "after": after, "until": until, "rows": rows_max}
        cursor = await connection.execute(query, given, binary=True)
        rows = await cursor.fetchall()
        for row in rows:
            yield recorded(row)
        if len(rows) < rows_max:
            return
        after = rows[-1][0]
        left = None if left is None else left - len(rows)


async def _search(
    connection: AsyncConnection[Any], moment: datetime, head: int, condition: LiteralString
) -> int:
    """The last position for which a condition holds that holds for all before it as well."""
    query = f"select {condition} from ledger.event where position = any(%(at)s) order by position"  # noqa: S608 - ours
    low, high = 0, head
    while low < high:
        width = high - low
        probes = sorted({low + -(-width * part // _PROBES) for part in range(1, _PROBES + 1)})
        cursor = await connection.execute(query, {"moment": moment, "at": probes})
        holds = [row[0] for row in await cursor.fetchall()]
        if len(holds) != len(probes):
            raise LogBroken(f"the log has gaps between positions {low} and {high}")
        passed = sum(holds)
        if passed < len(probes):
            high = probes[passed] - 1
        low = probes[passed - 1] if passed else low
    return low
