"""An exported CSV file, read back as its documentation says."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

from ledger.errors import InvalidAmount
from ledger.export.tables import Kind, Row, Table
from ledger.money import NANOS_PER_USD

_USD = re.compile(r"(-?)([0-9]+)(?:\.([0-9]{1,9}))?", re.ASCII)


def read(file: BinaryIO, table: Table) -> Iterator[Row]:
    """The rows of a file that was written here, as they were.

    Raises ValueError or InvalidAmount where it is not such a file.
    """
    lines = csv.reader((line.decode() for line in file), strict=True)
    if next(lines, None) != [column.name for column in table.columns]:
        raise ValueError("the first line does not have the names of this table's columns")
    kinds = [column.kind for column in table.columns]
    for cells in lines:
        yield tuple(
            None if cell == "" and kind not in _TEXTS else _FROM_CELL[kind](cell)
            for kind, cell in zip(kinds, cells, strict=True)
        )


def _nanos(cell: str) -> int:
    match = _USD.fullmatch(cell)
    if match is None:
        raise InvalidAmount(cell)
    sign, dollars, fraction = match.groups()
    nanos = int(dollars) * NANOS_PER_USD + int((fraction or "").ljust(9, "0"))
    return -nanos if sign else nanos


_FROM_CELL: Mapping[Kind, Callable[[str], object]] = {
    "integer": int,
    "nanos": int,
    "usd": _nanos,
    "moment": datetime.fromisoformat,
    "word": lambda cell: cell.removeprefix("'"),
    "text": lambda cell: cell.removeprefix("'"),
    "id": UUID,
    "json": lambda cell: cell.removeprefix("'"),
    "digest": bytes.fromhex,
}
_TEXTS = frozenset[Kind]({"word", "text", "json"})
