"""A process that carries out jobs until none is waiting; the background process starts it.

Apart from the others, so that hours of computing hold up neither sweeping nor folding, and what a
job takes of memory is given back. When whoever started it goes away, so does it: the work is
unwound and the job waits for the next.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator

import psycopg
import structlog

from admin_api.desk import Desk
from admin_api.jobs.registry import KINDS
from admin_api.jobs.runner import JobParts, carry_out_next
from tollgate import log as log_lines
from tollgate.core import open_core
from tollgate.processes import assignment
from tollgate.processes.assignment import Assignment

log = structlog.get_logger()

_CONNECTIONS_MAX = 2
_NICENESS = 10
"""Calls come first: a job takes what they leave of the processors."""
_UNWIND_WITHIN_S = 8.0


def main() -> int:
    """Work as told through the inherited pipe; 0 when nothing is waiting any more."""
    given = assignment.receive(sys.argv)
    log_lines.configure(process=given.name)
    os.nice(_NICENESS)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=_watch, args=(stopping,), name="starter", daemon=True).start()
    parts = JobParts(given.app_dsn, given.redis_url, lambda: _desk(given), KINDS)
    try:
        while not stopping.is_set() and carry_out_next(parts, stopping):
            pass
    except psycopg.OperationalError as error:
        log.warning("jobs.database_away", error=str(error))
        return 1
    return 0


def _watch(stopping: threading.Event) -> None:
    """Standard input ends when whoever started us does, killed or not.

    Not read through Python's own reader: an interpreter that ends wants the lock of that back.
    """
    while os.read(0, 4_096):
        pass
    stopping.set()
    threading.Event().wait(_UNWIND_WITHIN_S)
    os._exit(1)


@contextlib.asynccontextmanager
async def _desk(given: Assignment) -> AsyncIterator[Desk]:
    async with (
        open_core(
            given.app_dsn, given.redis_url, given.crypto_secret, connections_max=_CONNECTIONS_MAX
        ) as core,
        core.desk_alone() as desk,
    ):
        yield desk


if __name__ == "__main__":
    sys.exit(main())
