"""What calls brought in and what they cost us: by channel, by model, by account, day by day or in
all.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import msgspec
from psycopg import AsyncConnection, sql

from ledger.book_days import BookDays, read_days
from projections.books.as_of import read_served_position
from projections.books.journal import DayRange
from projections.views import profit_quarter_hours

By = Literal["channel", "model", "upstream_model", "account"]

ROWS_MAX = 10_000
"""Rows that one answer may have; ask for fewer days, or for the total."""

_COLUMN_OF: dict[By, str] = {
    "channel": "channel_id",
    "model": "model",
    "upstream_model": "upstream_model",
    "account": "account_id",
}
_NAME_OF: dict[str, str | None] = {str(profit_quarter_hours.NO_CHANNEL): None, "": None}
_SUMS = (
    "calls",
    "costed_calls",
    "adjustments",
    "charged_nanos",
    "adjusted_nanos",
    "cost_nanos",
    "shortfall_nanos",
)


class Profit(msgspec.Struct, frozen=True):
    """The sums of some calls; revenue = charged + adjusted, profit = revenue - cost.

    Where calls > costed_calls the cost is known in part only, and so is the profit.
    """

    calls: int = 0
    costed_calls: int = 0
    adjustments: int = 0
    charged_nanos: int = 0
    adjusted_nanos: int = 0
    cost_nanos: int = 0
    shortfall_nanos: int = 0

    @property
    def revenue_nanos(self) -> int:
        """What customers paid."""
        return self.charged_nanos + self.adjusted_nanos

    @property
    def profit_nanos(self) -> int:
        """What is left of it."""
        return self.revenue_nanos - self.cost_nanos

    def __add__(self, other: "Profit") -> "Profit":
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Profit(*(a + b for a, b in zip(mine, theirs, strict=True)))


@dataclass(frozen=True, slots=True)
class ProfitLine:
    """The profit of one channel, model or account, on one day or on all that were asked for.

    name None: corrections that name no channel, because nobody had answered or by early releases.
    """

    day: date | None
    name: str | None
    profit: Profit


@dataclass(frozen=True, slots=True)
class ProfitReport:
    """By day and name, and in all. Everything up to `position` is counted."""

    lines: tuple[ProfitLine, ...]
    total: Profit
    position: int


class ReportTooLarge(ValueError):
    """The report would have more rows than one answer may."""


async def profit(
    connection: AsyncConnection[Any], days: DayRange, by: By, *, daily: bool
) -> ProfitReport:
    """The profit of these days. Raises RangeTooLarge, ReportTooLarge."""
    stretches = _stretches(await read_days(connection), days, daily=daily)
    position = await read_served_position(connection, profit_quarter_hours.PROJECTION.name)
    if not position:
        return ProfitReport((), Profit(), 0)
    lines: list[ProfitLine] = []
    for day, since, until in stretches:
        found = await _between(connection, _COLUMN_OF[by], since, until)
        lines += [ProfitLine(day, _NAME_OF.get(name, name), sums) for name, sums in found]
        if len(lines) > ROWS_MAX:
            raise ReportTooLarge(f"more than {ROWS_MAX} rows: ask for fewer days, or for the total")
    total = sum((line.profit for line in lines), Profit())
    return ProfitReport(tuple(lines), total, position)


def _stretches(
    book_days: BookDays, days: DayRange, *, daily: bool
) -> list[tuple[date | None, datetime, datetime]]:
    one = timedelta(days=1)
    if not daily:
        return [(None, book_days.start(days.first), book_days.start(days.last + one))]
    return [(day, book_days.start(day), book_days.start(day + one)) for day in days.days()]


async def _between(
    connection: AsyncConnection[Any], column: str, since: datetime, until: datetime
) -> list[tuple[str, Profit]]:
    sums = sql.SQL(", ").join(sql.SQL("sum({})").format(sql.Identifier(name)) for name in _SUMS)
    query = sql.SQL(
        "select {name}::text, {sums} from projections.profit_quarter_hours "
        "where quarter >= %s and quarter < %s group by {name} order by {name} limit %s"
    ).format(name=sql.Identifier(column), sums=sums)
    given = (since.astimezone(UTC), until.astimezone(UTC), ROWS_MAX + 1)
    cursor = await connection.execute(query, given)
    return [(row[0], Profit(*map(int, row[1:]))) for row in await cursor.fetchall()]
