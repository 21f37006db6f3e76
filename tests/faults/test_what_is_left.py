"""On the log that the other tests of this folder leave behind: rebuilt, compared, tampered with.

Runs last of them (the files of a folder run in the order of their names), on the same program.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from ledger.streams import restore
from ledger.streams.registry import EVENT_OF_TOPIC
from projections.comparison import compare
from projections.fsck import check_everything
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from tests.bookkeeping import ACTOR
from tests.builders import LawfulLog
from tests.running import Served

EVENTS_MIN = 10_000


def test_every_read_model_rebuilt_while_it_is_written_equals_the_served_one(
    program: Served,
) -> None:
    with psycopg.connect(program.app_dsn, autocommit=True) as connection:
        log = LawfulLog(connection, seed=20_261)
        note_a_restore(program)
        with living_node(connection, log):
            log.grow(1)
            while missing(connection):
                log.grow(1_000)
            assert topics(connection) == set(EVENT_OF_TOPIC)
            with growing(log):
                for projection in PROJECTIONS:
                    rebuild(program.app_dsn, projection)
                    assert compare(program.app_dsn, projection) == []
            log.close_all()
    assert list(check_everything(program.app_dsn, PROJECTIONS, program.redis_url)) == []


def test_a_corrupted_row_a_changed_budget_and_a_changed_byte_are_named(program: Served) -> None:
    with psycopg.connect(program.owner_dsn, autocommit=True) as owner:
        owner.execute("set session_replication_role = replica")
        # `enable always` guards against that too: the owner must take the trigger away.
        owner.execute("alter table ledger.event disable trigger append_only")
        position, state = one(
            owner,
            "select position, state from ledger.event where topic = 'charge.UsageSettled.v1' "
            "order by position limit 1",
        )
        changed = state.replace(b'"ending":"', b'"ending":"X', 1)
        (scope,) = one(owner, "select scope from ledger.budget order by position desc limit 1")
        try:
            owner.execute(
                "update ledger.event set state = %s where position = %s", (changed, position)
            )
            owner.execute(
                "update ledger.budget set posted_nanos = posted_nanos + 1 where scope = %s",
                (scope,),
            )
            findings = list(check_everything(program.app_dsn, ()))
        finally:
            owner.execute(
                "update ledger.event set state = %s where position = %s", (state, position)
            )
            owner.execute(
                "update ledger.budget set posted_nanos = posted_nanos - 1 where scope = %s",
                (scope,),
            )
            owner.execute("alter table ledger.event enable always trigger append_only")
    assert ("leaf", position) in {(each.check, each.position) for each in findings}
    assert ("budget", str(scope)) in {(each.check, each.scope) for each in findings}
    assert list(check_everything(program.app_dsn, ())) == []


def note_a_restore(program: Served) -> None:
    """As its first start would have, had the log come from a backup."""
    command = restore.RecordRestore("0" * 64, "0.3.0", "2026-12-01T00:00:00Z", 1, True, ACTOR)
    stream_id = restore.restore_stream_id(command.sha256)
    program.books.command(restore.STREAM, stream_id, command)


def missing(connection: psycopg.Connection) -> bool:
    (position,) = one(connection, "select position from ledger.head")
    return position < EVENTS_MIN or topics(connection) != set(EVENT_OF_TOPIC)


def topics(connection: psycopg.Connection) -> set[str]:
    rows = connection.execute("select distinct topic from ledger.event").fetchall()
    return {row[0] for row in rows}


def one(connection: psycopg.Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


@contextmanager
def living_node(connection: psycopg.Connection, log: LawfulLog) -> Iterator[None]:
    """The node whose charges these are lives: the program's sweeper leaves them alone."""
    connection.execute(
        "insert into operations.node_lease values "
        "('n1', %s, clock_timestamp() + interval '1 hour')",
        (log._boot,),
    )
    yield
    connection.execute("delete from operations.node_lease where boot = %s", (log._boot,))


@contextmanager
def growing(log: LawfulLog) -> Iterator[None]:
    """The log grows all the while."""
    stop = threading.Event()

    def grow() -> None:
        while not stop.is_set():
            log.grow(50, batch_groups=20)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
