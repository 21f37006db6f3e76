"""R5: a restore is in the books: who restored which file, and up to which position."""

import hashlib
from datetime import UTC, datetime

import psycopg
import pytest

from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.streams.restore import BackupRestored
from tests.releases.dumps import FOLDER
from tests.servers import FreshDatabase
from tests.tollgate.test_cli import Tool, other_database, tool
from tollgate.backup.load import read_manifest

__all__ = ["other_database", "tool"]


def last_event(database: FreshDatabase) -> Recorded:
    with psycopg.connect(database.owner_dsn) as connection:
        row = connection.execute(
            f"select {RECORDED_COLUMNS} from ledger.event order by position desc limit 1",
            binary=True,
        ).fetchone()
    assert row is not None
    return recorded(row)


def test_r5_a_restore_is_the_event_behind_what_was_restored(
    tool: Tool, other_database: FreshDatabase, redis_url: str
) -> None:
    tool.furnish()
    file = tool.folder.parent / "books.tar.gz"
    tool.ok("backup", str(file))
    said, digest = read_manifest(file), hashlib.sha256(file.read_bytes()).hexdigest()
    tool.use(other_database, redis_url)
    tool.ok("restore", str(file))
    last = last_event(other_database)
    assert last.event == BackupRestored(
        sha256=digest,
        made_by=said.made_by,
        taken_at=said.taken_at,
        up_to_position=said.head,
        has_vault=True,
        actor="command-line",
    )
    assert last.position == said.head + 1
    assert tool.ok("ledger", "fsck") == "the books are clean"
    (row,) = tool.ok("audit", "--type", BackupRestored.TOPIC).splitlines()[1:]
    assert "command-line" in row
    assert f"up to position {said.head} from a backup of {said.taken_at}" in row
    assert row.endswith(f"SHA-256 {digest}")


@pytest.mark.parametrize("release", ["0.1.0", "0.3.0"])
def test_r5_a_restore_of_an_old_backup_happens_now(
    tool: Tool, other_database: FreshDatabase, redis_url: str, release: str
) -> None:
    """Whatever its clock believed last."""
    began = datetime.now(UTC)
    tool.use(other_database, redis_url)
    tool.run("restore", str(FOLDER / f"{release}.tar.gz"), "--without-vault")
    last = last_event(other_database)
    assert isinstance(last.event, BackupRestored)
    assert (last.event.has_vault, last.event.up_to_position) == (False, last.position - 1)
    assert last.recorded_at >= began
