"""The guards of the schema: each that is taken away or made harmless is named (A18)."""

from collections.abc import Iterator

import psycopg
import pytest

from ledger.fsck import check_ledger
from ledger.ids import entity_id
from ledger.store.fingerprint import committed_fingerprint, read_fingerprint, schema_differences
from tests.builders import append_events
from tests.ledger.building import credit
from tests.ledger.store.appending import Connection, connect
from tests.schema import PATH, as_text
from tests.servers import FreshDatabase


@pytest.fixture
def owner(ledger_database: FreshDatabase) -> Iterator[psycopg.Connection]:
    """Whoever may change everything, in a log of one event."""
    with connect(ledger_database.app_dsn) as app:
        append_events(app, credit(entity_id(), 1))
    with psycopg.connect(ledger_database.owner_dsn, autocommit=True) as connection:
        yield connection


def told(database: FreshDatabase) -> list[tuple[str, str | None]]:
    return [(each.check, each.scope) for each in check_ledger(database.app_dsn)]


def source(connection: psycopg.Connection, function: str) -> str:
    row = connection.execute(
        "select pg_get_functiondef(%s::regproc)", (f"ledger.{function}",)
    ).fetchone()
    assert row is not None
    return str(row[0])


def test_a18_the_schema_is_the_one_that_was_committed(ledger_database: FreshDatabase) -> None:
    """Fails when a migration changed it: `python -m tests.schema` writes the file anew."""
    with connect(ledger_database.app_dsn) as app, connect(ledger_database.owner_dsn) as owner:
        found = read_fingerprint(app)
        assert found == read_fingerprint(owner)
    assert as_text(found) == PATH.read_text()
    assert as_text(committed_fingerprint()) == PATH.read_text()


CHANGED_FUNCTIONS = [
    ("append_slice", "if short_scope is not null then", "if false then"),
    ("append_slice", "min(p_cap[k])", "max(p_cap[k])"),
    ("append_events", "greatest(recorded_at, case", "greatest(now, case"),
    ("judge", "least(cap, p_cap[k])", "greatest(cap, p_cap[k])"),
    ("refuse_change", "raise exception", "raise notice"),
    ("extend_tiles", "p_size", "p_size + 0"),
]


@pytest.mark.parametrize(("function", "old", "new"), CHANGED_FUNCTIONS)
def test_a18_a_function_that_was_changed_is_named(
    ledger_database: FreshDatabase,
    owner: psycopg.Connection,
    function: str,
    old: str,
    new: str,
) -> None:
    definition = source(owner, function)
    head, body = definition.split("$function$", 1)
    assert old in body
    owner.execute(f"{head}$function${body.replace(old, new)}".encode())
    ((check, scope),) = told(ledger_database)
    assert check == "protection"
    assert str(scope).startswith(f"ledger.{function}(")
    owner.execute(definition.encode())
    assert told(ledger_database) == []


DAMAGE = [
    ("alter table ledger.event disable trigger append_only", {"ledger.event append_only"}),
    (
        "alter table ledger.event enable replica trigger never_truncated",
        {"ledger.event never_truncated"},
    ),
    ("drop trigger append_only on ledger.event", {"ledger.event append_only"}),
    ("drop index ledger.event_closing", {"ledger.event_closing"}),
    (
        "drop index ledger.event_closing; create unique index event_closing on ledger.event "
        "(originator_id) where topic in ('charge.UsageSettled.v1')",
        {"ledger.event_closing"},
    ),
    (
        "drop index ledger.event_position; create index event_position on ledger.event (position)",
        {"ledger.event_position"},
    ),
    (
        "alter table ledger.event drop constraint event_pkey",
        {"ledger.event event_pkey", "ledger.event_pkey"},
    ),
    (
        "create function ledger.lose() returns trigger language plpgsql as "
        "'begin return null; end'; "
        "create trigger lose before insert on ledger.event for each row "
        "execute function ledger.lose()",
        {"ledger.lose()", "ledger.event lose"},
    ),
    (
        "create rule lose as on insert to ledger.budget do instead nothing",
        {"ledger.budget lose"},
    ),
    ("alter table ledger.event set unlogged", {"ledger.event"}),
    ("alter table ledger.event force row level security", {"ledger.event"}),
    ("alter table ledger.head add column note text", {"ledger.head"}),
    (
        "create or replace view ledger.stored_events as select originator_id, originator_version, "
        "topic, state, position as notification_id from ledger.event where position > 1",
        {"ledger.stored_events"},
    ),
    (
        "alter function ledger.append_events set search_path = public",
        {
            "ledger.append_events(uuid[],bigint[],text[],bytea[],uuid[],integer[],integer[],"
            "uuid[],integer[],integer[],bigint[],bigint[],bigint[],boolean,uuid[],bigint[],integer[])"
        },
    ),
]


