"""Budgets as a fold of the log: proving the stored ones right, and making them anew.

`ledger.budget` is kept by the append function, in the transaction of every event. This is the same
fold in Python, from the log alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from ledger.store.append import adapt
from ledger.store.reader import RECORDED_COLUMNS, Balance, Recorded, recorded
from ledger.streams.contract import Effect
from ledger.streams.registry import STREAM_OF

_ROWS_PER_FETCH = 5_000
_NEAR_EVENTS = 2_000

_READ = (
    f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608 - a constant
    "where position > %b and position <= %b order by position"
)


@dataclass(slots=True)
class Total:
    """What the log says of one scope so far; `account_id` is the account of its last event."""

    account_id: UUID
    held_nanos: int = 0
    posted_nanos: int = 0
    seq: int = 0
    position: int = 0

    def balance(self) -> Balance:
        """As the reader gives it."""
        return Balance(self.posted_nanos, self.held_nanos, self.seq, self.position)


class BudgetDifference(NamedTuple):
    """A scope whose stored budget is not the fold; None where one side has no such scope."""

    scope: UUID
    stored: Balance | None
    folded: Balance | None


class BudgetFold:
    """The totals of all scopes, event by event."""

    def __init__(self) -> None:
        self.totals: dict[UUID, Total] = {}

    def add(self, event: Recorded) -> list[tuple[Effect, Total]]:
        """Apply an event; gives what it touched, with the totals after it."""
        touched = []
        for effect in effects(event):
            total = self.totals.get(effect.scope)
            if total is None:
                assert event.account_id is not None
                total = self.totals[effect.scope] = Total(event.account_id)
            total.held_nanos += effect.held_nanos
            total.posted_nanos += effect.posted_nanos
            total.seq += 1
            total.position = event.position
            touched.append((effect, total))
        return touched

    def differences(self, connection: psycopg.Connection[Any]) -> Iterator[BudgetDifference]:
        """Scopes stored otherwise; the connection must see the log as far as it was folded."""
        seen: set[UUID] = set()
        with connection.cursor("budgets", binary=True) as cursor:
            cursor.itersize = _ROWS_PER_FETCH
            cursor.execute(
                "select scope, posted_nanos, held_nanos, seq, position from ledger.budget "
                "order by scope"
            )
            for scope, *values in cursor:
                seen.add(scope)
                stored, total = Balance(*values), self.totals.get(scope)
                folded = None if total is None else total.balance()
                if stored != folded:
                    yield BudgetDifference(scope, stored, folded)
        for scope in sorted(self.totals.keys() - seen):
            yield BudgetDifference(scope, None, self.totals[scope].balance())


def effects(event: Recorded) -> Sequence[Effect]:
    """All scopes an event touches: its effects, and its account's scope in any case."""
    own = STREAM_OF[type(event.event)].effects(event.event)
    account_id = event.account_id
    if account_id is None or any(effect.scope == account_id for effect in own):
        return own
    return (Effect(account_id, 0, 0), *own)


def rebuild_budget(owner_dsn: str) -> list[BudgetDifference]:
    """Make every budget what the log says; returns what was wrong. Needs the owner's role.

    Appends wait while the last stretch is folded and the differences are written.
    Raises UnknownTopic.
    """
    fold, position = BudgetFold(), 0
    with _connection(owner_dsn) as connection:
        while _head(connection) - position > _NEAR_EVENTS:
            head = _head(connection)
            with connection.transaction():
                _fold_to(connection, fold, position, head)
            position = head
        with connection.transaction():
            head = _head(connection, "for update")
            _fold_to(connection, fold, position, head)
            wrong = list(fold.differences(connection))
            for difference in wrong:
                _write(connection, difference)
    return wrong


def _connection(dsn: str) -> psycopg.Connection[Any]:
    connection: psycopg.Connection[Any] = psycopg.connect(dsn, autocommit=True)
    adapt(connection)
    return connection


def _head(connection: psycopg.Connection[Any], lock: str = "") -> int:
    query = f"select position from ledger.head {lock}"  # noqa: S608 - "" or "for update"
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def _fold_to(connection: psycopg.Connection[Any], fold: BudgetFold, after: int, up_to: int) -> None:
    with connection.cursor("log", binary=True) as cursor:
        cursor.itersize = _ROWS_PER_FETCH
        cursor.execute(_READ, (after, up_to))
        for row in cursor:
            fold.add(recorded(row))


def _write(connection: psycopg.Connection[Any], difference: BudgetDifference) -> None:
    if difference.folded is None:
        connection.execute("delete from ledger.budget where scope = %s", (difference.scope,))
        return
    connection.execute(
        "insert into ledger.budget (scope, posted_nanos, held_nanos, seq, position) "
        "values (%s, %s, %s, %s, %s) on conflict (scope) do update set "
        "posted_nanos = excluded.posted_nanos, held_nanos = excluded.held_nanos, "
        "seq = excluded.seq, position = excluded.position",
        (difference.scope, *difference.folded),
    )
