"""Nothing in the log can be changed: not by the application's role, and not by accident."""

from collections.abc import Iterator

import psycopg
import pytest

from ledger.ids import entity_id
from ledger.streams.registry import CLOSING_TOPICS
from tests.ledger.building import credit
from tests.ledger.store.appending import Connection, connect, kept, stored
from tests.servers import FreshDatabase

FORBIDDEN = [
    "update ledger.event set state = 'x'",
    "update ledger.event set state = state",
    "delete from ledger.event",
    "truncate ledger.event",
    "drop table ledger.event",
    "drop trigger append_only on ledger.event",
    "alter table ledger.event disable trigger all",
    "alter table ledger.event disable trigger append_only",
    "create or replace function ledger.refuse_change() returns trigger language plpgsql "
    "as 'begin return null; end'",
    "create or replace rule nothing as on insert to ledger.event do instead nothing",
    "insert into ledger.event select * from ledger.event",
    "insert into ledger.budget values (gen_random_uuid(), 0, 1, 1, 1)",
    "update ledger.budget set posted_nanos = posted_nanos + 1",
    "delete from ledger.budget",
    "truncate ledger.budget",
    "update ledger.head set position = 0",
    "delete from ledger.head",
    "update ledger.stored_events set topic = 'x'",
    "delete from ledger.stored_events",
    "set session_replication_role = replica",
    "set role tollgate_owner",
    "select ledger.append_slice(0, now(), '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', "
    "'{}', '{}', '{}', 1, 0, 1, 0)",
    "copy ledger.event from program 'true'",
    "create table ledger.mine (x int)",
]


@pytest.fixture
def connection(ledger_database: FreshDatabase) -> Iterator[Connection]:
    with connect(ledger_database.app_dsn) as opened:
        stored(opened, [credit(entity_id(), 1)])
        yield opened


def test_the_applications_role_may_only_append_and_read(connection: Connection) -> None:
    before = kept(connection)
    for statement in FORBIDDEN:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())
    assert kept(connection) == before


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize(
    "statement",
    ["update ledger.event set state = 'x'", "delete from ledger.event", "truncate ledger.event"],
)
def test_the_owner_is_stopped_by_the_triggers_whatever_the_session(
    ledger_database: FreshDatabase, connection: Connection, role: str, statement: str
) -> None:
    with connect(ledger_database.owner_dsn) as owner:
        owner.execute(f"set session_replication_role = {role}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            owner.execute(statement.encode())
    assert len(kept(connection)) == 1


def test_the_index_of_closings_names_exactly_the_closing_topics(connection: Connection) -> None:
    row = connection.execute(
        "select indexdef from pg_indexes where schemaname = 'ledger' and indexname = "
        "'event_closing'"
    ).fetchone()
    assert row is not None
    assert row[0].count("'::text") == len(CLOSING_TOPICS)
    assert all(f"'{topic}'" in row[0] for topic in CLOSING_TOPICS)
    bodies = connection.execute(
        "select proname, prosrc from pg_proc where proname in ('append_by_group', 'judge')"
    ).fetchall()
    assert {
        (name, body.count(f"'{topic}'")) for name, body in bodies for topic in CLOSING_TOPICS
    } == {("append_by_group", 3), ("judge", 2)}
