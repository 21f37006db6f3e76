"""Files appear whole or not at all, with a manifest that notices every change."""

import hashlib
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest

from ledger.errors import InvalidSelection, NotFound
from ledger.export.files import FileExists, export_to_file
from ledger.export.formats.registry import FORMATS, find_format
from ledger.export.manifest import ManifestBroken, manifest_path, read_manifest, verify_manifest
from ledger.export.selection import Selection
from ledger.export.tables import TABLES
from ledger.integrity.checkpoint import parse_checkpoint
from ledger.streams.seal import CheckpointSealed
from tests.builders import LawfulLog
from tests.ledger.export.conftest import Books
from tests.ledger.export.exporting import export, folded, unwatched
from tests.servers import FreshDatabase


@pytest.mark.parametrize("file_format", list(FORMATS))
def test_the_manifest_is_of_this_file(books: Books, folder: Path, file_format: str) -> None:
    exported = export(books.dsn, folder, file_format)
    content = exported.path.read_bytes()
    manifest = read_manifest(exported.path)
    assert manifest == exported.manifest
    assert manifest.sha256 == hashlib.sha256(content).hexdigest()
    assert manifest.size_bytes == len(content)
    assert manifest.file == exported.path.name
    assert manifest.made_by.startswith("tollgate ")
    assert [one.name for one in manifest.columns] == [
        one.name for one in TABLES[FORMATS[file_format].tables[0]].columns
    ]
    assert verify_manifest(exported.path) == []


def test_the_manifest_has_the_newest_sealed_checkpoint(books: Books, folder: Path) -> None:
    with psycopg.connect(books.dsn) as connection:
        row = connection.execute(
            "select state from ledger.event where topic = %s order by position desc limit 1",
            (CheckpointSealed.TOPIC,),
        ).fetchone()
    assert row is not None
    newest = msgspec.json.decode(row[0], type=CheckpointSealed)
    note = export(books.dsn, folder, "csv", until=1).manifest.checkpoint
    assert note == newest.note
    assert parse_checkpoint(note).size == newest.size <= books.head


@pytest.mark.parametrize("file_format", list(FORMATS))
def test_one_changed_byte_is_noticed(books: Books, folder: Path, file_format: str) -> None:
    path = export(books.dsn, folder, file_format).path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert len(verify_manifest(path)) == 1
    path.write_bytes(content[:-1])
    assert len(verify_manifest(path)) == 2


def test_a_manifest_that_is_none_is_named(books: Books, folder: Path) -> None:
    path = export(books.dsn, folder, "csv").path
    beside = manifest_path(path)
    said = msgspec.json.decode(beside.read_bytes())
    for broken in (b"", b"{}", b"[1]", msgspec.json.encode({**said, "format": "another/9"})):
        beside.write_bytes(broken)
        with pytest.raises(ManifestBroken):
            verify_manifest(path)
    beside.unlink()
    with pytest.raises(ManifestBroken):
        verify_manifest(path)


def test_the_same_part_gives_the_same_bytes(own_books: Books, folder: Path) -> None:
    for file_format in FORMATS:
        first = export(own_books.dsn, folder, file_format, until=own_books.head)
        with psycopg.connect(own_books.dsn, autocommit=True) as connection:
            LawfulLog(connection, seed=3).grow(20)
        again = export(own_books.dsn, folder, file_format, until=own_books.head)
        assert again.path.read_bytes() == first.path.read_bytes()
        assert again.manifest.head > first.manifest.head


def test_nothing_is_ever_written_over_unasked(books: Books, folder: Path) -> None:
    chosen = find_format("csv")
    path = folder / "mine.csv"
    for taken in (path, manifest_path(path)):
        taken.write_text("mine")
        with pytest.raises(FileExists):
            export_to_file(books.dsn, Selection(what="events"), chosen, path, unwatched)
        assert taken.read_text() == "mine"
        assert list(folder.iterdir()) == [taken]
        taken.unlink()
    path.write_text("mine")
    export_to_file(books.dsn, Selection(what="events"), chosen, path, unwatched, is_replacing=True)
    assert verify_manifest(path) == []
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_name_taken_meanwhile_stays_anothers(books: Books, folder: Path) -> None:
    path = folder / "mine.csv"

    def taken_meanwhile(done: int, total: int) -> None:
        if done == total:
            path.write_text("theirs")

    with pytest.raises(FileExists):
        export_to_file(
            books.dsn, Selection(what="events"), find_format("csv"), path, taken_meanwhile
        )
    assert path.read_text() == "theirs"
    assert not [one for one in folder.iterdir() if one.suffix == ".part"]