ACCESS = [
    ("alter table ledger.event owner to tollgate_app", {"ledger.event"}),
    ("alter view ledger.stored_events owner to tollgate_app", {"ledger.stored_events"}),
    ("alter function ledger.refuse_change owner to tollgate_app", {"ledger.refuse_change()"}),
    ("alter schema vault owner to tollgate_app", {"vault"}),
    ("grant insert on ledger.event to tollgate_app", {"ledger.event"}),
    ("grant update (state) on ledger.event to tollgate_app", {"ledger.event"}),
    ("grant truncate on vault.cell to tollgate_app", {"vault.cell"}),
    ("grant select on ledger.event to public", {"ledger.event"}),
    ("grant select on ledger.budget to tollgate_app with grant option", {"ledger.budget"}),
    ("grant create on schema ledger to tollgate_app", {"ledger"}),
    ("grant usage on schema vault to public", {"vault"}),
    ("grant execute on function ledger.believe_clock to tollgate_app", {"ledger.believe_clock()"}),
    ("create table public.more () inherits (ledger.budget)", {"ledger.budget"}),
    (
        "create table public.above (position bigint not null); "
        "alter table ledger.head inherit above",
        {"ledger.head"},
    ),
    (
        "create function projections.lose() returns int language sql as 'select 1'",
        {"projections.lose()"},
    ),
    ("create table projections.accounts (a int)", {"projections.accounts"}),
    (
        "create materialized view ledger.more as select 1 as one",
        {"ledger.more", "ledger.more _RETURN"},
    ),
]
NO_MORE_ACCESS = [
    "grant usage on schema ledger to auditor; "
    "grant select on all tables in schema ledger to auditor",
    "revoke all on ledger.event from tollgate_app; grant select on ledger.event to tollgate_app",
    "create view projections.of_a_read_model as select 1 as one",
    "alter table ledger.event owner to another_superuser",
]


@pytest.mark.parametrize(("damage", "scopes"), ACCESS)
def test_t6_who_owns_inherits_or_may_do_more_than_was_given_is_named(
    ledger_database: FreshDatabase, owner: psycopg.Connection, damage: str, scopes: set[str]
) -> None:
    owner.execute(damage.encode())
    found = told(ledger_database)
    assert {scope for _, scope in found} == scopes
    assert {check for check, _ in found} == {"protection"}


@pytest.mark.parametrize("change", NO_MORE_ACCESS)
def test_t6_whoever_may_read_or_do_all_anyway_is_no_fault(
    owner: psycopg.Connection, change: str
) -> None:
    with owner.transaction(force_rollback=True):  # roles are of the whole server
        owner.execute("create role auditor; create role another_superuser superuser")
        owner.execute(change.encode())
        assert list(schema_differences(owner)) == []


@pytest.mark.parametrize(("damage", "scopes"), DAMAGE)
def test_a18_a_guard_that_is_gone_or_other_is_named(
    ledger_database: FreshDatabase, owner: psycopg.Connection, damage: str, scopes: set[str]
) -> None:
    owner.execute(damage.encode())
    found = told(ledger_database)
    assert {scope for _, scope in found} == scopes
    assert {check for check, _ in found} == {"protection"}


def test_a18_an_index_of_an_operators_own_changes_nothing_and_is_not_told(
    ledger_database: FreshDatabase, owner: psycopg.Connection
) -> None:
    owner.execute("create index mine on ledger.event (recorded_at)")
    assert told(ledger_database) == []
    owner.execute("create unique index mine_too on ledger.event (recorded_at)")
    assert told(ledger_database) == [("protection", "ledger.mine_too")]


def head_set(owner: psycopg.Connection, by: str) -> None:
    owner.execute("update ledger.head set recorded_at = recorded_at + %s::interval", (by,))


@pytest.mark.parametrize("by", ["10 years", "2 minutes"])
def test_a18_a_clock_that_was_set_ahead_is_told_before_and_after_it_is_used(
    ledger_database: FreshDatabase, owner: psycopg.Connection, by: str
) -> None:
    head_set(owner, by)
    for _ in range(2):
        (found,) = check_ledger(ledger_database.app_dsn)
        assert (found.check, found.position, found.scope) == ("recorded_at", None, "ledger.head")
        assert "it was set ahead" in found.message
        with connect(ledger_database.app_dsn) as app:
            append_events(app, credit(entity_id(), 1))
    # Setting it back afterwards does not hide it: what was recorded meanwhile stands in the log.
    head_set(owner, f"-{by}")
    (found,) = check_ledger(ledger_database.app_dsn)
    assert (found.check, found.scope) == ("recorded_at", "ledger.head")
    assert "its last event was recorded at" in found.message


def test_a18_a_clock_a_little_ahead_is_none_of_a_fault(
    ledger_database: FreshDatabase, owner: psycopg.Connection
) -> None:
    head_set(owner, "20 seconds")
    assert told(ledger_database) == []


def test_a18_the_application_may_not_change_a_guard(ledger_database: FreshDatabase) -> None:
    connection: Connection
    with connect(ledger_database.app_dsn) as connection:
        for damage, _ in DAMAGE:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(damage.encode())
