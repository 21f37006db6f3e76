"""One snapshot of a log that grows, in memory that does not."""

import io
import tracemalloc
from pathlib import Path

import psycopg
import pyarrow.parquet
import pytest

from ledger.export import source
from ledger.export.formats import parquet
from ledger.export.formats.registry import FORMATS, find_format
from ledger.export.selection import Selection
from ledger.export.source import open_snapshot
from ledger.export.writing import export as export_into
from tests.builders import LawfulLog
from tests.ledger.export.conftest import Books
from tests.ledger.export.exporting import export_while, folded, sums_said
from tests.servers import FreshDatabase


@pytest.mark.parametrize("file_format", list(FORMATS))
def test_an_export_while_the_log_grows_is_of_one_moment(
    own_books: Books, folder: Path, file_format: str
) -> None:
    expected = folded(own_books.dsn)
    grown: list[int] = []

    def grow(_done: int, _total: int) -> None:
        with psycopg.connect(own_books.dsn, autocommit=True) as connection:
            grown.append(LawfulLog(connection, seed=100 + len(grown)).grow(50, batch_groups=25))

    exported = export_while(own_books.dsn, folder, file_format, grow, what="postings")
    assert len(grown) > 1
    assert exported.manifest.head == own_books.head
    assert sums_said(exported.manifest) == expected
    assert folded(own_books.dsn) != expected


def test_events_come_in_batches_through_one_cursor(books: Books) -> None:
    """The database keeps the rest: what was read ahead is a batch, never the log."""
    with open_snapshot(books.dsn, Selection(what="events")) as snapshot:
        events = snapshot.events()
        next(events)
        cursors = snapshot.connection.execute(
            "select statement from pg_cursors where name = 'export'"
        ).fetchall()
        assert len(cursors) == 1
        assert sum(1 for _ in events) == books.head - 1


class Discarding(io.RawIOBase):
    """A file that keeps nothing."""

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        assert isinstance(content, bytes | bytearray | memoryview)
        return memoryview(content).nbytes


def _peak_bytes(dsn: str, file_format: str, until: int) -> int:
    chosen = find_format(file_format)
    selection = Selection(what=chosen.tables[0], until=until)
    tracemalloc.start()
    try:
        export_into(dsn, selection, chosen, Discarding(), "x", lambda *_: None)  # type: ignore[arg-type]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "beancount"])
def test_four_times_the_log_takes_no_more_memory(
    ledger_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    monkeypatch.setattr(source, "ROWS_PER_FETCH", 200)
    dsn = ledger_database.app_dsn
    with psycopg.connect(dsn, autocommit=True) as connection:
        log = LawfulLog(connection, seed=4, accounts=3)
        log.grow(6_000)
    head = log.stored
    _peak_bytes(dsn, file_format, head // 6)  # what is imported and cached once
    small = _peak_bytes(dsn, file_format, head // 4)
    large = _peak_bytes(dsn, file_format, head)
    assert large < small * 1.5


def test_parquet_holds_one_row_group(
    books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 500)
    exported = export_while(books.dsn, folder, "parquet", lambda *_: None)
    metadata = pyarrow.parquet.read_metadata(exported.path)
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sum(sizes) == books.head
    assert sizes[:-1] == [500] * (len(sizes) - 1)
    assert len(sizes) > 2
