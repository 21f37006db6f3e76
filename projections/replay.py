"""Replaying the log into tables that nobody reads meanwhile: what a rebuild and a comparison do.

Rows live in memory and are written once, when they were not touched for a while or at the end.
The live runner writes every batch; here a row that a hundred batches change is written once, and
one that comes and goes, never. Memory is bounded by `ROWS_MAX` rows of each table.
"""

import contextlib
from collections.abc import Hashable, Sequence
from itertools import islice
from typing import Any

from ledger.collection import without_collection
from ledger.store.reader import Recorded
from projections.batches import Fetched, Interest, Part, fetch
from projections.contract import Key, Projection, Table
from projections.folding import Touched, by_handle
from projections.progress import Progress
from projections.reading_ahead import fetched_ahead
from projections.storage import Changes, Connection, TableStore

ROWS_MAX = 100_000
"""Rows of a table that are kept; half of them leave at once when there are more."""

_BATCH_EVENTS = 20_000
_ROWS_PER_WRITE = 10_000


class Replay:
    """Folds the log into empty tables in a schema that only the caller's connection writes."""

    def __init__(
        self,
        connection: Connection,
        projection: Projection,
        schema: str,
        part: Part | None = None,
    ) -> None:
        self.connection = connection
        self.projection = projection
        self.schema = schema
        self.position = 0
        self._interest = Interest([projection], part)
        stores = [TableStore(table, schema) for table in projection.tables]
        self._tables = [_ReplayedTable(connection, store) for store in stores]

    def create_tables(self) -> None:
        """Make the tables; where nobody else has."""
        for table in self._tables:
            table.store.create(self.connection)

    def empty_tables(self) -> None:
        """Throw away what is stored, before anything was folded."""
        for table in self._tables:
            table.store.empty(self.connection)

    def create_indexes(self) -> None:
        """Make the secondary indexes."""
        for table in self._tables:
            table.store.create_indexes(self.connection)

    def fold_to(self, target: int, progress: Progress) -> None:
        """Fold everything up to and including `target`. Raises ProjectionStopped, LogBroken."""
        with without_collection():
            while self.position < target:
                fetched = fetch(
                    self.connection, self.position, target, _BATCH_EVENTS, self._interest
                )
                self._fold(fetched)
                progress(self.position, target)

    def fold_far(self, dsn: str, target: int, progress: Progress) -> None:
        """The same, reading ahead over a connection of its own: for what is long stored."""
        ahead = fetched_ahead(dsn, self.position, target, _BATCH_EVENTS, self._interest)
        with without_collection(), contextlib.closing(ahead):
            for fetched in ahead:
                self._fold(fetched)
                progress(self.position, target)
                if self.position != fetched.last:
                    break  # something that cannot be read
        self.fold_to(target, progress)

    def go_on_from(self, position: int) -> None:
        """Others have folded everything up to here into the tables."""
        self.position = position
        for table in self._tables:
            table.has_stored_rows = True

    def write(self) -> None:
        """Write what is in memory, and go on with all of it stored."""
        for table in self._tables:
            table.write_all()

    def _fold(self, fetched: Fetched) -> None:
        part = fetched.decoded(self._interest).part_for(self.projection)
        for table in self._tables:
            table.fold(part.events)
        self.position = part.last


class _ReplayedTable:
    """One table: rows in memory, and those that have left it for the database.

    Two halves instead of a list in order of use, as in RowCache; but these are not copies.
    """

    def __init__(self, connection: Connection, store: TableStore) -> None:
        self.store = store
        self._connection = connection
        self._young: dict[Hashable, Any] = {}
        self._old: dict[Hashable, Any] = {}
        self._loaded: dict[Hashable, Any] = {}
        """Of the rows in memory, those the database has, as it has them."""
        self._gone: list[Key] = []
        self.has_stored_rows = False
        self._topics = store.table.topics()
        self._handle_of = store.table.handle_maker()

    @property
    def table(self) -> Table:
        return self.store.table

    def fold(self, events: Sequence[Recorded]) -> None:
        topics = self._topics
        own = [event for event in events if event.event.TOPIC in topics]
        touched = by_handle(self.table, self._handle_of, own)
        if self.has_stored_rows:
            self._load(touched)
        fold, young, old = self.table.fold, self._young, self._old
        for handle, (key, events_of_row) in touched.items():
            before = young.get(handle)
            if before is None and old:
                before = old.pop(handle, None)
            row = fold(key, before, events_of_row)
            if row is not None:
                young[handle] = row
            elif before is not None:
                young.pop(handle, None)
                if self._loaded.pop(handle, None) is not None:
                    self._gone.append(key)
        if len(young) > ROWS_MAX // 2:
            self._write(old)
            self._old, self._young = young, {}

    def write_all(self) -> None:
        self._write(self._old)
        self._write(self._young)
        self._old, self._young = {}, {}

    def _load(self, touched: Touched) -> None:
        """Take back from the database what is touched and memory has no more."""
        is_first, young, old = self.table.is_first, self._young, self._old
        unknown = [
            key
            for handle, (key, events) in touched.items()
            if handle not in young and handle not in old and not is_first(events[0])
        ]
        if unknown:
            self._delete_gone()
            for key, row in self.store.read(self._connection, unknown).items():
                handle = self._handle_of(key)
                self._loaded[handle] = self._young[handle] = row

    def _write(self, rows: dict[Hashable, Any]) -> None:
        """Store these rows, which leave memory."""
        self._delete_gone()
        loaded = self._loaded
        born = (row for handle, row in rows.items() if handle not in loaded)
        changed = (
            row
            for handle, row in rows.items()
            if handle in loaded and row is not (stored := loaded[handle]) and row != stored
        )
        with self._connection.transaction():
            while some := list(islice(born, _ROWS_PER_WRITE)):
                self.store.write(self._connection, Changes(some, [], []))
            while some := list(islice(changed, _ROWS_PER_WRITE)):
                self.store.write(self._connection, Changes([], some, []))
        for handle in rows:
            loaded.pop(handle, None)
        self.has_stored_rows = self.has_stored_rows or bool(rows)

    def _delete_gone(self) -> None:
        if self._gone:
            self.store.write(self._connection, Changes([], [], self._gone))
            self._gone = []
