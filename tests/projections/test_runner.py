"""The runner in trouble: kills, rivals, events nobody knows, other releases, lost connections."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.ids import entity_id
from ledger.store.append import APPEND, adapt, parameters, prepare_stored
from projections.comparison import compare
from projections.contract import Projection
from projections.generations import read_checkpoints, read_served
from projections.rebuild import RebuildRefused
from projections.registry import PROJECTIONS
from projections.storage import connect
from projections.views import groups, prices, request_log, users
from tests.builders import LawfulLog
from tests.projections.conftest import Books
from tests.projections.driving import (
    QUICK,
    at_head,
    positions,
    run_to_head,
    running,
    wait_until,
)

ROOT = Path(__file__).parents[2]
NEVER_BACK = dataclasses.replace(QUICK, reconnect_pause_s=30.0)
FOLD_EVERYTHING = {each.name for each in PROJECTIONS if each.folds_every_stream}
SMALL_BATCHES = dataclasses.replace(QUICK, batch_events_max=7)


def store(books: Books, topic: str, state: bytes = b"{}") -> int:
    """Append bytes as they are; the position."""
    group = prepare_stored([(entity_id(), 1, topic, state)])
    with books.connection.cursor(binary=True) as cursor:
        adapt(cursor)
        row = cursor.execute(APPEND, parameters([group])).fetchone()
    assert row is not None
    return int(row[1][0])


def leaders(books: Books) -> set[int]:
    """The backends that lead any projection."""
    rows = books.connection.execute(
        "select distinct pid from pg_locks where locktype = 'advisory' and classid = %s",
        (0x70726F6A,),
    )
    return {row[0] for row in rows.fetchall()}


def end_backends(books: Books, pids: set[int]) -> None:
    with psycopg.connect(books.owner_dsn, autocommit=True) as owner:
        owner.execute("select pg_terminate_backend(pid) from unnest(%s::int[]) pid", (list(pids),))


def assert_equals_a_replay(books: Books) -> None:
    for projection in PROJECTIONS:
        assert compare(books.dsn, projection) == []


def test_batches_of_any_size_give_the_same_rows(books: Books) -> None:
    LawfulLog(books.connection, seed=3).grow(400)
    with running(books.dsn, timing=SMALL_BATCHES):
        wait_until(lambda: at_head(books.connection))
    assert_equals_a_replay(books)  # a replay folds everything at once


def test_of_two_runners_one_works_and_the_other_takes_over(books: Books) -> None:
    log = LawfulLog(books.connection, seed=4)
    log.grow(300)
    with running(books.dsn, timing=NEVER_BACK) as first:
        wait_until(lambda: at_head(books.connection))
        assert all(each.is_active for each in first.status())
        with running(books.dsn) as second:
            log.grow(300)
            wait_until(lambda: at_head(books.connection))
            assert not any(each.is_active for each in second.status())
            assert len(leaders(books)) == 1
            end_backends(books, leaders(books))
            wait_until(lambda: all(each.is_active for each in second.status()))
            log.grow(300)
            wait_until(lambda: at_head(books.connection))
    assert_equals_a_replay(books)


def test_a_runner_whose_connection_is_cut_comes_back(books: Books) -> None:
    log = LawfulLog(books.connection, seed=5)
    with running(books.dsn):
        for _ in range(5):
            log.grow(200)
            wait_until(lambda: leaders(books) != set())
            end_backends(books, leaders(books))
        wait_until(lambda: at_head(books.connection))
    assert_equals_a_replay(books)


@pytest.fixture
def runner_process(books: Books) -> Iterator["subprocess.Popen[bytes]"]:
    program = (
        "import sys, threading\n"
        "from projections.registry import PROJECTIONS\n"
        "from projections.runner import Runner, RunnerTiming\n"
        "timing = RunnerTiming(batch_events_max=20, pause_s=0)\n"
        "Runner(sys.argv[1], PROJECTIONS, timing).run_until(threading.Event())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, books.dsn], cwd=ROOT)
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


def test_a_runner_killed_in_the_middle_loses_and_doubles_nothing(
    books: Books, runner_process: "subprocess.Popen[bytes]"
) -> None:
    LawfulLog(books.connection, seed=6).grow(3_000)
    wait_until(lambda: min(positions(books.connection).values(), default=0) > 500)
    os.kill(runner_process.pid, signal.SIGKILL)
    runner_process.wait()
    assert not at_head(books.connection), "the kill came too late to prove anything"
    run_to_head(books.dsn, books.connection)
    assert_equals_a_replay(books)


@pytest.mark.parametrize(
    ("topic", "state", "stopped"),
    [
        ("user.UserPromoted.v1", b"{}", FOLD_EVERYTHING | {"users"}),
        ("payment.OrderPlaced.v1", b"{}", FOLD_EVERYTHING),
    ],
)
def test_an_unknown_event_stops_those_it_may_concern_and_nobody_else(
    books: Books, topic: str, state: bytes, stopped: set[str]
) -> None:
    log = LawfulLog(books.connection, seed=7)
    log.grow(100)
    position = store(books, topic, state)
    log.grow(100)
    others = [each for each in PROJECTIONS if each.name not in stopped]
    with running(books.dsn) as runner:
        wait_until(lambda: at_head(books.connection, others))
        wait_until(lambda: {each.name for each in runner.status() if each.stopped} == stopped)
        reasons = {each.name: each.stopped for each in runner.status()}
    for name in stopped:
        assert positions(books.connection)[name] == position - 1
        reason = reasons[name]
        assert reason is not None
        assert f"before position {position}" in reason
        assert topic in reason


def test_bytes_that_are_not_the_event_stop_who_folds_it(books: Books) -> None:
    log = LawfulLog(books.connection, seed=8)
    log.grow(100)
    with psycopg.connect(books.owner_dsn, autocommit=True) as owner:
        owner.execute("alter table ledger.event disable trigger append_only")
        row = owner.execute(
            "update ledger.event set state = '{' where topic = 'group.GroupSet.v1' "
            "and originator_version = 1 returning position"
        ).fetchone()
    assert row is not None
    with running(books.dsn, [groups.PROJECTION, request_log.PROJECTION]) as runner:
        wait_until(lambda: runner.status()[0].stopped is not None)
        wait_until(lambda: at_head(books.connection, [request_log.PROJECTION]))
    assert positions(books.connection)["groups"] < row[0]


def test_a_stopped_projection_goes_on_when_another_release_got_it_further(books: Books) -> None:
    position = store(books, "group.GroupMerged.v1")
    with running(books.dsn, [groups.PROJECTION]) as runner:
        wait_until(lambda: runner.status()[0].stopped is not None)
        books.connection.execute("update operations.projection set position = %s", (position,))
        wait_until(lambda: runner.status()[0].is_active)
        LawfulLog(books.connection, seed=9).grow(50)
        wait_until(lambda: at_head(books.connection, [groups.PROJECTION]))


def test_rows_that_cannot_be_stored_stop_one_projection_only(books: Books) -> None:
    run_to_head(books.dsn, books.connection)
    books.connection.execute("alter table view_prices_1.prices add check (version < 0)")
    log = LawfulLog(books.connection, seed=10)
    log.grow(100)
    others = [each for each in PROJECTIONS if each.name != "prices"]
    with running(books.dsn) as runner:
        wait_until(lambda: at_head(books.connection, others))
        stopped = [each for each in runner.status() if each.stopped]
    assert [each.name for each in stopped] == ["prices"]


def next_release(projection: Projection) -> Projection:
    """The same projection under a higher version."""
    return dataclasses.replace(projection, version=projection.version + 1)


def test_another_version_is_built_beside_the_served_one_and_then_replaces_it(books: Books) -> None:
    log = LawfulLog(books.connection, seed=11)
    log.grow(300)
    run_to_head(books.dsn, books.connection)
    newer = [next_release(users.PROJECTION), next_release(request_log.PROJECTION)]
    with running(books.dsn) as old, running(books.dsn, newer, SMALL_BATCHES):
        log.grow(300)
        for each in newer:
            wait_until(lambda each=each: served_version(books, each.name) == each.version)  # type: ignore[misc]
        log.grow(100)
        wait_until(lambda: at_head(books.connection))
        wait_until(
            lambda: {s.name for s in old.status() if not s.is_active} == {"request_log", "users"}
        )
    with connect(books.dsn) as connection:
        assert len(read_checkpoints(connection, "request_log")) == 1
    assert compare(books.dsn, newer[1]) == []


def test_an_older_release_leaves_a_newer_generation_alone(books: Books) -> None:
    newer = next_release(prices.PROJECTION)
    LawfulLog(books.connection, seed=12).grow(50)
    run_to_head(books.dsn, books.connection, [newer])
    with running(books.dsn, [prices.PROJECTION, groups.PROJECTION]) as runner:
        wait_until(lambda: at_head(books.connection, [groups.PROJECTION]))
        assert [each.is_active for each in runner.status()] == [False, True]
    assert served_version(books, "prices") == newer.version


class WiderGroup(groups.GroupRow, frozen=True):
    """A group with one column more."""

    note: str = ""


def test_another_version_may_have_other_columns_and_none_to_fold(books: Books) -> None:
    run_to_head(books.dsn, books.connection)
    table = dataclasses.replace(groups.TABLE, row=WiderGroup)
    wider = dataclasses.replace(next_release(groups.PROJECTION), tables=(table,))
    with running(books.dsn, [wider]):
        wait_until(lambda: served_version(books, "groups") == 2)
    books.connection.execute("select note from projections.groups")
    with pytest.raises(RebuildRefused, match="version 2"):
        compare(books.dsn, groups.PROJECTION)
    with running(books.dsn, [dataclasses.replace(groups.PROJECTION, version=3)]):
        wait_until(lambda: served_version(books, "groups") == 3)
    with pytest.raises(psycopg.errors.UndefinedColumn):
        books.connection.execute("select note from projections.groups")


def served_version(books: Books, name: str) -> int:
    with connect(books.dsn) as connection:
        served = read_served(connection, name)
    return 0 if served is None else served.version