class Interrupted(Exception):
    """Somebody lost patience."""


@pytest.mark.parametrize("file_format", list(FORMATS))
def test_what_is_interrupted_leaves_nothing(books: Books, folder: Path, file_format: str) -> None:
    def interrupt(done: int, total: int) -> None:
        assert done <= total
        raise Interrupted

    chosen = find_format(file_format)
    selection = Selection(what=chosen.tables[0])
    with pytest.raises(Interrupted):
        export_to_file(books.dsn, selection, chosen, folder / "mine", interrupt)
    assert list(folder.iterdir()) == []


def test_progress_ends_with_everything(books: Books, folder: Path) -> None:
    told: list[tuple[int, int]] = []
    export_to_file(
        books.dsn,
        Selection(what="postings", since=100),
        find_format("csv"),
        folder / "mine",
        lambda done, total: told.append((done, total)),
    )
    total = books.head - 99
    assert told[-1] == (total, total)
    assert len(told) > 1
    assert told == sorted(told)


BAD: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"account_id": uuid4()}, NotFound),
    ({"topic": "charge.NoSuch.v1"}, InvalidSelection),
    ({"since": 9, "until": 8}, InvalidSelection),
    ({"since": 0}, InvalidSelection),
    ({"until": 2**63}, InvalidSelection),
    ({"until": 2**63 - 1}, InvalidSelection),
    ({"since": 10**9}, InvalidSelection),
    ({"since": datetime(9000, 1, 1, tzinfo=UTC)}, InvalidSelection),
    ({"since": datetime(1969, 1, 1, tzinfo=UTC)}, InvalidSelection),
    ({"since": datetime(2020, 1, 2, tzinfo=UTC), "until": datetime(2020, 1, 1, tzinfo=UTC)},
     InvalidSelection),
    ({"since": datetime(2020, 1, 1, tzinfo=UTC), "until": datetime(2020, 1, 1, tzinfo=UTC)},
     InvalidSelection),
]  # fmt: skip


@pytest.mark.parametrize(("selected", "refusal"), BAD)
def test_what_cannot_be_asked_for_writes_nothing(
    books: Books, folder: Path, selected: dict[str, Any], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        export(books.dsn, folder, "csv", **selected)
    assert list(folder.iterdir()) == []


def test_beancount_holds_whole_books_only(books: Books, folder: Path) -> None:
    for selected in ({"what": "events"}, {"topic": "charge.UsageSettled.v1"}):
        with pytest.raises(InvalidSelection):
            export(books.dsn, folder, "beancount", **selected)
    with pytest.raises(InvalidSelection):
        find_format("xlsx")
    assert list(folder.iterdir()) == []


def test_a_format_without_its_library_is_refused_and_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidSelection, match=r"pip install 'tollgate\[parquet\]'"):
        find_format("parquet")
    assert "parquet" in FORMATS
    assert find_format("csv").name == "csv"


@pytest.mark.parametrize("file_format", list(FORMATS))
def test_an_empty_log_gives_an_empty_export(
    ledger_database: FreshDatabase, folder: Path, file_format: str
) -> None:
    exported = export(ledger_database.app_dsn, folder, file_format)
    manifest = exported.manifest
    assert (manifest.rows, manifest.head, manifest.as_of_position) == (0, 0, 0)
    assert (manifest.first_position, manifest.last_position, manifest.as_of) == (None, None, None)
    assert manifest.checkpoint is None
    assert manifest.time_zone == "UTC"
    assert manifest.is_complete
    assert verify_manifest(exported.path) == []


def test_a_day_that_is_going_on_is_not_complete(books: Books, folder: Path) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    exported = export(books.dsn, folder, "csv", what="postings", until=until)
    assert not exported.manifest.is_complete
    assert exported.sums == folded(books.dsn)


def test_a_topic_alone(books: Books, folder: Path) -> None:
    topic = "credit.CreditGranted.v1"
    exported = export(books.dsn, folder, "csv", topic=topic)
    with psycopg.connect(books.dsn) as connection:
        row = connection.execute(
            "select count(*), min(position), max(position) from ledger.event where topic = %s",
            (topic,),
        ).fetchone()
    manifest = exported.manifest
    assert row == (manifest.rows, manifest.first_position, manifest.last_position)
