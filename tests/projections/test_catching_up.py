"""Read models brought up to the log by whoever needs them; and not waited for for ever."""

import pytest

from projections.catching_up import caught_up
from projections.election import try_to_lead
from projections.reading import NotUpToDate
from projections.storage import connect
from projections.views import accounts, upstream_daily
from tests.builders import LawfulLog
from tests.projections.conftest import Books
from tests.projections.driving import at_head, running

CHOSEN = (accounts.PROJECTION, upstream_daily.PROJECTION)


def test_within_the_block_they_show_the_log(books: Books) -> None:
    log = LawfulLog(books.connection, seed=3)
    for _ in range(2):
        log.grow(300)
        with caught_up(books.dsn, CHOSEN):
            assert at_head(books.connection, CHOSEN)


def test_another_process_may_be_the_one_that_folds(books: Books) -> None:
    with running(books.dsn, CHOSEN):
        LawfulLog(books.connection, seed=3).grow(300)
        with caught_up(books.dsn, CHOSEN):
            assert at_head(books.connection, CHOSEN)


def test_when_nothing_moves_it_says_so(books: Books) -> None:
    LawfulLog(books.connection, seed=3).grow(100)
    with connect(books.dsn) as other:
        assert try_to_lead(other, upstream_daily.PROJECTION)
        with (
            pytest.raises(NotUpToDate, match="tollgate ledger rebuild"),
            caught_up(books.dsn, CHOSEN, stalled_after_s=0.3),
        ):
            raise AssertionError("it cannot have been folded")
