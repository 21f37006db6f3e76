"""The library's own test case on our recorder, and what ours adds to the library's contract."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    ProgrammingError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.tests.persistence import ApplicationRecorderTestCase
from psycopg.conninfo import conninfo_to_dict

from ledger.codec import encode
from ledger.errors import OverBudget
from ledger.ids import charge_id, entity_id
from ledger.store.append import NewEvent
from ledger.store.reader import Balance
from ledger.store.recorder import LedgerRecorder, RecordedNotification
from tests.ledger.building import Call, credit, payer, reserve
from tests.ledger.store.appending import balance, connect, head, kept, stored
from tests.ledger.store.cutting_proxy import CuttingProxy, Fate, cutting
from tests.servers import FreshDatabase


def open_datastore(dsn: str, schema: str = "ledger") -> PostgresDatastore:
    parameters = conninfo_to_dict(dsn)
    return PostgresDatastore(
        dbname=str(parameters["dbname"]),
        host=str(parameters["host"]),
        port=str(parameters["port"]),
        user=str(parameters["user"]),
        password="",
        pool_size=5,
        max_overflow=15,
        schema=schema,
    )


class TestLibraryContract(ApplicationRecorderTestCase[LedgerRecorder]):
    """Ids are dense, so the library may expect contiguous ones."""

    EXPECT_CONTIGUOUS_NOTIFICATION_IDS = True

    @pytest.fixture(autouse=True)
    def _on_a_fresh_log(self, ledger_database: FreshDatabase) -> Iterator[None]:
        with open_datastore(ledger_database.app_dsn) as self.datastore:
            yield

    def create_recorder(self) -> LedgerRecorder:
        return LedgerRecorder(self.datastore)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


@pytest.fixture
def recorder(ledger_database: FreshDatabase) -> Iterator[LedgerRecorder]:
    with open_datastore(ledger_database.app_dsn) as datastore:
        yield LedgerRecorder(datastore)


def as_stored(new: NewEvent) -> StoredEvent:
    return StoredEvent(new.stream_id, new.version, new.event.TOPIC, encode(new.event))


def test_a_known_event_has_its_effects_and_reads_back(
    ledger_database: FreshDatabase, recorder: LedgerRecorder
) -> None:
    account_id = entity_id()
    granted = credit(account_id, 5)
    assert recorder.insert_events([as_stored(granted)]) == [1]
    (read,) = recorder.select_events(granted.stream_id)
    with connect(ledger_database.app_dsn) as connection:
        assert balance(connection, account_id) == Balance(5, 0, 1, 1)
        (row,) = kept(connection)
        at = row.recorded.recorded_at
        position, account_seq = 1, 1
        topic, state = granted.event.TOPIC, encode(granted.event)
        assert read == RecordedNotification(
            granted.stream_id, 1, topic, state, position, at, account_id, account_seq
        )
        assert recorder.select_notifications(1, 10) == [read]
        assert row.recorded.event == granted.event
        assert row.leaf == row.expected_leaf()


def test_a_hold_that_does_not_fit_is_an_integrity_error(
    ledger_database: FreshDatabase, recorder: LedgerRecorder
) -> None:
    held = Call().next(reserve(payer().cover(), 1))
    unknown = StoredEvent(uuid4(), 1, "unknown", b"")
    with pytest.raises(IntegrityError) as caught:
        recorder.insert_events([unknown, *map(as_stored, held)])
    assert isinstance(caught.value.__cause__, OverBudget)
    assert recorder.max_notification_id() is None
    with connect(ledger_database.app_dsn) as connection:
        assert head(connection) == 0


def test_what_our_writer_takes_for_success_is_a_duplicate_for_the_library(
    ledger_database: FreshDatabase, recorder: LedgerRecorder
) -> None:
    granted = credit(entity_id(), 5)
    recorder.insert_events([as_stored(granted)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([as_stored(granted)])
    with connect(ledger_database.app_dsn) as connection:
        assert stored(connection, [granted]) == (1,)


@pytest.mark.parametrize("versions", [[-1], [2], [0, 2], [1, 0], [1, 1]])
def test_a_sequence_begins_at_zero_or_one_and_has_no_gaps(
    recorder: LedgerRecorder, versions: list[int]
) -> None:
    stream_id = uuid4()
    events = [StoredEvent(stream_id, version, "unknown", b"") for version in versions]
    with pytest.raises(IntegrityError):
        recorder.insert_events(events)
    assert recorder.max_notification_id() is None


def test_nothing_is_put_before_the_first_version(recorder: LedgerRecorder) -> None:
    stream_id = uuid4()
    recorder.insert_events([StoredEvent(stream_id, 1, "unknown", b"")])
    with pytest.raises(IntegrityError):
        recorder.insert_events([StoredEvent(stream_id, 0, "unknown", b"")])


def test_a_state_that_is_not_its_topics_is_a_data_error(recorder: LedgerRecorder) -> None:
    with pytest.raises(DataError):
        recorder.insert_events([StoredEvent(charge_id(), 1, "credit.CreditGranted.v1", b"{}")])
    with pytest.raises(DataError):
        recorder.insert_events([StoredEvent("a-name", 1, "unknown", b"")])


def test_the_recorder_makes_no_tables_and_knows_its_schema(
    ledger_database: FreshDatabase, recorder: LedgerRecorder
) -> None:
    recorder.create_table()
    elsewhere = open_datastore(ledger_database.app_dsn, "public")
    with elsewhere, pytest.raises(ProgrammingError):
        LedgerRecorder(elsewhere)
    with connect(ledger_database.app_dsn) as connection:
        rows = connection.execute(
            "select relname from pg_class where relname like 'stored_event%' and relkind = 'r'"
        )
        assert rows.fetchall() == []


@pytest.mark.parametrize("fate", [Fate.DROP_ANSWER, Fate.CUT_AFTER_REQUEST, Fate.DROP_REQUEST])
def test_an_insert_whose_connection_was_lost_is_followed_by_the_truth(
    ledger_database: FreshDatabase, fate: Fate
) -> None:
    paying = payer()

    def work(proxy: CuttingProxy) -> None:
        with open_datastore(proxy.dsn) as datastore:
            recorder = LedgerRecorder(datastore)
            granted = as_stored(credit(paying.account_id, 10))
            assert recorder.insert_events([granted]) == [1]
            held = map(as_stored, Call().next(reserve(paying.cover(), 10)))
            assert recorder.insert_events(list(held)) == [2]
            refused = map(as_stored, Call().next(reserve(paying.cover(), 1)))
            with pytest.raises(IntegrityError):
                recorder.insert_events(list(refused))
        assert proxy.cuts == 3

    async def run() -> None:
        fates = [fate, Fate.PASS, fate, Fate.PASS, fate]
        async with cutting(ledger_database.app_dsn, fates) as proxy:
            await asyncio.to_thread(work, proxy)

    asyncio.run(run())
    with connect(ledger_database.app_dsn) as connection:
        assert head(connection) == 2
