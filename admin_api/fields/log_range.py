"""Stretches of the log and of days, between two times as callers write them."""

from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from admin_api.errors import InvalidInput
from admin_api.fields.as_of import POSITION_MAX, parse_day, parse_day_or_moment
from ledger.book_days import read_days
from ledger.store.reader import read_head
from projections.books.as_of import last_before
from projections.books.journal import DayRange, newest_day

DAYS_UNLESS_ASKED = 31
"""Days of a journal or a report where none were named: the last ones of the log."""


class LogRange(NamedTuple):
    """after < position < before."""

    after: int
    before: int


async def read_range(
    connection: AsyncConnection[Any], since: str | None, until: str | None, before: int | None
) -> LogRange:
    """What was recorded from `since` on and until `until`, before a position as well if given.

    Each is a day of the books, included, or a moment; as `until` that is not included. Raises
    InvalidInput.
    """
    first, last = parse_day_or_moment("from", since), parse_day_or_moment("to", until)
    begins = None if first is None else await _moment(connection, first, 0)
    ends = None if last is None else await _moment(connection, last, 1)
    if begins is not None and ends is not None and begins >= ends:
        raise InvalidInput("to", "must not be before from")
    head, _ = await read_head(connection)
    after = 0 if begins is None else await last_before(connection, begins, head)
    beyond = POSITION_MAX if ends is None else await last_before(connection, ends, head) + 1
    return LogRange(after, min(beyond, before or POSITION_MAX))


async def read_day_range(
    connection: AsyncConnection[Any], since: str | None, until: str | None
) -> DayRange:
    """From one day of the books to another, both included; the last DAYS_UNLESS_ASKED of the log
    where they are not given. Raises InvalidInput.
    """
    first = None if since is None else parse_day("from", since)
    last = None if until is None else parse_day("to", until)
    if last is None:
        _, last = await newest_day(connection)
        last = last if first is None else max(first, last)
    if first is None:
        first = last - timedelta(days=DAYS_UNLESS_ASKED - 1)
    if first > last:
        raise InvalidInput("to", "must not be before from")
    return DayRange(first, last)


async def _moment(
    connection: AsyncConnection[Any], read: date | datetime, days_after: int
) -> datetime:
    """The moment itself; of a day, the beginning of the one so many days after it."""
    if isinstance(read, datetime):
        return read
    return (await read_days(connection)).start(read + timedelta(days_after))
