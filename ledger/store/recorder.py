"""The log as the eventsourcing library sees it: its recorder, on our append function.

Written without table lock, composites or tables of its own, and read with all that a row says; its
notification ids are the dense positions.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    InterfaceError,
    Notification,
    OperationalError,
    ProgrammingError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.utils import retry
from psycopg.rows import tuple_row

from ledger.errors import NotStored
from ledger.store.append import (
    APPEND,
    END_BACKEND,
    Group,
    Outcome,
    StoredRow,
    adapt,
    connection_name,
    interpret,
    parameters,
    prepare_stored,
)
from ledger.store.reader import RECORDED_COLUMNS

SCHEMA = "ledger"
"""The `schema` of the datastore that a LedgerRecorder is given."""

CHANNEL = "ledger_event"
"""Notified by every append."""

_ATTEMPTS_MAX = 10
_RETRY_PAUSE_S = 0.2
_ORPHAN_CHECK_S = 0.005
_ORPHAN_CHECKS_MAX = 1_000
_INT8_MAX = 2**63 - 1
_RETRIED = retry((InterfaceError, OperationalError), _ATTEMPTS_MAX, _RETRY_PAUSE_S)


@dataclass(frozen=True)
class RecordedNotification(Notification):
    """The library's notification with what else the log says: when it was, and whose it is."""

    recorded_at: datetime
    account_id: UUID | None
    account_seq: int | None


class LedgerRecorder(PostgresApplicationRecorder):
    """Stores and reads events by the library's contract; the datastore's schema is `ledger`.

    An event of a known topic has the effects on budgets that it has everywhere; others have none.
    Reading takes no more than the right to select.
    """

    def __init__(self, datastore: PostgresDatastore) -> None:
        if datastore.schema != SCHEMA:
            raise ProgrammingError(f"the log is in the schema {SCHEMA}, not {datastore.schema}")
        super().__init__(datastore, events_table_name="stored_events")
        self.channel_name = CHANNEL

    def create_table(self) -> None:
        """Nothing: the schema is made by `ledger.store.migrate`, by another role."""

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        **kwargs: Any,  # noqa: ANN401, ARG002 - the library's signature
    ) -> Sequence[int] | None:
        """Store the events as one group, all or none; returns their notification ids.

        Raises IntegrityError for whatever the database decides against: a version that exists
        (the very same bytes included), one without its predecessor, a second closing, a hold that
        does not fit. Raises DataError, OperationalError, InterfaceError.
        """
        if not stored_events:
            return []
        try:
            group = prepare_stored([_row(event) for event in stored_events])
        except msgspec.ValidationError as error:
            raise DataError(f"the state is not the event its topic names: {error}") from error
        except NotStored as refusal:
            raise IntegrityError(str(refusal)) from refusal
        return self._insert(group)

    @_RETRIED
    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[RecordedNotification]:
        """A stream's events with versions above `gt` and up to `lte`, in their order."""
        return self._select(
            "originator_id = %s and originator_version > %s and originator_version <= %s "
            f"order by originator_version {'desc' if desc else 'asc'} limit %s",
            (originator_id, -1 if gt is None else gt, _INT8_MAX if lte is None else lte, limit),
        )

    @_RETRIED
    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[RecordedNotification]:
        """At most `limit` events from position `start` (or after it) up to `stop`; in order."""
        first = (start or 0) + (0 if inclusive_of_start else 1)
        return self._select(
            "position >= %s and position <= %s and (%s or topic = any(%s)) "
            "order by position limit %s",
            (first, _INT8_MAX if stop is None else stop, not topics, list(topics), limit),
        )

    def _select(self, condition: str, values: Sequence[object]) -> list[RecordedNotification]:
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(binary=True, row_factory=tuple_row) as cursor,
        ):
            cursor.execute(
                f"select {RECORDED_COLUMNS} from ledger.event where {condition}",  # noqa: S608
                values,
                prepare=True,
            )
            return [_notification(*row) for row in cursor.fetchall()]

    def _insert(self, group: Group) -> Sequence[int]:
        """Append, and after a lost connection again: then what is there already is ours."""
        orphan: str | None = None
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            name = connection_name()
            try:
                with self.datastore.get_connection() as connection:
                    _rename(connection, name)
                    if orphan is not None:
                        _end_backend(connection, orphan)
                    is_retry, orphan = orphan is not None, name
                    return _positions(_append_once(connection, group), is_retry)
            except (InterfaceError, OperationalError):
                if attempt == _ATTEMPTS_MAX:
                    raise
            time.sleep(_RETRY_PAUSE_S)
        raise AssertionError("unreachable")


def _row(event: StoredEvent) -> StoredRow:
    if not isinstance(event.originator_id, UUID):
        raise DataError("originator ids are UUIDs here")
    return event.originator_id, event.originator_version, event.topic, event.state


def _notification(  # noqa: PLR0913 - RECORDED_COLUMNS in their order
    position: int,
    stream_id: UUID,
    version: int,
    topic: str,
    state: bytes,
    recorded_at: datetime,
    account_id: UUID | None,
    account_seq: int | None,
) -> RecordedNotification:
    return RecordedNotification(
        stream_id, version, topic, state, position, recorded_at, account_id, account_seq
    )


def _rename(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute("select set_config('application_name', %s, false)", (name,))


def _append_once(connection: psycopg.Connection[Any], group: Group) -> Outcome:
    """Send one group over an autocommit connection, once; raises what psycopg raises."""
    with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        adapt(cursor)
        row = cursor.execute(APPEND, parameters([group]), prepare=True).fetchone()
    assert row is not None
    return interpret([group], row).outcomes[0]


def _end_backend(connection: psycopg.Connection[Any], name: str) -> None:
    """End what the connection of this application_name left running, and wait until it is gone.

    Raises psycopg.OperationalError if it does not end.
    """
    for _ in range(_ORPHAN_CHECKS_MAX):
        if not connection.execute(END_BACKEND, (name,)).fetchall():
            return
        time.sleep(_ORPHAN_CHECK_S)
    raise psycopg.OperationalError("the lost connection's backend does not end")


def _positions(outcome: Outcome, is_retry: bool) -> Sequence[int]:
    if outcome.refusal is not None:
        raise IntegrityError(str(outcome.refusal)) from outcome.refusal
    if outcome.was_stored_before and not is_retry:
        raise IntegrityError("these very events were stored before")
    return list(outcome.positions)
