"""The writer of the command line: one group at a time, and the same answers as the serving one."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import psycopg

from ledger import clock
from ledger.errors import OutcomeUnknown, StoreUnavailable
from ledger.store.append import (
    APPEND,
    CONNECTION_LOST,
    END_BACKEND,
    Group,
    NewEvent,
    Outcome,
    adapt,
    connection_name,
    interpret,
    parameters,
    prepare,
)

_RETRY_PAUSE_S = 0.05
_ORPHAN_CHECK_S = 0.005
_ORPHAN_CHECKS_MAX = 1_000


class SynchronousWriter:
    """Appends groups of events without an event loop; not to be shared between threads.

    `patience_s`: how long it tries to learn the fate of a group whose connection was lost.
    """

    def __init__(self, dsn: str, patience_s: float = 30.0) -> None:
        self._dsn = dsn
        self._patience_s = patience_s
        self._connection: psycopg.Connection[Any] | None = None
        self._name = connection_name()
        self._orphan: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, events: Sequence[NewEvent]) -> tuple[int, ...]:
        """Store a group whole or not at all; returns the positions.

        The very same events stored before are a success, with the positions they have.
        Raises OverBudget, VersionConflict, OutOfRange, StoreUnavailable when nothing was sent, and
        OutcomeUnknown when the database did not come back within the patience.
        """
        outcome = self._store(prepare(events))
        if outcome.refusal is not None:
            raise outcome.refusal
        return outcome.positions

    def close(self) -> None:
        """Disconnect; the next append connects again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _store(self, group: Group) -> Outcome:
        deadline_s = clock.monotonic_s() + self._patience_s
        is_fate_unknown = False
        while True:
            try:
                connection = self._connected()
                is_fate_unknown, self._orphan = True, self._name
                outcome = append_once(connection, group)
            except CONNECTION_LOST as error:
                self.close()
                if not is_fate_unknown:
                    raise StoreUnavailable(f"the database cannot be reached: {error}") from error
                if clock.monotonic_s() > deadline_s:
                    raise OutcomeUnknown(f"the database did not come back: {error}") from error
                time.sleep(_RETRY_PAUSE_S)
            else:
                self._orphan = None
                return outcome

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._name = connection_name()
            self._connection = psycopg.connect(
                self._dsn, autocommit=True, connect_timeout=3, application_name=self._name
            )
        if self._orphan is not None:
            end_backend(self._connection, self._orphan)
            self._orphan = None
        return self._connection


def append_once(connection: psycopg.Connection[Any], group: Group) -> Outcome:
    """Send one group over an autocommit connection, once; raises what psycopg raises."""
    with connection.cursor(binary=True, row_factory=psycopg.rows.tuple_row) as cursor:
        adapt(cursor)
        row = cursor.execute(APPEND, parameters([group]), prepare=True).fetchone()
    assert row is not None
    return interpret([group], row).outcomes[0]


def end_backend(connection: psycopg.Connection[Any], name: str) -> None:
    """End what the connection of this application_name left running, and wait until it is gone.

    Raises psycopg.OperationalError if it does not end.
    """
    for _ in range(_ORPHAN_CHECKS_MAX):
        if not connection.execute(END_BACKEND, (name,)).fetchall():
            return
        time.sleep(_ORPHAN_CHECK_S)
    raise psycopg.OperationalError("the lost connection's backend does not end")
