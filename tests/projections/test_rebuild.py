"""Rebuilding and comparing while a runner folds and writers append."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

from projections.comparison import Difference, compare
from projections.election import try_to_rebuild
from projections.generations import drop_retired, read_served, start_generation
from projections.rebuild import RebuildRefused, rebuild
from projections.registry import PROJECTIONS
from projections.storage import connect
from projections.views import accounts, keys, prices, request_log
from tests.builders import LawfulLog
from tests.projections.conftest import Books
from tests.projections.driving import at_head, positions, run_to_head, running, wait_until


@contextmanager
def growing(books: Books, seed: int) -> Iterator[None]:
    """A log of some length, and a writer that goes on appending until the block ends."""
    stop = threading.Event()

    def write(log: LawfulLog) -> None:
        while not stop.is_set():
            log.grow(50, batch_groups=20)

    with psycopg.connect(books.dsn, autocommit=True) as connection:
        log = LawfulLog(connection, seed)
        log.grow(1_500)
        thread = threading.Thread(target=write, args=(log,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def generation(books: Books, name: str) -> int:
    with connect(books.dsn) as connection:
        served = read_served(connection, name)
    assert served is not None
    return served.generation


def view_schemas(books: Books, name: str) -> list[str]:
    rows = books.connection.execute(
        "select nspname from pg_namespace where nspname like %s", (f"view_{name}_%",)
    )
    return [row[0] for row in rows.fetchall()]


def test_every_projection_rebuilt_while_it_is_written_equals_live(books: Books) -> None:
    with running(books.dsn), growing(books, seed=1):
        wait_until(lambda: len(positions(books.connection)) == len(PROJECTIONS))
        for projection in PROJECTIONS:
            before = positions(books.connection)[projection.name]
            rebuilt = rebuild(books.dsn, projection)
            assert rebuilt.position >= before
            assert generation(books, projection.name) == rebuilt.generation == 2
            assert view_schemas(books, projection.name) == [f"view_{projection.name}_2"]
            assert compare(books.dsn, projection) == []
    run_to_head(books.dsn, books.connection)
    for projection in PROJECTIONS:
        assert compare(books.dsn, projection) == []


def test_a_live_runner_goes_on_with_the_generation_that_a_rebuild_served(books: Books) -> None:
    log = LawfulLog(books.connection, seed=3)
    log.grow(200)
    with running(books.dsn) as runner:
        wait_until(lambda: at_head(books.connection))
        rebuild(books.dsn, request_log.PROJECTION)
        log.grow(200)
        wait_until(lambda: at_head(books.connection))
        assert [each.stopped for each in runner.status()] == [None] * len(PROJECTIONS)
    assert compare(books.dsn, request_log.PROJECTION) == []


def test_what_others_may_read_stays_so_after_a_rebuild(books: Books) -> None:
    run_to_head(books.dsn, books.connection)
    books.connection.execute("grant select on projections.prices to public")
    rebuild(books.dsn, prices.PROJECTION)
    row = books.connection.execute(
        "select has_table_privilege('pg_monitor', 'projections.prices', 'select')"
    ).fetchone()
    assert row == (True,)


def test_a_corrupted_row_is_named_and_a_rebuild_heals_it(books: Books) -> None:
    log = LawfulLog(books.connection, seed=4)
    log.grow(300)
    run_to_head(books.dsn, books.connection)
    victim = log.accounts[0]
    books.connection.execute(
        "update view_accounts_1.accounts set posted_nanos = posted_nanos + 1 where account_id = %s",
        (victim,),
    )
    differences = compare(books.dsn, accounts.PROJECTION)
    assert [(each.table, each.key) for each in differences] == [("accounts", str(victim))]
    assert differences[0].served != differences[0].replayed
    rebuild(books.dsn, accounts.PROJECTION)
    assert compare(books.dsn, accounts.PROJECTION) == []


def test_a_missing_row_and_an_invented_one_are_named(books: Books) -> None:
    LawfulLog(books.connection, seed=5).grow(100)
    run_to_head(books.dsn, books.connection)
    books.connection.execute("delete from view_prices_1.prices where model = 'painter'")
    books.connection.execute(
        "update view_prices_1.prices set model = 'smaller' where model = 'small' and version = 1"
    )
    found = {each.key: each for each in compare(books.dsn, prices.PROJECTION)}
    assert found[", painter, 1"].served is None
    assert found[", small, 1"].served is None
    assert found[", smaller, 1"].replayed is None


def test_the_first_differences_are_enough(books: Books) -> None:
    LawfulLog(books.connection, seed=6).grow(300)
    run_to_head(books.dsn, books.connection)
    books.connection.execute("update view_request_log_1.request_log set tries = 99")
    assert len(compare(books.dsn, request_log.PROJECTION, limit=3)) == 3


def test_comparing_leaves_nothing_behind(books: Books) -> None:
    LawfulLog(books.connection, seed=7).grow(100)
    run_to_head(books.dsn, books.connection)
    assert compare(books.dsn, keys.PROJECTION) == []
    assert view_schemas(books, "keys") == ["view_keys_1"]
    assert generation(books, "keys") == 1


def test_what_was_never_folded_differs_in_nothing(books: Books) -> None:
    assert compare(books.dsn, keys.PROJECTION) == []


def test_a_projection_can_be_rebuilt_before_any_runner_came(books: Books) -> None:
    LawfulLog(books.connection, seed=8).grow(100)
    assert rebuild(books.dsn, prices.PROJECTION).position == 0
    run_to_head(books.dsn, books.connection, [prices.PROJECTION])
    assert compare(books.dsn, prices.PROJECTION) == []


def test_only_one_rebuild_of_a_projection_at_a_time(books: Books) -> None:
    run_to_head(books.dsn, books.connection)
    with connect(books.dsn) as rival:
        assert try_to_rebuild(rival, prices.PROJECTION)
        with pytest.raises(RebuildRefused, match="being rebuilt"):
            rebuild(books.dsn, prices.PROJECTION)
        rebuild(books.dsn, keys.PROJECTION)


def test_what_a_killed_rebuild_left_is_swept_by_the_next(books: Books) -> None:
    run_to_head(books.dsn, books.connection)
    with connect(books.dsn) as killed:
        for _ in range(2):
            start_generation(killed, prices.PROJECTION)
    rebuild(books.dsn, prices.PROJECTION)
    assert view_schemas(books, "prices") == ["view_prices_2"]


def test_progress_is_told_up_to_the_target(books: Books) -> None:
    LawfulLog(books.connection, seed=9).grow(3_000)
    run_to_head(books.dsn, books.connection)
    told: list[tuple[int, int]] = []
    rebuilt = rebuild(books.dsn, prices.PROJECTION, lambda *step: told.append(step))
    assert told[-1] == (rebuilt.position, rebuilt.position)


def test_a_difference_says_what_is_served_and_what_a_replay_gives(books: Books) -> None:
    LawfulLog(books.connection, seed=10).grow(50)
    run_to_head(books.dsn, books.connection)
    books.connection.execute(
        "update view_groups_1.groups set actor = 'nobody' where name = 'surge'"
    )
    (difference,) = compare(books.dsn, next(each for each in PROJECTIONS if each.name == "groups"))
    assert isinstance(difference, Difference)
    assert difference.served is not None
    assert difference.replayed is not None
    assert "nobody" in difference.served
    assert difference.served.replace("nobody", "root") == difference.replayed


def test_a_read_model_of_another_release_is_forgotten_with_all_it_has(books: Books) -> None:
    LawfulLog(books.connection, seed=9).grow(50)
    (table,) = accounts.PROJECTION.tables
    retired = replace(accounts.PROJECTION, name="ledgers", tables=(replace(table, name="ledgers"),))
    run_to_head(books.dsn, books.connection, [accounts.PROJECTION, retired])
    with connect(books.dsn) as connection:
        assert drop_retired(connection, {"accounts"}) == ["ledgers"]
        assert drop_retired(connection, {"accounts"}) == []
    assert positions(books.connection).keys() == {"accounts"}
    assert view_schemas(books, "ledgers") == []
    with pytest.raises(psycopg.errors.UndefinedTable):
        books.connection.execute("select * from projections.ledgers")
    assert compare(books.dsn, accounts.PROJECTION) == []
