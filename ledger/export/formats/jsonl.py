"""JSON, one object a line (UTF-8). Integers are exact, however large: read them as integers.

An event's own JSON stands in its line as the bytes that are stored, so that its hash can be
computed anew.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import BinaryIO

import msgspec

from ledger.export.formats.contract import Heading
from ledger.export.tables import Kind, Row, moment_text
from ledger.money import format_usd


def _moment(value: object) -> str:
    assert isinstance(value, datetime)
    return moment_text(value)


def _usd(value: object) -> str:
    assert isinstance(value, int)
    return format_usd(value)


def _digest(value: object) -> str:
    assert isinstance(value, bytes)
    return value.hex()


def _json(value: object) -> msgspec.Raw:
    assert isinstance(value, str)
    return msgspec.Raw(value.encode())


_CONVERSIONS: Mapping[Kind, Callable[[object], object]] = {
    "usd": _usd,
    "moment": _moment,
    "json": _json,
    "digest": _digest,
}


class JsonLinesWriter:
    """A file with one object a row; there is nothing else in it."""

    def __init__(self, file: BinaryIO, heading: Heading) -> None:
        self._file = file
        self._names = [column.name for column in heading.table.columns]
        self._conversions = [
            (place, _CONVERSIONS[column.kind])
            for place, column in enumerate(heading.table.columns)
            if column.kind in _CONVERSIONS
        ]
        self._encoder = msgspec.json.Encoder()

    def write(self, rows: Sequence[Row]) -> None:
        """See FileWriter."""
        for row in rows:
            values = list(row)
            for place, convert in self._conversions:
                if values[place] is not None:
                    values[place] = convert(values[place])
            self._file.write(self._encoder.encode(dict(zip(self._names, values, strict=True))))
            self._file.write(b"\n")

    def close(self) -> None:
        """See FileWriter."""

    def abandon(self) -> None:
        """See FileWriter."""


def begin(file: BinaryIO, heading: Heading) -> JsonLinesWriter:
    """Begin a file."""
    return JsonLinesWriter(file, heading)
