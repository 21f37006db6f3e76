"""Alarms as the read model has them: lists, and how many there were of each kind."""

from collections.abc import Sequence
from dataclasses import dataclass

from admin_api.desk import Desk, served_position
from admin_api.errors import InvalidInput
from admin_api.fields.log_range import read_range
from ledger.alarms import KINDS
from projections.views import alarms
from projections.views.alarms import AlarmFilter, AlarmRow, AlarmTotalRow, KindCount

MEANINGS = {kind.name: kind.meaning for kind in KINDS}
"""Every kind of alarm, and what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAlarms:
    """Which alarms somebody asks for: all that are given must hold.

    `since` and `until`: a day of the books, included, or a moment. `before`: a position.
    """

    kind: str | None = None
    since: str | None = None
    until: str | None = None
    before: int | None = None


async def list_alarms(
    desk: Desk, asked: AskedAlarms, *, limit: int, at_least: int = 0
) -> tuple[list[AlarmRow], int]:
    """Alarms, the newest first, and up to which position they are known.

    `limit` of them, and the others of the last event as well. Raises InvalidInput, NotCaughtUp,
    QueryTooSlow.
    """
    if asked.kind is not None and asked.kind not in MEANINGS:
        raise InvalidInput("kind", f"is none of {', '.join(MEANINGS)}")
    async with desk.reading() as connection:
        position = await served_position(connection, alarms.PROJECTION.name, at_least)
        stretch = await read_range(connection, asked.since, asked.until, asked.before)
        if not position:
            return [], 0
        wanted = AlarmFilter(kind=asked.kind, after=stretch.after, before=stretch.before)
        return await alarms.list_alarms(connection, wanted, limit), position


async def list_totals(desk: Desk) -> list[AlarmTotalRow]:
    """How many alarms there ever were, of every kind in the order of the table of kinds.

    Raises QueryTooSlow.
    """
    async with desk.reading() as connection:
        is_folded = await served_position(connection, alarms.PROJECTION.name)
        rows = await alarms.list_totals(connection) if is_folded else []
    found = {row.kind: row for row in rows}
    return [found.get(name) or AlarmTotalRow(name) for name in MEANINGS]


async def count_of_last_day(desk: Desk) -> Sequence[KindCount]:
    """How many alarms there were in the last 24 hours, by kind. Raises QueryTooSlow."""
    async with desk.reading() as connection:
        if not await served_position(connection, alarms.PROJECTION.name):
            return []
        return await alarms.count_of_last_day(connection)
