"""One batch of events, folded in memory: which rows are read, and what is written afterwards."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ledger.store.reader import Recorded
from projections.contract import Key, Table
from projections.storage import Changes

Load = Callable[[Sequence[Key]], dict[Key, Any]]
"""Reads the rows that exist under the given keys."""

_ABSENT_FROM_CACHE = object()


class RowCache:
    """Rows this process wrote or read lately, and keys known to have none.

    Two halves instead of a list in order of use: when the young half is full it becomes the old
    one, and what was not asked for since is forgotten.
    """

    def __init__(self, half_max: int = 20_000) -> None:
        self._half_max = half_max
        self._young: dict[Key, Any] = {}
        self._old: dict[Key, Any] = {}

    def get(self, key: Key) -> Any:  # noqa: ANN401 - each table has its own row
        """The row, None where there is none, `_ABSENT_FROM_CACHE` where that is not known."""
        found = self._young.get(key, _ABSENT_FROM_CACHE)
        return self._old.get(key, _ABSENT_FROM_CACHE) if found is _ABSENT_FROM_CACHE else found

    def put(self, rows: dict[Key, Any]) -> None:
        """Remember what is now stored."""
        self._young.update(rows)
        if len(self._young) > self._half_max:
            self._old, self._young = self._young, {}

    def forget(self) -> None:
        """Know nothing any more."""
        self._young, self._old = {}, {}


class FoldedTable:
    """The outcome of a batch for one table: its changes, and the rows as they are then."""

    def __init__(self, changes: Changes, rows: dict[Key, Any]) -> None:
        self.changes = changes
        self.rows = rows


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

    `load` is called at most once, with the keys of rows that may exist and are not cached.
    """
    touches, apply, is_first = table.touches, table.apply, table.is_first
    before: dict[Key, Any] = {}
    unknown: list[Key] = []
    steps: list[tuple[Key, Recorded]] = []
    for event in events:
        for key in touches(event):
            steps.append((key, event))
            if key in before:
                continue
            row = cache.get(key)
            if row is _ABSENT_FROM_CACHE:
                row = None
                if not is_first(event):
                    unknown.append(key)
            before[key] = row
    if unknown:
        before.update(load(unknown))
    after = dict(before)
    for key, event in steps:
        after[key] = apply(key, after[key], event)
    return FoldedTable(_changes(before, after), after)


def _changes(before: dict[Key, Any], after: dict[Key, Any]) -> Changes:
    born, changed, gone = [], [], []
    for key, row in after.items():
        was = before[key]
        if row is was:
            continue
        if was is None:
            born.append(row)
        elif row is None:
            gone.append(key)
        elif row != was:
            changed.append(row)
    return Changes(born, changed, gone)
