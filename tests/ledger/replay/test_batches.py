"""Batches are the log, whole and in order; a read model takes each of them once."""

import threading
from collections.abc import Iterator

import pytest
from eventsourcing.persistence import IntegrityError, Tracking

from ledger.replay.batches import (
    BATCH_EVENTS_MAX,
    Batch,
    BatchRecorder,
    BatchSubscription,
    LedgerInBatches,
)
from ledger.replay.read_model import ReadModel
from ledger.store.reader import Recorded
from ledger.streams.account import AccountOpened
from ledger.streams.charge.events import UsageSettled
from tests.builders import LawfulLog
from tests.ledger.building import credit, payer
from tests.ledger.replay.opening import Amounts, opened_read_model, until, waits_for_a_lock
from tests.ledger.store.appending import Connection, connect, log, stored
from tests.servers import FreshDatabase


@pytest.fixture
def application(ledger_database: FreshDatabase) -> Iterator[LedgerInBatches]:
    with LedgerInBatches({"LEDGER_SQL_DSN": ledger_database.app_dsn}) as application:
        yield application


@pytest.fixture
def connection(ledger_database: FreshDatabase) -> Iterator[Connection]:
    with connect(ledger_database.app_dsn) as connection:
        yield connection


def subscribed(
    application: LedgerInBatches, after: int = 0, topics: tuple[str, ...] = ()
) -> BatchSubscription:
    assert isinstance(application.recorder, BatchRecorder)
    return application.recorder.subscribe(after, topics)


def read(
    application: LedgerInBatches, last: int, after: int = 0, topics: tuple[str, ...] = ()
) -> list[Batch]:
    """Batches until one ends at this position."""
    batches: list[Batch] = []
    with subscribed(application, after, topics) as subscription:
        for batch in subscription:
            batches.append(batch)
            if batch.id == last:
                break
    return batches


def events(batches: list[Batch]) -> list[Recorded]:
    return [one for batch in batches for one in batch.events]


@pytest.mark.parametrize("topics", [(), (UsageSettled.TOPIC,), (AccountOpened.TOPIC,)])
def test_batches_are_the_log_after_a_position(
    application: LedgerInBatches, connection: Connection, topics: tuple[str, ...]
) -> None:
    LawfulLog(connection, seed=4).grow(BATCH_EVENTS_MAX + 500)
    whole = [one for one in log(connection) if not topics or one.topic in topics]
    for after in (0, whole[2].position):
        expected = [one for one in whole if one.position > after]
        batches = read(application, whole[-1].position, after, topics)
        assert events(batches) == expected
        assert [batch.after for batch in batches] == [after, *(one.id for one in batches[:-1])]
        assert all(len(batch.events) == BATCH_EVENTS_MAX for batch in batches[:-1])


def test_what_comes_later_is_seen_when_it_comes_and_stopping_ends_it(
    application: LedgerInBatches, connection: Connection
) -> None:
    arrived: list[Batch] = []

    def follow() -> None:
        for batch in subscription:
            arrived.append(batch)  # noqa: PERF402 - what arrives is looked at meanwhile

    paying = payer()
    with subscribed(application) as subscription:
        thread = threading.Thread(target=follow)
        thread.start()
        for number in range(1, 4):
            stored(connection, [credit(paying.account_id, number)])
            until(lambda number=number: len(events(arrived)) == number)  # type: ignore[misc]
        subscription.stop()
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert events(arrived) == log(connection)


def batch_of(connection: Connection, after: int, last: int) -> Batch:
    return Batch(after, log(connection, after)[: last - after])


def write(view: ReadModel, batch: Batch) -> None:
    with view.advance(batch, Tracking("ledger", batch.id)) as cursor:
        cursor.executemany(
            "insert into amounts values (%s)", [(one.position,) for one in batch.events]
        )


def amounts(view: Amounts) -> list[int]:
    with view.datastore.cursor() as cursor:
        cursor.execute("select position from amounts order by at")
        return [row["position"] for row in cursor.fetchall()]


def test_a_batch_that_does_not_follow_the_position_is_refused_whole(
    database: FreshDatabase, connection: Connection
) -> None:
    stored(connection, [credit(payer().account_id, number) for number in range(1, 9)])
    with opened_read_model(database.owner_dsn) as view:
        with pytest.raises(IntegrityError):
            write(view, batch_of(connection, 3, 5))
        write(view, batch_of(connection, 0, 3))
        for after, last in [(0, 3), (0, 8), (2, 8), (4, 8)]:
            with pytest.raises(IntegrityError):
                write(view, batch_of(connection, after, last))
        write(view, batch_of(connection, 3, 8))
        assert amounts(view) == list(range(1, 9))
        assert view.max_tracking_id("ledger") == 8


def test_what_fails_in_a_batch_takes_the_position_with_it(
    database: FreshDatabase, connection: Connection
) -> None:
    stored(connection, [credit(payer().account_id, number) for number in range(1, 4)])
    batch = batch_of(connection, 0, 3)

    def fail(view: ReadModel) -> None:
        with view.advance(batch, Tracking("ledger", batch.id)) as cursor:
            cursor.execute("insert into amounts values (1)")
            raise ZeroDivisionError

    with opened_read_model(database.owner_dsn) as view:
        with pytest.raises(ZeroDivisionError):
            fail(view)
        assert (amounts(view), view.max_tracking_id("ledger")) == ([], None)
        write(view, batch)
        assert amounts(view) == [1, 2, 3]


@pytest.mark.parametrize("after", [0, 2])
def test_a_commit_that_comes_late_is_not_written_over(
    database: FreshDatabase, connection: Connection, after: int
) -> None:
    """A killed copy's transaction is still open when its successor asks for the position."""
    stored(connection, [credit(payer().account_id, number) for number in range(1, 9)])
    refused: list[IntegrityError] = []

    with (
        opened_read_model(database.owner_dsn) as killed,
        opened_read_model(database.owner_dsn) as successor,
        connect(database.owner_dsn) as watching,
    ):
        if after:
            write(killed, batch_of(connection, 0, after))

        def go_on() -> None:
            try:
                write(successor, batch_of(connection, after, 8))
            except IntegrityError as error:
                refused.append(error)

        thread = threading.Thread(target=go_on)
        late = batch_of(connection, after, 5)
        with killed.advance(late, Tracking("ledger", late.id)) as cursor:
            thread.start()
            until(lambda: waits_for_a_lock(watching))
            cursor.executemany(
                "insert into amounts values (%s)", [(one.position,) for one in late.events]
            )
        thread.join(timeout=10)
        assert len(refused) == 1
        assert amounts(killed) == list(range(1, 6))
        write(successor, batch_of(connection, 5, 8))
        assert amounts(killed) == list(range(1, 9))
