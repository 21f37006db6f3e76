"""The log as the eventsourcing library sees it: its recorder, on our append function.

Only the write path differs from the library's: no table lock, no composites, no tables of its own.
It reads through the view `ledger.stored_events`, whose notification ids are the dense positions.
"""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from ledger.errors import NotStored
from ledger.store.append import (
    Group,
    Outcome,
    StoredRow,
    connection_name,
    prepare_stored,
)
from ledger.store.synchronous import append_once, end_backend

SCHEMA = "ledger"
"""The `schema` of the datastore that a LedgerRecorder is given."""

_ATTEMPTS_MAX = 10
_RETRY_PAUSE_S = 0.2


class LedgerRecorder(PostgresApplicationRecorder):
    """Stores and reads events by the library's contract; the datastore's schema is `ledger`.

    An event of a known topic has the effects on budgets that it has everywhere; others have none.
    """

    def __init__(self, datastore: PostgresDatastore) -> None:
        if datastore.schema != SCHEMA:
            raise ProgrammingError(f"the log is in the schema {SCHEMA}, not {datastore.schema}")
        super().__init__(datastore, events_table_name="stored_events")
        self.channel_name = "ledger_event"

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

    def _insert(self, group: Group) -> Sequence[int]:
        """Append, and after a lost connection again: then what is there already is ours."""
        orphan: str | None = None
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            name = connection_name()
            try:
                with self.datastore.get_connection() as connection:
                    _rename(connection, name)
                    if orphan is not None:
                        end_backend(connection, orphan)
                    is_retry, orphan = orphan is not None, name
                    return _positions(append_once(connection, group), is_retry)
            except (InterfaceError, OperationalError):
                if attempt == _ATTEMPTS_MAX:
                    raise
            time.sleep(_RETRY_PAUSE_S)
        raise AssertionError("unreachable")


def _row(event: StoredEvent) -> StoredRow:
    if not isinstance(event.originator_id, UUID):
        raise DataError("originator ids are UUIDs here")
    return event.originator_id, event.originator_version, event.topic, event.state


def _rename(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute("select set_config('application_name', %s, false)", (name,))


def _positions(outcome: Outcome, is_retry: bool) -> Sequence[int]:
    if outcome.refusal is not None:
        raise IntegrityError(str(outcome.refusal)) from outcome.refusal
    if outcome.was_stored_before and not is_retry:
        raise IntegrityError("these very events were stored before")
    return list(outcome.positions)
