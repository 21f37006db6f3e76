"""The list of formats: the only place that names them all."""

from collections.abc import Mapping

from ledger.errors import InvalidSelection
from ledger.export.formats.contract import Format
from ledger.export.selection import What

_ALL: tuple[What, ...] = ("events", "postings", "charges")
_BOOKS: tuple[What, ...] = ("postings",)
_HERE = "ledger.export.formats"

FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        Format("csv", "csv", "text/csv; charset=utf-8", _ALL, f"{_HERE}.csv"),
        Format("jsonl", "jsonl", "application/x-ndjson", _ALL, f"{_HERE}.jsonl"),
        Format(
            "parquet",
            "parquet",
            "application/vnd.apache.parquet",
            _ALL,
            f"{_HERE}.parquet",
            library="pyarrow",
            extra="parquet",
        ),
        Format(
            "beancount",
            "beancount",
            "text/x-beancount; charset=utf-8",
            _BOOKS,
            f"{_HERE}.beancount",
            needs_openings=True,
        ),
    )
}


def find_format(name: str) -> Format:
    """The format of a name. Raises InvalidSelection, also where its library is not installed."""
    if name not in FORMATS:
        raise InvalidSelection(f"no format is called {name[:40]!r}; there are {', '.join(FORMATS)}")
    FORMATS[name].require_library()
    return FORMATS[name]
