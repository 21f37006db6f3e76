"""One row of an export, and reading its cells: what is not as it must be names its column."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from projections.reconciliation.contract import (
    UNITS,
    Entry,
    Export,
    ParseOptions,
    Problem,
    refuse,
    refuse_all,
)

_COUNT = re.compile(r"[0-9]{1,15}(\.0{1,9})?", re.ASCII)
_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_AMOUNT_USD_MAX = Decimal(10**12)
_DIGITS_AFTER_POINT_MAX = 60
_TEXT_MAX_CHARACTERS = 256
_EARLIEST = date(2015, 1, 1)
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadCell(Exception):
    """A cell that is not what its column must have."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(f"{column}: {message}")
        self.column = column
        self.message = message


class Record:
    """The cells of one row by column: texts of a table, or scalars of JSON (numbers as Decimal).

    An empty cell and a null are the same: nothing. All methods raise BadCell.
    """

    __slots__ = ("cells", "place")

    def __init__(self, place: str, cells: Mapping[str, Any]) -> None:
        self.place = place
        self.cells = cells

    def is_empty(self, columns: Iterable[str]) -> bool:
        """Whether none of these cells says anything."""
        return all(self.cells.get(column) in (None, "") for column in columns)

    def text(self, column: str) -> str:
        """One line; "" for nothing."""
        value = self.cells.get(column)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise BadCell(column, "must be a text")
        if len(value) > _TEXT_MAX_CHARACTERS:
            raise BadCell(column, f"has over {_TEXT_MAX_CHARACTERS} characters")
        if any(unicodedata.category(each)[0] == "C" for each in value):
            raise BadCell(column, "contains control or format characters")
        return value

    def required(self, column: str) -> str:
        """One line that is not empty."""
        text = self.text(column)
        if not text:
            raise BadCell(column, "must not be empty")
        return text

    def count(self, column: str) -> Decimal | None:
        """A whole number, from 0."""
        text = self._number(column)
        if text is None:
            return None
        if _COUNT.fullmatch(text) is None:
            raise BadCell(column, f"{text[:40]!r} is not a whole number from 0 to 10^15")
        return Decimal(int(Decimal(text)))

    def amount(self, column: str) -> Decimal | None:
        """An exact decimal, of any sign."""
        text = self._number(column)
        if text is None:
            return None
        value = Decimal(text) if _AMOUNT.fullmatch(text) else None
        if value is None or value.copy_abs() >= _AMOUNT_USD_MAX:
            raise BadCell(column, f"{text[:40]!r} is not a decimal amount below 10^12")
        if value and -int(value.as_tuple().exponent) > _DIGITS_AFTER_POINT_MAX:
            raise BadCell(column, f"has over {_DIGITS_AFTER_POINT_MAX} digits after the point")
        return value

    def require_usd(self, column: str) -> None:
        """The currency, whose name must be that of the US dollar."""
        name = self.required(column)
        if name.upper() != "USD":
            raise BadCell(column, f"is {name[:20]!r}, and only USD can be reconciled")

    def unix_day(self, start: str, end: str, today: date) -> date:
        """The UTC day of a bucket between two Unix times; it must lie within one day."""
        return _one_day(start, self._unix(start), end, self._unix(end), today)

    def iso_day(self, start: str, end: str, today: date) -> date:
        """As unix_day, of RFC 3339 date-times."""
        return _one_day(start, self._iso(start), end, self._iso(end), today)

    def day(self, column: str, today: date, date_format: str = "%Y-%m-%d") -> date:
        """A date in a format of strptime, or `unix` for Unix seconds; times are in UTC."""
        if date_format == "unix":
            found = self._unix(column).date()
        else:
            text = self.required(column)
            try:
                moment = datetime.strptime(text, date_format)  # noqa: DTZ007 - made aware below
            except ValueError as error:
                reason = f"{text[:40]!r} is not a date such as {date_format}"
                raise BadCell(column, reason) from error
            found = (moment.astimezone(UTC) if moment.tzinfo else moment).date()
        return _plausible(column, found, today)

    def _unix(self, column: str) -> datetime:
        count = self.count(column)
        if count is None:
            raise BadCell(column, "must not be empty")
        try:
            return _EPOCH + timedelta(seconds=int(count))
        except OverflowError as error:
            raise BadCell(column, "is not a time in Unix seconds") from error

    def _iso(self, column: str) -> datetime:
        text = self.required(column)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise BadCell(column, f"{text[:40]!r} is not an RFC 3339 date-time") from error
        if moment.tzinfo is None:
            raise BadCell(column, "must have an offset from UTC")
        return moment.astimezone(UTC)

    def _number(self, column: str) -> str | None:
        value = self.cells.get(column)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | Decimal):
            raise BadCell(column, "must be a number")
        return value if isinstance(value, str) else str(value)


Read = Callable[[Record], tuple[date, Iterable[Entry]]]
"""From a record to its day and its entries. Raises BadCell."""


def export_of(
    records: Iterable[Record],
    read: Read,
    covers: Callable[[tuple[Entry, ...]], tuple[str, ...]],
    options: ParseOptions,
) -> Export:
    """Read every record: its day, and its entries. Raises ExportRefused, naming every bad row."""
    entries: list[Entry] = []
    days: set[date] = set()
    problems: list[Problem] = []
    for record in records:
        try:
            day, own = read(record)
            entries.extend(own)
        except BadCell as bad:
            problems.append(Problem(record.place, bad.column, bad.message))
        else:
            days.add(day)
    if problems:
        raise refuse_all(problems, options)
    if not days:
        raise refuse("", "the file", "has no rows")
    found = tuple(entries)
    used = covers(found)
    return Export(found, tuple(unit for unit in UNITS if unit in used), min(days), max(days))


def refuse_repeats(records: Iterable[Record], options: ParseOptions) -> None:
    """Refuse a row that is word for word an earlier one: its figures would count twice.

    Raises ExportRefused unless the mapping says that repeated rows count.
    """
    if options.mapping.repeated_rows == "count":
        return
    first: dict[bytes, str] = {}
    problems = []
    for record in records:
        earlier = first.setdefault(_identity(record), record.place)
        if earlier != record.place:
            problems.append(Problem(record.place, "", f"repeats {earlier} word for word"))
    if problems:
        raise refuse_all(problems, options)


def _identity(record: Record) -> bytes:
    """The same for rows with the same cells, and for no others."""
    cells = sorted((name, str(cell)) for name, cell in record.cells.items())
    return hashlib.sha256(repr(cells).encode()).digest()


def _one_day(start: str, begins: datetime, end: str, ends: datetime, today: date) -> date:
    day = _plausible(start, begins.date(), today)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + _DAY
    if not begins < ends <= midnight:
        raise BadCell(end, "the bucket must lie within one day in UTC")
    return day


def _plausible(column: str, day: date, today: date) -> date:
    if day > today:
        raise BadCell(column, f"{day} lies in the future")
    if day < _EARLIEST:
        raise BadCell(column, f"{day} is before {_EARLIEST}")
    return day
