"""The golden log: every type of event once and more, and the hashes of what it folds to.

What is committed must fold to its hashes on any machine, with this release and with all later
ones; `golden_making.py` made it.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from ledger.budget import BudgetFold
from ledger.codec import decode
from ledger.store.reader import Recorded
from ledger.streams.contract import Event
from projections.contract import Projection, Table
from projections.folding import RowCache, fold
from projections.registry import PROJECTIONS

FIXTURES = Path(__file__).parents[1] / "ledger/fixtures"
LOG = FIXTURES / "golden_log.jsonl"
HASHES = FIXTURES / "golden_hashes.json"
EVENTS = 300
POSITIONS = (50, 100, 150, 200, 250, 300)
FOLDED = ("accounts", "balance_blocks", "journal_blocks", "open_charges", "profit_quarter_hours")

Decoders = Mapping[str, Callable[[bytes], Event]]

Hashes = dict[str, dict[str, str]]
"""By position and read model: the SHA-256 of its rows, or of all budgets."""


class GoldenEvent(msgspec.Struct, frozen=True):
    """A stored event; `state` is its JSON as it lies there, character by character."""

    position: int
    stream_id: UUID
    version: int
    topic: str
    recorded_at: datetime
    account_id: UUID | None
    account_seq: int | None
    state: str
    leaf: str

    def recorded(self, decoders: Decoders = MappingProxyType({})) -> Recorded:
        """As the reader gives it; by one of `decoders` where they have one for its topic."""
        state = self.state.encode()
        decoder = decoders.get(self.topic)
        return Recorded(
            self.position,
            self.stream_id,
            self.version,
            self.topic,
            self.recorded_at,
            self.account_id,
            self.account_seq,
            decode(self.topic, state) if decoder is None else decoder(state),
        )


def read_log() -> list[GoldenEvent]:
    """The committed log."""
    lines = LOG.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=GoldenEvent) for line in lines]


def read_hashes() -> Hashes:
    """What is committed beside it."""
    return msgspec.json.decode(HASHES.read_bytes(), type=Hashes)


def hashes(events: Sequence[Recorded], names: Iterable[str], batch: int) -> Hashes:
    """The hashes at POSITIONS, folded so many events at a time by the folds themselves."""
    tables = {
        f"{projection.name}.{table.name}": _Folded(table)
        for projection in PROJECTIONS
        if projection.name in names
        for table in projection.tables
    }
    budget, found = BudgetFold(), Hashes()
    for position in POSITIONS:
        after = max((each for each in POSITIONS if each < position), default=0)
        stretch = [one for one in events if after < one.position <= position]
        for start in range(0, len(stretch), batch):
            for table in tables.values():
                table.add(stretch[start : start + batch])
        for one in stretch:
            budget.add(one)
        found[str(position)] = {
            "budgets": _hash(sorted((s, *t.balance()) for s, t in budget.totals.items())),
            **{name: _hash(table.in_order()) for name, table in tables.items()},
        }
    return found


def rows(projection: Projection, events: Sequence[Recorded], batch: int) -> list[list[Any]]:
    """The rows of every table of a projection, folded so many events at a time."""
    found = []
    for table in projection.tables:
        folded = _Folded(table)
        for start in range(0, len(events), batch):
            folded.add(events[start : start + batch])
        found.append(folded.in_order())
    return found


class _Folded:
    """The rows of one table, kept in a dictionary where the runner keeps them in Postgres."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rows: dict[Any, Any] = {}

    def add(self, events: Sequence[Recorded]) -> None:
        topics = self._table.topics()
        own = [one for one in events if one.event.TOPIC in topics]
        changes = fold(self._table, own, RowCache(), self._load).changes
        for row in [*changes.born, *changes.changed]:
            self._rows[self._table.key_of(row)] = row
        for key in changes.gone:
            del self._rows[key]

    def in_order(self) -> list[Any]:
        return [row for _, row in sorted(self._rows.items(), key=lambda item: str(item[0]))]

    def _load(self, keys: Sequence[Any]) -> dict[Any, Any]:
        return {key: self._rows[key] for key in keys if key in self._rows}


def _hash(rows: Iterable[Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(list(rows), order="deterministic")).hexdigest()
