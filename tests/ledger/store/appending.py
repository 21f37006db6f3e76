"""The append function called directly, with any batch, and the log read back as it stands."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from ledger.leaf import leaf
from ledger.store.append import (
    APPEND,
    BatchOutcome,
    Group,
    NewEvent,
    adapt,
    interpret,
    parameters,
    prepare,
)
from ledger.store.reader import RECORDED_COLUMNS, Balance, Recorded, recorded

Connection = psycopg.Connection[Any]


class Kept(NamedTuple):
    """A recorded event with the bytes it was read from."""

    recorded: Recorded
    state: bytes
    leaf: bytes

    def expected_leaf(self) -> bytes:
        one = self.recorded
        account = None
        if one.account_id is not None:
            assert one.account_seq is not None
            account = (one.account_id, one.account_seq)
        at_us = round(one.recorded_at.timestamp() * 1_000_000)
        return leaf(
            one.position, one.stream_id, one.version, at_us, account, (one.topic, self.state)
        )


def connect(dsn: str) -> Connection:
    return psycopg.connect(dsn, autocommit=True)


def append(connection: Connection, *batch: Sequence[NewEvent]) -> BatchOutcome:
    """Send the groups as one batch, in the order given."""
    return append_prepared(connection, *map(prepare, batch))


def append_prepared(connection: Connection, *groups: Group) -> BatchOutcome:
    """The same of groups that may have a guard."""
    with connection.cursor(binary=True) as cursor:
        adapt(cursor)
        row = cursor.execute(APPEND, parameters(groups), prepare=True).fetchone()
    assert row is not None
    return interpret(groups, row)


def stored(connection: Connection, group: Sequence[NewEvent]) -> tuple[int, ...]:
    """Append one group that must be stored."""
    (outcome,) = append(connection, group).outcomes
    assert outcome.refusal is None, outcome
    return outcome.positions


def refused(connection: Connection, group: Sequence[NewEvent]) -> Exception:
    """Append one group that must be refused."""
    (outcome,) = append(connection, group).outcomes
    assert outcome.refusal is not None, outcome
    return outcome.refusal


def kept(connection: Connection, after: int = 0) -> list[Kept]:
    """The log after a position, in its order."""
    with connection.cursor(binary=True) as cursor:
        cursor.execute(
            f"select {RECORDED_COLUMNS}, leaf from ledger.event where position > %s "
            "order by position",
            (after,),
        )
        return [Kept(recorded(row[:-1]), row[4], row[-1]) for row in cursor.fetchall()]


def log(connection: Connection, after: int = 0) -> list[Recorded]:
    return [one.recorded for one in kept(connection, after)]


def head(connection: Connection) -> int:
    row = connection.execute("select position from ledger.head").fetchone()
    assert row is not None
    position: int = row[0]
    return position


def balance(connection: Connection, scope: UUID) -> Balance | None:
    row = connection.execute(
        "select posted_nanos, held_nanos, seq, position from ledger.budget where scope = %s",
        (scope,),
    ).fetchone()
    return None if row is None else Balance(*row)


def budgets(connection: Connection) -> dict[UUID, tuple[int, int, int, int]]:
    """Every scope: held, posted, seq, position."""
    rows = connection.execute(
        "select scope, held_nanos, posted_nanos, seq, position from ledger.budget"
    )
    return {row[0]: tuple(row[1:]) for row in rows.fetchall()}
