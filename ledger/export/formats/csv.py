"""Comma-separated values (RFC 4180, UTF-8), safe to open in a spreadsheet and exact to read back.

A spreadsheet takes a cell that begins with = + - or @ for a formula. Such a text is written with
an apostrophe before it, and so is one that begins with an apostrophe itself: whoever takes one
leading apostrophe away has exactly what the ledger has. Numbers and amounts are
written as they are; they are digits, a sign and a point. An empty cell of a column that is not a
text means that there is no value.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import BinaryIO

from ledger.export.formats.contract import Heading
from ledger.export.tables import Kind, Row, moment_text
from ledger.money import format_usd

# The last four are the full-width forms, which some spreadsheets read like the others.
_TAKEN_FOR_A_FORMULA = re.compile(r"\s*['=+\-@＝＋－＠]|[\t\r\n]")


def harmless(text: str) -> str:
    """A text as it may stand in a cell."""
    return f"'{text}" if _TAKEN_FOR_A_FORMULA.match(text) else text


def _moment(value: object) -> str:
    assert isinstance(value, datetime)
    return moment_text(value)


def _digest(value: object) -> str:
    assert isinstance(value, bytes)
    return value.hex()


def _text(value: object) -> str:
    assert isinstance(value, str)
    return harmless(value)


def _usd(value: object) -> str:
    assert isinstance(value, int)
    return format_usd(value)


_TO_CELL: Mapping[Kind, Callable[[object], str]] = {
    "integer": str,
    "nanos": str,
    "usd": _usd,
    "moment": _moment,
    "word": _text,
    "text": _text,
    "id": str,
    "json": _text,
    "digest": _digest,
}


class CsvWriter:
    """A file with one line of names and one line a row."""

    def __init__(self, file: BinaryIO, heading: Heading) -> None:
        self._file = file
        self._to_cell = [_TO_CELL[column.kind] for column in heading.table.columns]
        self._text = io.StringIO(newline="")
        self._lines = csv.writer(self._text)
        self._lines.writerow([column.name for column in heading.table.columns])

    def write(self, rows: Sequence[Row]) -> None:
        """See FileWriter."""
        for row in rows:
            self._lines.writerow(
                "" if value is None else to_cell(value)
                for to_cell, value in zip(self._to_cell, row, strict=True)
            )
        self._flush()

    def close(self) -> None:
        """See FileWriter."""
        self._flush()

    def abandon(self) -> None:
        """See FileWriter."""

    def _flush(self) -> None:
        self._file.write(self._text.getvalue().encode())
        self._text.seek(0)
        self._text.truncate()


def begin(file: BinaryIO, heading: Heading) -> CsvWriter:
    """Begin a file."""
    return CsvWriter(file, heading)
