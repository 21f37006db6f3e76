"""Exports in tests: made, read back by other people's programs, and added up independently."""

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from ledger.codec import decode
from ledger.export.files import export_to_file
from ledger.export.formats.contract import Heading
from ledger.export.formats.registry import find_format
from ledger.export.manifest import Manifest
from ledger.export.selection import Selection
from ledger.export.source import Stored, open_snapshot
from ledger.export.writing import Progress
from ledger.streams.registry import STREAM_OF

FORMATS_OF_TABLES = ("csv", "jsonl", "parquet")

Sums = dict[str, int]


@dataclass(frozen=True)
class Exported:
    """A file, and its manifest as it was returned."""

    path: Path
    manifest: Manifest

    @property
    def sums(self) -> Sums:
        return sums_said(self.manifest)


def unwatched(done: int, total: int) -> None:
    """Nobody watches."""


def export(dsn: str, folder: Path, file_format: str, **selected: Any) -> Exported:  # noqa: ANN401
    """Export what was selected into a fresh file of the folder."""
    return export_while(dsn, folder, file_format, unwatched, **selected)


def export_while(
    dsn: str,
    folder: Path,
    file_format: str,
    progress: Progress,
    **selected: Any,  # noqa: ANN401
) -> Exported:
    """Export what was selected, telling how far it is."""
    chosen = find_format(file_format)
    selection = Selection(**{"what": chosen.tables[0], **selected})
    path = folder / f"{len(list(folder.iterdir()))}.{chosen.suffix}"
    return Exported(path, export_to_file(dsn, selection, chosen, path, progress))


def sums_said(manifest: Manifest) -> Sums:
    """What a manifest says was posted."""
    return {name: int(one.nanos) for name, one in manifest.postings.items()}


def stored_events(dsn: str, **selected: Any) -> list[Stored]:  # noqa: ANN401
    """What the source gives, all of it at once."""
    with open_snapshot(dsn, Selection(**{"what": "events", **selected})) as snapshot:
        return list(snapshot.events())


def file_of(file_format: str, heading: Heading, rows: list[tuple[object, ...]]) -> io.BytesIO:
    """Rows as a file of some format."""
    file = io.BytesIO()
    writer = find_format(file_format).begin(file, heading)
    writer.write(rows)
    writer.close()
    file.seek(0)
    return file


def folded(dsn: str, account_id: UUID | None = None, until: int | None = None) -> Sums:
    """The postings of the log by ledger account, read and added without the code under test."""
    sums: Counter[str] = Counter()
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select topic, state from ledger.event where (%s::uuid is null or account_id = %s) "
            "and (%s::bigint is null or position <= %s)",
            (account_id, account_id, until, until),
        )
        for topic, state in rows:
            event = decode(topic, bytes(state))
            for account, amount in STREAM_OF[type(event)].postings(event):
                sums[account] += amount
    return dict(sums)
