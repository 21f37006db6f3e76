"""Apache Parquet: typed columns for DuckDB, pandas, Spark and warehouses.

Nanodollars are int64; amounts in USD are decimal(38, 9), whose sums cannot leave their range;
times are microseconds in UTC; what is one of few words is a dictionary. Ids and JSON are texts.
"""

import contextlib
from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from typing import BinaryIO

import pyarrow
import pyarrow.parquet

from ledger.export.formats.contract import Heading
from ledger.export.tables import Column, Kind, Row

ROW_GROUP_ROWS = 20_000

_EXACT = Context(prec=38)
_TYPES: Mapping[Kind, pyarrow.DataType] = {
    "integer": pyarrow.int64(),
    "nanos": pyarrow.int64(),
    "usd": pyarrow.decimal128(38, 9),
    "moment": pyarrow.timestamp("us", "UTC"),
    "word": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
    "text": pyarrow.string(),
    "id": pyarrow.string(),
    "json": pyarrow.string(),
    "digest": pyarrow.binary(32),
}


class ParquetWriter:
    """Collects rows until they make a row group, and writes that."""

    def __init__(self, file: BinaryIO, heading: Heading) -> None:
        self._columns = heading.table.columns
        self._schema = pyarrow.schema(
            [_field(column) for column in self._columns],
            metadata={"tollgate.table": heading.what, "tollgate.export": heading.description},
        )
        self._writer = pyarrow.parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._waiting: list[Row] = []

    def write(self, rows: Sequence[Row]) -> None:
        """See FileWriter."""
        self._waiting += rows
        while len(self._waiting) >= ROW_GROUP_ROWS:
            self._write_group(self._waiting[:ROW_GROUP_ROWS])
            del self._waiting[:ROW_GROUP_ROWS]

    def close(self) -> None:
        """See FileWriter."""
        if self._waiting:
            self._write_group(self._waiting)
            self._waiting = []
        self._writer.close()

    def abandon(self) -> None:
        """See FileWriter. Whoever lets go of it while it is open closes it later, unasked."""
        with contextlib.suppress(Exception):
            self._writer.close()
        self._writer.is_open = False

    def _write_group(self, rows: Sequence[Row]) -> None:
        arrays = [
            pyarrow.array([_value(column.kind, row[place]) for row in rows], _TYPES[column.kind])
            for place, column in enumerate(self._columns)
        ]
        batch = pyarrow.record_batch(arrays, schema=self._schema)
        self._writer.write_batch(batch, row_group_size=ROW_GROUP_ROWS)


def _field(column: Column) -> pyarrow.Field:
    return pyarrow.field(column.name, _TYPES[column.kind], metadata={"meaning": column.meaning})


def _value(kind: Kind, value: object) -> object:
    if value is None:
        return None
    if kind == "id":
        return str(value)
    if kind == "usd":
        assert isinstance(value, int)
        return Decimal(value).scaleb(-9, _EXACT)
    return value


def begin(file: BinaryIO, heading: Heading) -> ParquetWriter:
    """Begin a file."""
    return ParquetWriter(file, heading)
