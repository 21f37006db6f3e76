"""What somebody asks to be exported, checked, and put into the ledger's own terms."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.accounts.operations import require_account
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields.as_of import POSITION_MAX, parse_day_or_moment
from ledger.book_days import BookDays, read_days
from ledger.export.formats.contract import Format
from ledger.export.formats.registry import find_format
from ledger.export.selection import Bound, Selection, What
from ledger.export.writing import check_holds
from ledger.store.reader import read_head

_POSITION = re.compile(r"[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedExport:
    """An export as it was asked for.

    `since` and `until`: a position, a day of the books or a moment. Positions and days are both
    included, and a moment as `since`; as `until` it is not. `what` None: what suits the format.
    """

    format: str
    what: What | None = None
    account_id: UUID | None = None
    topic: str | None = None
    since: str | None = None
    until: str | None = None


async def read_selection(desk: Desk, asked: AskedExport) -> tuple[Format, Selection]:
    """What the ledger is to export, and as what.

    Raises InvalidSelection, InvalidInput for what is no time or not in the past, NotFound.
    """
    file_format = find_format(asked.format)
    if asked.account_id is not None:
        await require_account(desk, asked.account_id)
    async with desk.reading() as connection:
        since, until = await read_period(connection, asked.since, asked.until)
    selection = Selection(
        what=asked.what or file_format.tables[0],
        account_id=asked.account_id,
        topic=asked.topic,
        since=since,
        until=until,
    )
    check_holds(file_format, selection)
    return file_format, selection


async def read_period(
    connection: AsyncConnection[Any], since: str | None, until: str | None
) -> tuple[Bound | None, Bound | None]:
    """The bounds of a range; a day is the moments at which it begins and ends.

    Raises InvalidInput where one is no position, day or moment, or has not begun.
    """
    head, _ = await read_head(connection)
    cursor = await connection.execute("select clock_timestamp()")
    row = await cursor.fetchone()
    assert row is not None
    at = _Now(head, row[0], await read_days(connection))
    return at.bound("from", since, 0), at.bound("to", until, 1)


@dataclass(frozen=True, slots=True)
class _Now:
    """Where the log and the clock of its database are."""

    head: int
    moment: datetime
    days: BookDays

    def bound(self, field: str, text: str | None, days_after: int) -> Bound | None:
        """What a text says; of a day, the beginning of the one so many days after it."""
        if text is None:
            return None
        if _POSITION.fullmatch(text):
            return self._position(field, text)
        read = parse_day_or_moment(field, text)
        assert read is not None
        begins = bound = read
        if not isinstance(read, datetime):
            begins, bound = self.days.start(read), self.days.start(read + timedelta(days_after))
        assert isinstance(begins, datetime)
        assert isinstance(bound, datetime)
        if begins > self.moment:
            raise InvalidInput(field, "is in the future")
        return bound

    def _position(self, field: str, text: str) -> int:
        position = int(text) if len(text) <= len(str(POSITION_MAX)) else POSITION_MAX
        if not 1 <= position <= self.head:
            raise InvalidInput(field, f"must be a position of the log, from 1 to {self.head}")
        return position
