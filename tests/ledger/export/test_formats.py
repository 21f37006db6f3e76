"""Every row comes back from every format exactly as it was, whatever its texts are."""

import csv as others_csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.book_days import BookDays
from ledger.export.formats.contract import Heading
from ledger.export.formats.registry import FORMATS
from ledger.export.selection import What
from ledger.export.tables import TABLES, Kind, Row
from ledger.leaf import leaf
from tests.ledger.export.conftest import Books
from tests.ledger.export.csv_reading import read as read_csv
from tests.ledger.export.exporting import export, file_of, stored_events

WHATS: tuple[What, ...] = ("events", "postings", "charges")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INT64 = st.integers(-(2**63), 2**63 - 1)
NASTY = st.sampled_from(
    ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "'=1", "''", "'", " =1", "＝1", "a,b",
     'a"b', "a\r\nb", "", "NULL", "0x1", "=HYPERLINK(\"http://x\")", "-2+3+cmd|' /C calc'!A0"]
)  # fmt: skip
TEXT = NASTY | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "integer": st.none() | INT64,
    "nanos": st.none() | INT64,
    "usd": st.none() | INT64,
    "moment": st.integers(0, 2**52).map(lambda us: _EPOCH + timedelta(microseconds=us)),
    "word": TEXT,
    "text": TEXT,
    "id": st.none() | st.uuids(),
    "json": TEXT.map(lambda text: json.dumps({"text": text}, ensure_ascii=False)),
    "digest": st.binary(min_size=32, max_size=32),
}


def heading(what: What) -> Heading:
    return Heading(what, TABLES[what], "a test", _EPOCH, BookDays())


def rows_of(what: What) -> st.SearchStrategy[list[Row]]:
    columns = [VALUES[column.kind] for column in TABLES[what].columns]
    return st.lists(st.tuples(*columns), max_size=6)


def plain(kind: Kind, value: object) -> object:
    """What a format without our types says of a value."""
    if value is None:
        return None
    match kind:
        case "id":
            return str(value)
        case "usd":
            assert isinstance(value, int)
            return Decimal(value) / 10**9
        case _:
            return value


@pytest.mark.parametrize("what", WHATS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_csv_is_read_back_as_it_was(what: What, data: st.DataObject) -> None:
    rows = data.draw(rows_of(what))
    file = file_of("csv", heading(what), rows)
    assert list(read_csv(file, TABLES[what])) == rows


@pytest.mark.parametrize("what", WHATS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_cell_of_a_csv_is_a_formula(what: What, data: st.DataObject) -> None:
    rows = data.draw(rows_of(what))
    text = file_of("csv", heading(what), rows).read().decode()
    lines = list(others_csv.reader(io.StringIO(text, newline="")))
    assert len(lines) == len(rows) + 1
    for cells in lines[1:]:
        for cell, column in zip(cells, TABLES[what].columns, strict=True):
            if column.kind in ("word", "text", "json"):
                assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
            elif cell.startswith("-"):
                assert column.kind in ("integer", "nanos", "usd")
                assert Decimal(cell) < 0


@pytest.mark.parametrize("what", WHATS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_json_lines_have_every_value(what: What, data: st.DataObject) -> None:
    rows = data.draw(rows_of(what))
    lines = file_of("jsonl", heading(what), rows).read().decode().split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        for column, value in zip(TABLES[what].columns, row, strict=True):
            said = json.loads(line)[column.name]
            match column.kind:
                case "usd" if value is not None:
                    assert isinstance(value, int)
                    assert Decimal(said) * 10**9 == value
                case "moment":
                    assert datetime.fromisoformat(said) == value
                case "digest":
                    assert bytes.fromhex(said) == value
                case "json":
                    assert isinstance(value, str)
                    assert said == json.loads(value)
                case _:
                    assert said == plain(column.kind, value)


@pytest.mark.parametrize("what", WHATS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_parquet_is_read_back_as_it_was(what: What, data: st.DataObject) -> None:
    rows = data.draw(rows_of(what))
    table = pyarrow.parquet.read_table(file_of("parquet", heading(what), rows))
    kinds = [column.kind for column in TABLES[what].columns]
    found = [tuple(row.values()) for row in table.to_pylist()]
    assert found == [
        tuple(plain(kind, value) for kind, value in zip(kinds, row, strict=True)) for row in rows
    ]


def test_parquet_has_the_types_that_sums_need(books: Books, folder: Path) -> None:
    path = export(books.dsn, folder, "parquet", what="postings").path
    schema = pyarrow.parquet.read_schema(path)
    assert schema.field("position").type == pyarrow.int64()
    assert schema.field("amount_nanos").type == pyarrow.int64()
    assert schema.field("amount_usd").type == pyarrow.decimal128(38, 9)
    assert schema.field("recorded_at").type == pyarrow.timestamp("us", "UTC")
    assert pyarrow.types.is_dictionary(schema.field("topic").type)


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_the_leaf_of_each_event_can_be_computed_anew(
    books: Books, folder: Path, file_format: str
) -> None:
    path = export(books.dsn, folder, file_format, what="events").path
    rows = _events(path)
    assert [row["position"] for row in rows] == list(range(1, books.head + 1))
    for row, stored in zip(rows, stored_events(books.dsn), strict=True):
        account = None
        if row["account_id"] is not None:
            account = (UUID(str(row["account_id"])), row["account_seq"])
        at_us = (row["recorded_at"] - _EPOCH) // timedelta(microseconds=1)
        computed = leaf(
            row["position"],
            UUID(str(row["stream_id"])),
            row["version"],
            at_us,
            account,
            (row["topic"], row["state"].encode()),
        )
        assert computed == row["leaf"] == stored.leaf


def _events(path: Path) -> list[dict[str, Any]]:
    columns = TABLES["events"].columns
    if path.suffix == ".csv":
        with path.open("rb") as file:
            return [
                dict(zip([one.name for one in columns], row, strict=True))
                for row in read_csv(file, TABLES["events"])
            ]
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
        return found
    return [_event_of_line(line) for line in path.read_bytes().splitlines()]


def _event_of_line(line: bytes) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line)
    # The stored bytes stand in the line as they are: between the two names beside them.
    row["state"] = line.split(b'"state":', 1)[1].rsplit(b',"leaf":', 1)[0].decode()
    row["recorded_at"] = datetime.fromisoformat(row["recorded_at"])
    row["leaf"] = bytes.fromhex(row["leaf"])
    return row


def test_every_format_says_what_it_holds() -> None:
    for name, one in FORMATS.items():
        assert one.name == name
        assert set(one.tables) <= set(TABLES)
        assert one.module.endswith(f".{name}")
