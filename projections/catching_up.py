"""Bringing read models up to the end of the log, for a program beside which nobody may fold."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

import psycopg

from ledger import clock
from projections.contract import Projection
from projections.reading import NotUpToDate
from projections.runner import Runner

_LOOK_AGAIN_S = 0.05
_POSITIONS = """
    select h.position, count(p.*), coalesce(min(p.position), 0)
    from ledger.head h
    left join operations.projection p on p.is_served and p.name = any(%s)
    group by h.position
"""


@contextlib.contextmanager
def caught_up(
    dsn: str, projections: Sequence[Projection], stalled_after_s: float = 30.0
) -> Iterator[None]:
    """Within the block these read models show the log as it was when the block was entered.

    Folds them here unless another process does already. Raises NotUpToDate when nothing moves
    for a while, and psycopg.OperationalError.
    """
    stop = threading.Event()
    runner = threading.Thread(target=Runner(dsn, projections).run_until, args=(stop,))
    runner.start()
    try:
        _wait(dsn, [projection.name for projection in projections], stalled_after_s)
        yield
    finally:
        stop.set()
        runner.join()


def _wait(dsn: str, names: list[str], stalled_after_s: float) -> None:
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
        head, moved_at_s, reached = None, clock.monotonic_s(), -1
        pause = threading.Event()
        while True:
            row = connection.execute(_POSITIONS, (names,)).fetchone()
            assert row is not None
            head = row[0] if head is None else head
            count, position = row[1], row[2]
            if count == len(names) and position >= head:
                return
            if position > reached:
                reached, moved_at_s = position, clock.monotonic_s()
            if clock.monotonic_s() - moved_at_s > stalled_after_s:
                raise NotUpToDate(
                    f"the read models {', '.join(names)} stand at {position} of {head}: "
                    "run tollgate ledger rebuild"
                )
            pause.wait(_LOOK_AGAIN_S)
