"""A read model of somebody's own, and waiting for what happens in it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eventsourcing.utils import Environment

from ledger.replay.postgres import Factory
from ledger.replay.read_model import ReadModel
from tests.ledger.store.appending import Connection


class Amounts(ReadModel):
    """Numbers, in the order in which they were committed."""

    tables = ("create table if not exists amounts (position bigint, at serial)",)


@contextmanager
def opened_read_model(dsn: str) -> Iterator[Amounts]:
    """As a ProjectionRunner makes it, for a projection named `Sums`."""
    with Factory(Environment("Sums", {"SUMS_SQL_DSN": dsn})) as factory:
        yield factory.tracking_recorder(Amounts)


def until(is_so: Callable[[], bool], is_alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until something is so; what brings it about must be alive meanwhile."""
    deadline_s = time.monotonic() + 30
    while not is_so():
        assert is_alive(), "it has ended"
        assert time.monotonic() < deadline_s, "it does not come to pass"
        time.sleep(0.002)


def waits_for_a_lock(connection: Connection) -> bool:
    """Whether somebody in this database does."""
    row = connection.execute(
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock'"
    ).fetchone()
    assert row is not None
    return bool(row[0])
