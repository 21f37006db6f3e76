"""Exports a selection: rows into a file that takes bytes, and what its manifest says.

The events stream by: memory holds a batch of rows, and one sum for each ledger account.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import BinaryIO, cast

from ledger.errors import InvalidSelection
from ledger.export.formats.contract import FileWriter, Format, Heading
from ledger.export.hashed_file import HashedFile
from ledger.export.manifest import FORMAT, ColumnSaid, Manifest, SelectionSaid, made_by, sums
from ledger.export.selection import Bound, Selection
from ledger.export.source import Opening, Snapshot, Stored, open_snapshot
from ledger.export.tables import TABLES, Row, Table, moment_text

EVENTS_PER_BATCH = 1_000

Progress = Callable[[int, int], None]
"""Told (positions done, of how many) again and again; may raise to stop."""


def export(
    dsn: str,
    selection: Selection,
    file_format: Format,
    file: BinaryIO,
    name: str,
    progress: Progress,
) -> Manifest:
    """Write what was selected into a file called `name`; its manifest.

    Raises InvalidSelection, NotFound, UnknownTopic, psycopg.OperationalError, and what `file` and
    `progress` raise.
    """
    check_holds(file_format, selection)
    with open_snapshot(dsn, selection) as snapshot:
        return _write(snapshot, file_format, file, name, progress)


def check_holds(file_format: Format, selection: Selection) -> None:
    """Raises InvalidSelection where a format cannot hold what was selected."""
    if selection.what not in file_format.tables:
        tables = ", ".join(file_format.tables)
        raise InvalidSelection(f"{file_format.name} holds {tables}, not {selection.what}")
    if file_format.needs_openings and selection.topic is not None:
        raise InvalidSelection(f"{file_format.name} holds whole books, not one type of event")


def _write(
    snapshot: Snapshot, file_format: Format, file: BinaryIO, name: str, progress: Progress
) -> Manifest:
    selection, table = snapshot.selection, TABLES[snapshot.selection.what]
    openings = snapshot.openings() if file_format.needs_openings else []
    as_of, days = snapshot.as_of or snapshot.taken_at, snapshot.days()
    hashed = HashedFile(file)
    writer = file_format.begin(
        cast("BinaryIO", hashed),
        Heading(
            selection.what,
            table,
            _description(snapshot),
            as_of,
            days,
            openings,
        ),
    )
    try:
        counted = _write_rows(snapshot, table, writer, progress)
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    return Manifest(
        format=FORMAT,
        made_by=made_by(),
        file=name,
        file_format=file_format.name,
        size_bytes=hashed.size_bytes,
        sha256=hashed.sha256.hexdigest(),
        selection=_said(selection),
        head=snapshot.head,
        taken_at=moment_text(snapshot.taken_at),
        as_of_position=snapshot.last,
        as_of=None if snapshot.as_of is None else moment_text(snapshot.as_of),
        time_zone=days.zone_at(as_of),
        is_complete=snapshot.is_complete,
        events=counted.events,
        rows=counted.rows,
        first_position=counted.first,
        last_position=counted.last,
        postings=sums(counted.postings),
        opening=sums(_by_account(openings)) if file_format.needs_openings else None,
        columns=[ColumnSaid(**column._asdict()) for column in table.columns],
        checkpoint=snapshot.checkpoint(),
    )


def _write_rows(
    snapshot: Snapshot, table: Table, writer: FileWriter, progress: Progress
) -> "_Counted":
    counted = _Counted()
    rows: list[Row] = []
    total = max(0, snapshot.last - snapshot.first + 1)
    for number, stored in enumerate(snapshot.events(), 1):
        of_event = list(table.rows(stored))
        if of_event:
            counted.add(stored, len(of_event))
            rows += of_event
        if number % EVENTS_PER_BATCH == 0:
            writer.write(rows)
            rows.clear()
            progress(stored.recorded.position - snapshot.first + 1, total)
    writer.write(rows)
    progress(total, total)
    return counted


class _Counted:
    """What was exported so far."""

    def __init__(self) -> None:
        self.events = self.rows = 0
        self.first: int | None = None
        self.last: int | None = None
        self.postings: Counter[str] = Counter()

    def add(self, stored: Stored, rows: int) -> None:
        """An event that gave rows."""
        position = stored.recorded.position
        self.first = position if self.first is None else self.first
        self.last = position
        self.events += 1
        self.rows += rows
        for account, amount_nanos in stored.postings():
            self.postings[account] += amount_nanos


def _description(snapshot: Snapshot) -> str:
    said = _said(snapshot.selection)
    parts = [f"Tollgate: {said.what} of positions {snapshot.first} to {snapshot.last}"]
    parts += [f"of account {said.account}"] if said.account else []
    parts += [f"of type {said.type}"] if said.type else []
    return ", ".join(parts)


def _said(selection: Selection) -> SelectionSaid:
    return SelectionSaid(
        what=selection.what,
        account=selection.account_id,
        type=selection.topic,
        since=_bound_said(selection.since),
        until=_bound_said(selection.until),
    )


def _bound_said(bound: Bound | None) -> int | str | None:
    return moment_text(bound) if isinstance(bound, datetime) else bound


def _by_account(openings: Iterable[Opening]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for opening in openings:
        sums[opening.account] += opening.amount_nanos
    return sums
