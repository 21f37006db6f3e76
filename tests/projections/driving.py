"""Running projections in tests: until they show the whole log, or until told to stop."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from projections.contract import Projection
from projections.registry import PROJECTIONS
from projections.runner import Runner, RunnerTiming

PATIENCE_S = 60.0
QUICK = RunnerTiming(poll_s=0.02, pause_s=0.0, election_s=0.05, reconnect_pause_s=0.05)


@contextmanager
def running(
    dsn: str,
    projections: Sequence[Projection] = PROJECTIONS,
    timing: RunnerTiming = QUICK,
) -> Iterator[Runner]:
    """A runner in a thread of its own."""
    runner, stop = Runner(dsn, projections, timing), threading.Event()
    thread = threading.Thread(target=runner.run_until, args=(stop,))
    thread.start()
    try:
        yield runner
    finally:
        stop.set()
        thread.join()


def run_to_head(
    dsn: str, connection: psycopg.Connection[Any], projections: Sequence[Projection] = PROJECTIONS
) -> None:
    """Fold everything there is."""
    with running(dsn, projections):
        wait_until(lambda: at_head(connection, projections))


def at_head(
    connection: psycopg.Connection[Any], projections: Sequence[Projection] = PROJECTIONS
) -> bool:
    """Whether all these projections show the whole log."""
    served = positions(connection)
    row = connection.execute("select position from ledger.head").fetchone()
    assert row is not None
    return all(served.get(each.name) == row[0] for each in projections)


def positions(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """How far each served projection has folded."""
    rows = connection.execute("select name, position from operations.projection where is_served")
    return dict(rows.fetchall())


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something another thread does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
