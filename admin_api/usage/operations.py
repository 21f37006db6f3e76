"""Usage of some days, by hour, by day or in all; of one account, key, model or channel, or each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal, get_args
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.access.permissions import Owner, require_own, require_own_key
from admin_api.desk import Desk, served_position
from admin_api.errors import Forbidden, InvalidInput
from admin_api.fields.log_range import read_day_range
from ledger.book_days import BookDays, read_days
from projections.books.journal import DayRange, RangeTooLarge
from projections.views import usage_quarter_hours
from projections.views.usage_quarter_hours import (
    NO_CHANNEL,
    By,
    UsageFilter,
    UsageSum,
    sum_usage,
)

Per = Literal["hour", "day", "total"]
Name = Literal["account", "key", "model", "channel", "group"]

LINES_MAX = 10_000
"""Lines that one answer may have."""

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_COLUMN_OF: dict[Name, By] = {
    "account": "account_id",
    "key": "key_id",
    "model": "model",
    "channel": "channel_id",
    "group": "group_name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedUsage:
    """Whose usage somebody asks for, of which days, added up by what.

    `since` and `until`: days of the books, both included. `by`: names of NAMES, each once.
    """

    per: Per = "day"
    by: Sequence[str] = ()
    account_id: UUID | None = None
    key_id: UUID | None = None
    model: str | None = None
    channel_id: UUID | None = None
    group: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class UsageLine:
    """The sums of one combination between two moments; `names` by what was asked for."""

    begins_at: datetime
    ends_at: datetime
    names: dict[Name, UUID | str | None]
    sums: dict[str, int]


@dataclass(frozen=True, slots=True)
class UsageReport:
    """In the order of time and of the names. Everything up to `position` is counted."""

    lines: list[UsageLine]
    time_zone: str
    position: int


async def usage(
    desk: Desk, asked: AskedUsage, owner: Owner | None, *, at_least: int = 0
) -> UsageReport:
    """The usage of some days; the last 31 of the log unless others are named.

    With an `owner` only that of its key. Raises NotFound for what is another's, Forbidden for
    channels, which owners are not told, InvalidInput, NotCaughtUp, QueryTooSlow.
    """
    by = _names(asked.by)
    wanted = _wanted(asked, by, owner)
    async with desk.reading() as connection:
        position = await served_position(connection, usage_quarter_hours.PROJECTION.name, at_least)
        book_days = await read_days(connection)
        edges = _edges(
            book_days, await read_day_range(connection, asked.since, asked.until), asked.per
        )
        sums = await _sums(connection, edges, by, wanted) if position else []
    lines = [_line(each, edges, by) for each in sums]
    return UsageReport(lines, book_days.zone_at(edges[-1]), position)


def _names(by: Sequence[str]) -> tuple[Name, ...]:
    names = tuple(name for name in get_args(Name) if name in by)
    if len(names) != len(by):
        raise InvalidInput("by", f"must be some of {', '.join(get_args(Name))}, each once")
    return names


def _wanted(asked: AskedUsage, by: Sequence[Name], owner: Owner | None) -> UsageFilter:
    account_id, key_id = asked.account_id, asked.key_id
    if owner is not None:
        if asked.channel_id is not None or "channel" in by:
            raise Forbidden("API keys are not told of channels")
        require_own(owner, account_id or owner.account_id)
        require_own_key(owner, key_id or owner.key_id)
        account_id, key_id = owner.account_id, owner.key_id
    return UsageFilter(
        account_id=account_id,
        key_id=key_id,
        model=asked.model,
        channel_id=asked.channel_id,
        group_name=asked.group,
    )


def _edges(book_days: BookDays, days: DayRange, per: Per) -> list[datetime]:
    """Where the stretches of time begin, and where the last one ends."""
    end = book_days.start(days.last + _DAY)
    if per == "total":
        return [book_days.start(days.first), end]
    try:
        begins = [book_days.start(day) for day in days.days()]
    except RangeTooLarge as refusal:
        raise InvalidInput("from", str(refusal)) from refusal
    if per == "hour":
        begins = [hour for day in pairwise([*begins, end]) for hour in _hours(*day)]
    return [*begins, end]


def _hours(begin: datetime, end: datetime) -> list[datetime]:
    """The hours of a day, counted from its beginning; the last may be shorter."""
    return [begin + number * _HOUR for number in range(-(-(end - begin) // _HOUR))]


async def _sums(
    connection: AsyncConnection[Any],
    edges: Sequence[datetime],
    by: Sequence[Name],
    wanted: UsageFilter,
) -> list[UsageSum]:
    columns = [_COLUMN_OF[name] for name in by]
    sums = await sum_usage(connection, edges, columns, wanted, LINES_MAX + 1)
    if len(sums) > LINES_MAX:
        raise InvalidInput("from", f"more than {LINES_MAX} lines: ask for less at a time")
    return sums


def _line(found: UsageSum, edges: Sequence[datetime], by: Sequence[Name]) -> UsageLine:
    told = (None if name == NO_CHANNEL else name for name in found.names)
    names = dict(zip(by, told, strict=True))
    return UsageLine(edges[found.stretch], edges[found.stretch + 1], names, found.sums)
