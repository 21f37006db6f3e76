"""The library's application on our log: what it reads, what it folds, and what it may append."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from eventsourcing.application import AggregateNotFoundError
from eventsourcing.persistence import IntegrityError, ProgrammingError, Tracking, TrackingRecorder
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import SQLiteTrackingRecorder
from psycopg.conninfo import make_conninfo

from ledger.codec import encode
from ledger.ids import entity_id
from ledger.replay.application import LedgerApplication
from ledger.replay.postgres import Factory
from ledger.store.reader import Balance, Recorded
from ledger.streams.charge.events import QuotaReserved, UsageSettled
from ledger.streams.registry import stream_of
from ledger.usage import Usage
from tests.builders import LawfulLog
from tests.ledger.building import Call, credit, payer, reserve, settle
from tests.ledger.store.appending import balance, connect, head, kept, log
from tests.servers import FreshDatabase


@pytest.fixture
def application(ledger_database: FreshDatabase) -> Iterator[LedgerApplication]:
    with LedgerApplication({"LEDGER_SQL_DSN": ledger_database.app_dsn}) as application:
        yield application


def test_what_is_saved_went_through_the_append_function(
    ledger_database: FreshDatabase, application: LedgerApplication
) -> None:
    paying, call = payer(), Call()
    granted = credit(paying.account_id, 10)
    (recording,) = application.save(granted)
    assert (recording.domain_event, recording.notification.id) == (granted, 1)
    application.save(*call.next(reserve(paying.cover(), 6)))
    with pytest.raises(IntegrityError):
        application.save(credit(paying.account_id, 1), *Call().next(reserve(paying.cover(), 6)))
    with connect(ledger_database.app_dsn) as connection:
        assert head(connection) == 2
        assert balance(connection, paying.account_id) == Balance(10, 6, 2, 2)
        assert all(row.leaf == row.expected_leaf() for row in kept(connection))


def test_the_repository_folds_a_stream_by_its_own_rules(application: LedgerApplication) -> None:
    paying, call = payer(), Call()
    application.save(credit(paying.account_id, 10), *call.next(reserve(paying.cover(), 6)))
    admitted = call.state
    application.save(*call.next(settle(Usage(input=4))))
    assert application.repository.get(call.stream_id) == call.state
    assert application.repository.get(call.stream_id, version=1) == admitted
    assert call.stream_id in application.repository
    assert entity_id() not in application.repository
    with pytest.raises(AggregateNotFoundError):
        application.repository.get(entity_id())


def test_every_stream_folds_and_every_event_reads_as_it_was_recorded(
    ledger_database: FreshDatabase, application: LedgerApplication
) -> None:
    with connect(ledger_database.app_dsn) as connection:
        LawfulLog(connection, seed=2).grow(400)
        rows = kept(connection)
    section = application.notification_log["1,1000"]
    assert [one.id for one in section.items] == list(range(1, len(rows) + 1))
    assert [one.state for one in section.items] == [row.state for row in rows]
    for stream_id in {row.recorded.stream_id for row in rows}:
        events = [row.recorded for row in rows if row.recorded.stream_id == stream_id]
        assert list(application.events.get(stream_id)) == events
        state = stream_of(events[0].event).initial()
        for one in events:
            state = stream_of(one.event).evolve(state, one.event)
        assert application.repository.get(stream_id) == state


class TopicsSeen(Projection[TrackingRecorder]):
    topics = (QuotaReserved.TOPIC, UsageSettled.TOPIC)

    def __init__(self, view: TrackingRecorder) -> None:
        super().__init__(view)
        self.seen: list[Recorded] = []

    def process_event(self, domain_event: Recorded, tracking: Tracking) -> None:
        assert tracking == Tracking("ledger", domain_event.position)
        self.seen.append(domain_event)
        self.view.insert_tracking(tracking)


@pytest.mark.parametrize("view", [PostgresTrackingRecorder, SQLiteTrackingRecorder])
def test_any_projection_of_the_library_follows_it(
    database: FreshDatabase,
    ledger_database: FreshDatabase,
    view: type[TrackingRecorder],
    tmp_path: Path,
) -> None:
    is_sqlite = view is SQLiteTrackingRecorder
    module = "eventsourcing.sqlite" if is_sqlite else "ledger.replay.postgres"
    with (
        connect(ledger_database.app_dsn) as connection,
        ProjectionRunner(
            application_class=LedgerApplication,
            projection_class=TopicsSeen,
            view_class=view,
            env={
                "PERSISTENCE_MODULE": module,
                "LEDGER_SQL_DSN": ledger_database.app_dsn,
                "SQL_DSN": database.owner_dsn,
                "SQLITE_DBNAME": str(tmp_path / "view.sqlite"),
            },
        ) as runner,
    ):
        LawfulLog(connection, seed=3).grow(300)
        expected = [one for one in log(connection) if one.topic in TopicsSeen.topics]
        runner.wait(expected[-1].position, timeout=30)
        assert isinstance(runner.projection, TopicsSeen)
        assert runner.projection.seen == expected


def test_a_role_that_may_select_appends_nothing(ledger_database: FreshDatabase) -> None:
    role = f"selects_{ledger_database.name}"
    with connect(ledger_database.owner_dsn) as owner:
        owner.execute(f"create role {role} login")
        owner.execute(f"grant usage on schema ledger to {role}")
        owner.execute(f"grant select on all tables in schema ledger to {role}")
        dsn = make_conninfo(ledger_database.app_dsn, user=role)
        with LedgerApplication({"LEDGER_SQL_DSN": dsn}) as application:
            assert application.recorder.max_notification_id() is None
            with pytest.raises(ProgrammingError):
                application.save(credit(entity_id(), 1))
        assert head(owner) == 0
        owner.execute(f"drop owned by {role}")
        owner.execute(f"drop role {role}")


def test_the_environment_of_others_makes_no_tables_in_ours(ledger_database: FreshDatabase) -> None:
    env = {
        "SQL_DSN": ledger_database.owner_dsn,
        "POSTGRES_SCHEMA": "theirs",
        "CREATE_TABLE": "yes",
        "IS_SNAPSHOTTING_ENABLED": "yes",
        "AGGREGATE_CACHE_MAXSIZE": "10",
        "COMPRESSOR_TOPIC": "zlib",
    }
    granted = credit(entity_id(), 1)
    with connect(ledger_database.owner_dsn) as owner:
        before = owner.execute("select oid from pg_class order by oid").fetchall()
        with LedgerApplication(env) as application:
            application.save(granted)
            assert application.snapshots is None
        assert owner.execute("select oid from pg_class order by oid").fetchall() == before
        assert kept(owner)[0].state == encode(granted.event)


def test_without_a_dsn_it_says_what_is_missing() -> None:
    with pytest.raises(OSError, match="LEDGER_SQL_DSN or SQL_DSN"):
        LedgerApplication()


def test_a_dsn_says_more_than_the_library_has_names_for(ledger_database: FreshDatabase) -> None:
    dsn = make_conninfo(ledger_database.app_dsn, options="-c work_mem=77kB")
    with LedgerApplication({"LEDGER_SQL_DSN": dsn}) as application:
        assert isinstance(application.factory, Factory)
        with application.factory.datastore.cursor() as cursor:
            assert cursor.execute("show work_mem").fetchall() == [{"work_mem": "77kB"}]
