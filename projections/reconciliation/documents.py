"""From the bytes of an export to records with a place: CSV (RFC 4180), JSON, and JSON Lines.

Strict where two readers could understand a file differently: repeated names and columns, NaN,
text that is not UTF-8. Numbers of JSON are read as decimals, never as floats.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from projections.reconciliation.contract import (
    ExportRefused,
    ParseOptions,
    Problem,
    refuse,
    refuse_all,
)
from projections.reconciliation.records import Record

_DELIMITERS = ",\t;"
_CELL_MAX_CHARACTERS = 10_000
_COLUMNS_MAX = 200


class Member(NamedTuple):
    """A part of a JSON file, and where it stands."""

    place: str
    value: Any


def text_of(content: bytes, options: ParseOptions) -> str:
    """The text of a file, without a byte order mark. Raises ExportRefused."""
    if len(content) > options.bytes_max:
        message = f"{len(content)} bytes, and {options.bytes_max} are read at most"
        raise refuse("", "the file", message)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse(f"byte {error.start}", "", "is not UTF-8 text") from error
    if not text.strip():
        raise refuse("", "the file", "is empty")
    if "\0" in text:
        raise refuse("", "the file", "is not text: it contains a null character")
    return text


def is_json(text: str) -> bool:
    """Whether a text is meant as JSON: no table begins like this."""
    return text.lstrip()[0] in "{["


# ---------------------------------------------------------------------- tables


def table(
    text: str, options: ParseOptions, *, delimiter: str | None = None, required: Sequence[str] = ()
) -> list[Record]:
    """The rows under a header, empty lines left out; each with its first line as its place.

    Without a delimiter: the one of comma, tab and semicolon that gives the required columns.
    Raises ExportRefused.
    """
    rows = _rows(text, delimiter or _delimiter(text, required))
    header = _header(rows, required)
    records: list[Record] = []
    problems: list[Problem] = []
    for line, cells in rows:
        place = f"line {line}"
        if len(cells) != len(header):
            message = f"has {len(cells)} cells, the header {len(header)}"
            problems.append(Problem(place, "", message))
            continue
        if len(records) == options.rows_max:
            raise refuse(place, "", f"{options.rows_max} rows are read at most")
        records.append(Record(place, dict(zip(header, cells, strict=True))))
    if problems:
        raise refuse_all(problems, options)
    return records


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The number of its first line, and the cells, of every row."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise refuse(f"line {line}", "", f"is not CSV: {error}") from error
        if any(len(cell) > _CELL_MAX_CHARACTERS for cell in cells):
            raise refuse(f"line {line}", "", f"a cell has over {_CELL_MAX_CHARACTERS} characters")
        if any(cell.strip() for cell in cells) or len(cells) > 1:
            yield line, [cell.strip() for cell in cells]


def _delimiter(text: str, required: Sequence[str]) -> str:
    first = text.lstrip().splitlines()[0]
    found = [each for each in _DELIMITERS if set(required) <= set(_cells(first, each))]
    return found[0] if found else ","


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        return []


def _header(rows: Iterator[tuple[int, list[str]]], required: Sequence[str]) -> list[str]:
    line, header = next(rows, (1, []))
    place = f"line {line}"
    if len(header) > _COLUMNS_MAX:
        raise refuse(place, "", f"has {len(header)} columns")
    missing = [name for name in required if name not in header]
    if missing:
        raise refuse(place, "", f"the header has no column {', '.join(map(repr, missing))}")
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise refuse(place, "", f"the header repeats {', '.join(map(repr, repeated))}")
    return header


# ---------------------------------------------------------------------- JSON


def json_members(text: str) -> list[Member]:
    """The members of the file's array, or the documents of its lines, or its one document.

    Raises ExportRefused.
    """
    try:
        whole = _loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data" or error.lineno == 1:
            raise _not_json(error, "") from error
        return _json_lines(text)
    if isinstance(whole, list):
        return [Member(f"[{number}]", value) for number, value in enumerate(whole)]
    return [Member("", whole)]


def _json_lines(text: str) -> list[Member]:
    members = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            members.append(Member(f"line {number}", _loads(line)))
        except json.JSONDecodeError as error:
            raise _not_json(error, f"line {number}") from error
    return members


def bucket_records(text: str, options: ParseOptions) -> tuple[list[Record], list[Record]]:
    """The empty buckets of a usage or cost API, and the results of the others.

    A file holds one page (`data`, `has_more`), or several in an array or line by line, or bare
    buckets. Each result has the fields of its bucket as well.
    Raises ExportRefused, also where the last page is missing.
    """
    empty: list[Record] = []
    results: list[Record] = []
    for place, bucket in _buckets(json_members(text)):
        held = _object(place, bucket)
        inner = held.pop("results", None)
        if not isinstance(inner, list):
            raise refuse(place, "results", "must be an array")
        own = _flat(place, held)
        if not inner:
            empty.append(Record(place, own))
        for number, result in enumerate(inner):
            where = f"{place}.results[{number}]"
            results.append(Record(where, {**own, **_flat(where, _object(where, result))}))
        if len(results) > options.rows_max:
            raise refuse(place, "", f"{options.rows_max} rows are read at most")
    return empty, results


def flat_records(text: str, options: ParseOptions) -> list[Record]:
    """One record per object; a field within a field has a path such as `amount.value`.

    Raises ExportRefused.
    """
    members = json_members(text)
    if len(members) > options.rows_max:
        raise refuse("", "the file", f"{options.rows_max} rows are read at most")
    return [Record(place, _flat(place, _object(place, value))) for place, value in members]


def _buckets(members: Sequence[Member]) -> Iterator[Member]:
    pages = [each for each in members if isinstance(each.value, dict) and "data" in each.value]
    if pages and all(each.value.get("has_more") is True for each in pages):
        place = pages[-1].place
        raise refuse(place, "has_more", "is true on every page: the last page is missing")
    for place, value in members:
        if not isinstance(value, dict) or "data" not in value:
            yield Member(place, value)
            continue
        if not isinstance(value["data"], list):
            raise refuse(place, "data", "must be an array")
        yield from (
            Member(f"{place}{' ' if place.startswith('line') else ''}data[{number}]", bucket)
            for number, bucket in enumerate(value["data"])
        )


def _object(place: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise refuse(place, "", "must be an object")
    return dict(value)


def _flat(place: str, value: dict[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, member in value.items():
        if isinstance(member, dict):
            found |= _flat(place, member, f"{path}{name}.")
        elif not isinstance(member, list):
            found[f"{path}{name}"] = member
    return found


def _loads(text: str) -> Any:  # noqa: ANN401 - JSON is anything
    try:
        return json.loads(
            text,
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_without_repeats,
        )
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError, ArithmeticError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise refuse("", "the file", f"is not JSON: {reason}") from error


def _not_json(error: json.JSONDecodeError, place: str) -> ExportRefused:
    where = place or f"line {error.lineno}"
    return refuse(f"{where}, character {error.colno}", "", f"is not JSON: {error.msg}")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is repeated")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name[:20]} is not a number")
