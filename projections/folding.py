"""One batch of events, folded in memory: which rows are read, and what is written afterwards."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ledger.store.reader import Recorded
from projections.contract import Key, Table
from projections.storage import Changes

Load = Callable[[Sequence[Key]], dict[Key, Any]]
"""Reads the rows that exist under the given keys."""


class RowCache:
    """Rows this process wrote or read lately.

    Two halves instead of a list in order of use: when the young half is full it becomes the old
    one, and what was not asked for since is forgotten.
    """

    def __init__(self, half_max: int = 20_000) -> None:
        self._half_max = half_max
        self._young: dict[Key, Any] = {}
        self._old: dict[Key, Any] = {}

    def get(self, key: Key) -> Any | None:  # noqa: ANN401 - each table has its own row
        """The row; None where it is not known."""
        return self._young.get(key) or self._old.get(key)

    def put(self, folded: "FoldedTable") -> None:
        """Remember what is now stored."""
        for key in folded.changes.gone:
            self._young.pop(key, None)
            self._old.pop(key, None)
        self._young.update(folded.rows)
        if len(self._young) > self._half_max:
            self._old, self._young = self._young, {}


class FoldedTable(NamedTuple):
    """The outcome of a batch for one table: its changes, and the rows that exist then."""

    changes: Changes
    rows: dict[Key, Any]


@contextmanager
def without_collection() -> Iterator[None]:
    """Hold the cycle collector back: a batch makes many objects and no cycle, and to look through
    them again and again takes longer than folding them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def fold(table: Table, events: Sequence[Recorded], cache: RowCache, load: Load) -> FoldedTable:
    """Fold events, all of types in `table.events`, into the rows they touch.

    `load` is called at most once, with the keys of rows that may exist and are not cached. Keys
    are looked up as rarely as possible: hashing them is what a fold spends most of its time on.
    """
    known: dict[Key, Any] = {}
    unknown: list[Key] = []
    touched = _by_key(table, events)
    for key, own in touched.items():
        if table.is_first(own[0]):
            continue
        row = cache.get(key)
        if row is None:
            unknown.append(key)
        else:
            known[key] = row
    if unknown:
        known.update(load(unknown))
    return _folded(table, touched, known)


def _by_key(table: Table, events: Sequence[Recorded]) -> dict[Key, list[Recorded]]:
    touched: dict[Key, list[Recorded]] = {}
    touches = table.touches
    for event in events:
        for key in touches(event):
            own = touched.get(key)
            if own is None:
                touched[key] = [event]
            else:
                own.append(event)
    return touched


def _folded(table: Table, touched: dict[Key, list[Recorded]], known: dict[Key, Any]) -> FoldedTable:
    changes, rows = Changes([], [], []), {}
    apply = table.apply
    for key, own in touched.items():
        before = row = known.get(key) if known else None
        for event in own:
            row = apply(key, row, event)
        if row is None:
            if before is not None:
                changes.gone.append(key)
            continue
        rows[key] = row
        if before is None:
            changes.born.append(row)
        elif row is not before and row != before:
            changes.changed.append(row)
    return FoldedTable(changes, rows)
