"""Versions 1, 2, 3, ... of every stream, in the order of positions, in bounded memory.

By induction it is enough that every event but a stream's first has its predecessor before it.
Most predecessors came by a moment ago and are remembered; the others are looked for in the table,
a batch of them at a time.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

_REMEMBERED_MAX = 200_000

_ABSENT = (
    "select k.position, k.stream, k.version "
    "from unnest(%b::int8[], %b::uuid[], %b::int8[]) k (position, stream, version) "
    "left join ledger.event e "
    "  on e.originator_id = k.stream and e.originator_version = k.version - 1 "
    "where e.position is null or e.position >= k.position order by k.position"
)


class Misplaced(NamedTuple):
    """An event whose predecessor is not before it."""

    position: int
    stream_id: UUID
    version: int


class VersionChecks:
    """Takes the whole log in order, then tells batch by batch what does not follow."""

    def __init__(self) -> None:
        self._young: dict[UUID, int] = {}
        self._old: dict[UUID, int] = {}
        self._unsure: list[Misplaced] = []
        self._wrong: list[Misplaced] = []

    def add(self, position: int, stream_id: UUID, version: int) -> None:
        """The next event of the log."""
        known = self._young.get(stream_id) or self._old.get(stream_id)
        if version < 1:
            self._wrong.append(Misplaced(position, stream_id, version))
        elif version > 1 and known != version - 1:
            self._unsure.append(Misplaced(position, stream_id, version))
        self._young[stream_id] = version
        if len(self._young) > _REMEMBERED_MAX // 2:
            self._old, self._young = self._young, {}

    def settle(self, connection: psycopg.Connection[Any]) -> Iterator[Misplaced]:
        """Which of the events added since the last time do not follow their predecessors.

        The connection must be one of `ledger.store.append.adapt`.
        """
        wrong, unsure = self._wrong, self._unsure
        self._wrong, self._unsure = [], []
        yield from wrong
        if unsure:
            columns = [list(column) for column in zip(*unsure, strict=True)]
            for row in connection.execute(_ABSENT, columns, binary=True).fetchall():
                yield Misplaced(*row)
