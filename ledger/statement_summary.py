"""A statement in few rows: its lines summed by day of the books, by model or by key. Pure.

What has no model or no key, as money that was paid in, is a row without a label.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce
from operator import add
from typing import Literal

from ledger.book_days import BookDays
from ledger.statement import NOTHING, Standing, Statement, StatementBroken, StatementLine

By = Literal["day", "model", "key"]


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """What the lines of one day, model or key come to.

    `label`: a date (`2030-01-31`), a model's name, a key's id; empty for lines that have none.
    `moved`: as of a whole period, without holds. `balance_nanos`: posted after the day; None by
    model or key.
    """

    label: str
    moved: Standing
    balance_nanos: int | None


class StatementSummary:
    """Takes lines in their order, as many as there are, and keeps the rows alone."""

    def __init__(self, by: By, days: BookDays) -> None:
        self.by: By = by
        self._days = days
        self._moved: dict[str, Standing] = {}
        self._balances: dict[str, int] = {}
        self._day = ""
        self._day_ends: datetime | None = None
        self._zones: dict[str, None] = {}

    def take(self, lines: Iterable[StatementLine]) -> None:
        """Add some lines; those of a day come one after the other."""
        for line in lines:
            label = self._label(line)
            self._moved[label] = self._moved.get(label, NOTHING) + _moved(line)
            self._balances[label] = line.balance_nanos

    def rows(self) -> list[SummaryRow]:
        """By day, oldest first; else by label, what has none last."""
        return [
            SummaryRow(label, moved, self._balances[label] if self.by == "day" else None)
            for label, moved in sorted(self._moved.items(), key=lambda row: (not row[0], row[0]))
        ]

    @property
    def time_zones(self) -> tuple[str, ...]:
        """The zones of the days of a summary by day, in the order in which they counted."""
        return tuple(self._zones)

    def check(self, statement: Statement) -> None:
        """Raises StatementBroken unless the rows come to what the statement's period did."""
        moved, ours = statement.moved, reduce(add, self._moved.values(), NOTHING)
        for name in ("posted_nanos", "credited_nanos", "charged_nanos", "adjusted_nanos"):
            if getattr(ours, name) != getattr(moved, name):
                raise StatementBroken(f"the summary's {name} is not what it should be")

    def _label(self, line: StatementLine) -> str:
        if self.by == "model":
            return line.model
        if self.by == "key":
            return "" if line.key_id is None else str(line.key_id)
        if self._day_ends is None or line.recorded_at >= self._day_ends:
            day: date = self._days.day_of(line.recorded_at)
            self._day, self._day_ends = day.isoformat(), self._days.start(day + timedelta(days=1))
            self._zones[self._days.zone_at(line.recorded_at)] = None
        return self._day


def _moved(line: StatementLine) -> Standing:
    amount = line.amount_nanos
    if line.kind == "credit":
        return Standing(posted_nanos=amount, credited_nanos=amount, credits=1)
    if line.kind == "charge":
        return Standing(posted_nanos=amount, charged_nanos=-amount, charges=1)
    return Standing(posted_nanos=amount, adjusted_nanos=amount, adjustments=1)
