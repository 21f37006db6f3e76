"""The journal: what every day debited and credited to each ledger account.

A day of the books is a stretch of the log, from the first event in it to the last: the difference
of two trial balances.
"""

from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any

from psycopg import AsyncConnection

from ledger.book_days import BookDays, read_days
from ledger.store.reader import read_head
from projections.books.as_of import last_before
from projections.books.trial_balance import LedgerTotal, between, require_zero, totals_at

DAYS_MAX = 100
"""Days that one answer has; each is two trial balances."""


class RangeTooLarge(ValueError):
    """More was asked for than one answer may hold."""


@dataclass(frozen=True, slots=True)
class JournalDay:
    """What one day posted: the events after `after`, up to and including `until`."""

    day: date
    after: int
    until: int
    totals: tuple[LedgerTotal, ...]


@dataclass(frozen=True, slots=True)
class Journal:
    """Some days, in order, as the log was when its last position was `head`."""

    days: tuple[JournalDay, ...]
    head: int


@dataclass(frozen=True, slots=True)
class DayRange:
    """From the first day to the last, both included."""

    first: date
    last: date

    def days(self) -> list[date]:
        """All of them. Raises RangeTooLarge."""
        count = (self.last - self.first).days + 1
        if count > DAYS_MAX:
            raise RangeTooLarge(f"{count} days are more than the {DAYS_MAX} that may be asked for")
        return [self.first + timedelta(days=number) for number in range(count)]


async def journal(connection: AsyncConnection[Any], days: DayRange) -> Journal:
    """What each of these days posted. Raises RangeTooLarge, BooksBroken."""
    wanted = days.days()
    book_days = await read_days(connection)
    head, _ = await read_head(connection)
    told = []
    after = await last_before(connection, book_days.start(days.first), head)
    earlier = await totals_at(connection, after)
    for day in wanted:
        following = book_days.start(day + timedelta(days=1))
        until = await last_before(connection, following, head)
        later = earlier if until == after else await totals_at(connection, until)
        totals = between(earlier, later)
        require_zero(totals, f"of {day}")
        told.append(JournalDay(day, after, until, totals))
        after, earlier = until, later
    return Journal(tuple(told), head)


async def newest_day(connection: AsyncConnection[Any]) -> tuple[BookDays, date]:
    """The calendar, and the day that the end of the log is in."""
    _, head_at = await read_head(connection)
    book_days = await read_days(connection)
    return book_days, book_days.day_of(head_at.astimezone(UTC))
