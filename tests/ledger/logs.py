"""Two logs under one contract: rules folded in Python, and the append function itself."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from ledger.codec import decode, encode
from ledger.errors import NotStored, OutOfRange, OverBudget, VersionConflict
from ledger.store.append import NewEvent, Outcome, prepare
from ledger.streams.contract import Event
from ledger.streams.registry import CLOSING_TOPICS
from tests.ledger.books import Budget, Entry
from tests.ledger.store.appending import Connection, append, budgets, head, kept

_BALANCE_NANOS_MAX = 4_000_000_000_000_000_000


class Log(Protocol):
    """What the state machine drives."""

    base: int

    def append(self, *batch: Sequence[NewEvent]) -> list[Outcome]:
        """Groups without a cap come first."""

    def entries(self, after: int) -> list[Entry]: ...

    def budgets(self) -> dict[UUID, Budget]: ...

    def state_of(self, stream_id: UUID) -> list[Event]: ...


class PureLog:
    """Conditional append emulated by the effects' caps alone; no database."""

    def __init__(self) -> None:
        self.base = 0
        self._rows: list[tuple[UUID, int, str, bytes, UUID | None, int | None]] = []
        self._places: dict[tuple[UUID, int], int] = {}
        self._budgets: dict[UUID, Budget] = {}
        self._closed: set[UUID] = set()

    def append(self, *batch: Sequence[NewEvent]) -> list[Outcome]:
        return [self._append(group) for group in batch]

    def entries(self, after: int) -> list[Entry]:
        at = datetime.fromtimestamp(0, UTC)
        return [
            Entry(position, row[0], row[1], row[4], row[5], at, decode(row[2], row[3]))
            for position, row in enumerate(self._rows[after:], after + 1)
        ]

    def budgets(self) -> dict[UUID, Budget]:
        return dict(self._budgets)

    def state_of(self, stream_id: UUID) -> list[Event]:
        return [decode(row[2], row[3]) for row in self._rows if row[0] == stream_id]

    def _append(self, group: Sequence[NewEvent]) -> Outcome:
        places = [self._places.get((new.stream_id, new.version)) for new in group]
        known = [place for place in places if place is not None]
        if len(known) == len(group) and all(
            self._rows[place - 1][2:4] == (new.event.TOPIC, encode(new.event))
            for place, new in zip(known, group, strict=True)
        ):
            return Outcome(tuple(known), None, was_stored_before=True)
        budget, refusal = self._judged(group, is_taken=bool(known))
        if refusal is not None:
            return Outcome((), refusal)
        self._budgets = budget
        return Outcome(self._stored(group), None)

    def _judged(
        self, group: Sequence[NewEvent], *, is_taken: bool
    ) -> tuple[dict[UUID, Budget], NotStored | None]:
        if is_taken or not self._follows(group):
            return {}, VersionConflict("taken, closed, or without its predecessor")
        moved, caps, needed = dict(self._budgets), dict[UUID, int](), dict[UUID, int]()
        for ordinal, scope, held, posted, cap in prepare(group).effects:
            old = moved.get(scope, (0, 0, 0, 0))
            position = len(self._rows) + 1 + ordinal
            moved[scope] = (old[0] + held, old[1] + posted, old[2] + 1, position)
            needed[scope] = needed.get(scope, 0) + held - posted
            if cap is not None:
                caps[scope] = min(cap, caps.get(scope, cap))
        for scope in needed:
            held, posted, *_ = moved[scope]
            if held < 0 or max(held, abs(posted)) > _BALANCE_NANOS_MAX:
                return {}, OutOfRange("a balance would leave its range")
        for scope, cap in sorted(caps.items()):
            held, posted, *_ = moved[scope]
            if held - posted > cap:
                used = held - posted - needed[scope]
                return {}, OverBudget(scope, cap - used, needed[scope])
        return moved, None

    def _follows(self, group: Sequence[NewEvent]) -> bool:
        places, closed = set(self._places), set(self._closed)
        for new in group:
            if new.version > 1 and (new.stream_id, new.version - 1) not in places:
                return False
            if new.event.TOPIC in CLOSING_TOPICS:
                if new.stream_id in closed:
                    return False
                closed.add(new.stream_id)
            places.add((new.stream_id, new.version))
        return True

    def _stored(self, group: Sequence[NewEvent]) -> tuple[int, ...]:
        positions = []
        for (stream_id, version, topic, state, account_id), new in zip(
            prepare(group).rows, group, strict=True
        ):
            seq = None
            if account_id is not None:
                seq = 1 + sum(row[4] == account_id for row in self._rows)
            self._rows.append((stream_id, version, topic, state, account_id, seq))
            self._places[stream_id, version] = len(self._rows)
            positions.append(len(self._rows))
            if new.event.TOPIC in CLOSING_TOPICS:
                self._closed.add(stream_id)
        return tuple(positions)


class DatabaseLog:
    """The append function, from the position the database has now."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.base = head(connection)
        self._before = set(budgets(connection))

    def append(self, *batch: Sequence[NewEvent]) -> list[Outcome]:
        return append(self._connection, *batch).outcomes

    def entries(self, after: int) -> list[Entry]:
        rows = kept(self._connection, after)
        assert all(row.leaf == row.expected_leaf() for row in rows)
        return [
            Entry(
                one.position,
                one.stream_id,
                one.version,
                one.account_id,
                one.account_seq,
                one.recorded_at,
                one.event,
            )
            for one, *_ in rows
        ]

    def budgets(self) -> dict[UUID, Budget]:
        now = budgets(self._connection)
        return {scope: now[scope] for scope in now.keys() - self._before}

    def state_of(self, stream_id: UUID) -> list[Event]:
        return [
            row.recorded.event
            for row in kept(self._connection, self.base)
            if row.recorded.stream_id == stream_id
        ]
