"""One batch of events, folded in memory: which rows are read, and what is written afterwards."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from ledger.store.reader import Recorded
from projections.contract import Key, Table
from projections.storage import Changes

Load = Callable[[Sequence[Key]], dict[Key, Any]]
"""Reads the rows that exist under the given keys."""


class RowCache:
    """Rows this process wrote or read lately, by the handles of their keys.

    Two halves instead of a list in order of use: when the young half is full it becomes the old
    one, and what was not asked for since is forgotten.
    """

    def __init__(self, half_max: int = 20_000) -> None:
        self._half_max = half_max
        self._young: dict[Hashable, Any] = {}
        self._old: dict[Hashable, Any] = {}

    def get(self, handle: Hashable) -> Any | None:  # noqa: ANN401 - each table has its own row
        """The row; None where it is not known."""
        return self._young.get(handle) or self._old.get(handle)

    def put(self, folded: "FoldedTable") -> None:
        """Remember what is now stored."""
        for handle in folded.gone:
            self._young.pop(handle, None)
            self._old.pop(handle, None)
        self._young.update(folded.rows)
        if len(self._young) > self._half_max:
            self._old, self._young = self._young, {}


class FoldedTable(NamedTuple):
    """The outcome of a batch for one table: its changes, and the handles of all it touched: with
    the rows that exist then, and of those that are gone."""

    changes: Changes
    rows: dict[Hashable, Any]
    gone: list[Hashable]


def fold(table: Table, events: Sequence[Recorded], cache: RowCache, load: Load) -> FoldedTable:
    """Fold events, all of types in `table.events`, into the rows they touch.

    `load` is called at most once, with the keys of rows that may exist and are not cached.
    """
    known: dict[Hashable, Any] = {}
    unknown: list[Key] = []
    handle_of, is_first = table.handle_maker(), table.is_first
    touched = by_handle(table, handle_of, events)
    for handle, (key, own) in touched.items():
        if is_first(own[0]):
            continue
        row = cache.get(handle)
        if row is None:
            unknown.append(key)
        else:
            known[handle] = row
    if unknown:
        known.update((handle_of(key), row) for key, row in load(unknown).items())
    return _folded(table, touched, known)


Touched = dict[Hashable, tuple[Key, list[Recorded]]]
"""By handle: the key, and the events that touch its row."""


def by_handle(
    table: Table, handle_of: Callable[[Key], Hashable], events: Sequence[Recorded]
) -> Touched:
    """The rows that events touch, in the order in which they are touched first."""
    touched: Touched = {}
    touches = table.touches
    for event in events:
        for key in touches(event):
            handle = handle_of(key)
            own = touched.get(handle)
            if own is None:
                touched[handle] = (key, [event])
            else:
                own[1].append(event)
    return touched


def _folded(table: Table, touched: Touched, known: dict[Hashable, Any]) -> FoldedTable:
    folded = FoldedTable(Changes([], [], []), {}, [])
    changes, rows, gone = folded
    fold_row = table.fold
    for handle, (key, own) in touched.items():
        before = known.get(handle)
        row = fold_row(key, before, own)
        if row is None:
            if before is not None:
                changes.gone.append(key)
                gone.append(handle)
            continue
        rows[handle] = row
        if before is None:
            changes.born.append(row)
        elif row is not before and row != before:
            changes.changed.append(row)
    return folded
