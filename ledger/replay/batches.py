"""The log a batch at a time: one transaction for hundreds of events instead of one for each."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from eventsourcing.persistence import StoredEvent, Subscription
from psycopg import Connection
from psycopg.rows import tuple_row

from ledger.replay.application import EventMapper, LedgerApplication
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.store.recorder import CHANNEL, LedgerRecorder

BATCH_EVENTS_MAX = 2_000
_POLL_S = 0.25
"""A notification wakes sooner; this is for one that got lost, and for whoever stops us."""


class Batch(NamedTuple):
    """Successive events of the topics asked for, never none; `after`: the position they follow."""

    after: int
    events: Sequence[Recorded]

    @property
    def id(self) -> int:
        """The last position, by the name that the library has for it."""
        return self.events[-1].position


class BatchSubscription(Subscription["BatchRecorder"]):
    """Batches of what is there, then of what comes, until it is stopped.

    It holds one connection. Raises the library's OperationalError when that is lost, and
    UnknownTopic at an event of a newer release.
    """

    def __init__(
        self, recorder: "BatchRecorder", gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder, gt, topics)
        self._batches = self._read(gt or 0)

    def __next__(self) -> Batch:  # type: ignore[override]
        return next(self._batches)

    def _read(self, after: int) -> Iterator[Batch]:
        seen = after
        with self._recorder.datastore.get_connection() as connection:
            connection.execute(f"listen {CHANNEL}")
            while not self._has_been_stopped:
                events, seen = _read_after(connection, seen, list(self._topics))
                if events:
                    yield Batch(after, events)
                    after = events[-1].position
                else:
                    for _ in connection.notifies(timeout=_POLL_S, stop_after=1):
                        pass


class BatchRecorder(LedgerRecorder):
    """A recorder whose subscriptions give batches."""

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> BatchSubscription:
        """From the first event after position `gt`; of these topics, or of all."""
        return BatchSubscription(self, gt, topics)


class BatchMapper(EventMapper):
    """Batches are decoded as they are read."""

    def to_domain_event(self, stored_event: StoredEvent | Batch) -> Recorded | Batch:  # type: ignore[override]
        if isinstance(stored_event, Batch):
            return stored_event
        return super().to_domain_event(stored_event)


class LedgerInBatches(LedgerApplication):
    """The ledger's application, whose projections are given a `Batch` instead of single events.

    The name, and with it what positions are tracked under, is the same.
    """

    name = LedgerApplication.name
    recorder_class = BatchRecorder
    mapper_class = BatchMapper


def _read_after(
    connection: Connection[Any], seen: int, topics: list[str]
) -> tuple[list[Recorded], int]:
    """The next events, and the position up to which there are no others of these topics."""
    with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        cursor.execute("select position from ledger.head")
        ((head,),) = cursor.fetchall()
        cursor.execute(
            f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608
            "where position > %s and (%s or topic = any(%s)) order by position limit %s",
            (seen, not topics, topics, BATCH_EVENTS_MAX),
            prepare=True,
        )
        events = [recorded(row) for row in cursor.fetchall()]
    if len(events) == BATCH_EVENTS_MAX:
        return events, events[-1].position
    return events, max([head, *(one.position for one in events[-1:])])
