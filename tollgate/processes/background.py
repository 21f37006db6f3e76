"""The background process: folds the log into read models, sweeps dead nodes' holds, tidies up,
seals the log, watches the clock, asks whether keys of channels work again, and starts a process of
their own for waiting jobs.
"""

import asyncio
import contextlib
import signal
import sys
import threading

import psycopg
import structlog
import uvloop
from psycopg_pool import PoolTimeout

from gateway.call.charges.sweeper import Sweeper
from ledger.store.believed_clock import ClockWatch
from projections.registry import PROJECTIONS
from projections.runner import Runner
from tollgate import log as log_lines
from tollgate.core import Core, open_core
from tollgate.processes import assignment
from tollgate.processes.assignment import Assignment
from tollgate.processes.clock_watching import watch_clock
from tollgate.processes.job_children import JobChildren
from tollgate.processes.key_probing import probe_keys
from tollgate.processes.sealing import Sealing
from tollgate.processes.upkeep import Upkeep

log = structlog.get_logger()

_POOL_CONNECTIONS_MAX = 4
_LOOK_AGAIN_S = 0.25


def main() -> int:
    """Work as told through the inherited pipe until asked to stop; 0 then."""
    given = assignment.receive(sys.argv)
    log_lines.configure(process=given.name)
    stop = threading.Event()
    runner = Runner(given.app_dsn, PROJECTIONS)
    # Folding keeps a processor busy, so it has a thread; a crash of it is the process's.
    folding = threading.Thread(target=runner.run_until, args=(stop,), name="projections")
    folding.start()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            is_orderly = loop.run(_work(given, folding))
    finally:
        stop.set()
        folding.join()
    return 0 if is_orderly else 1


async def _work(given: Assignment, folding: threading.Thread) -> bool:
    """Sweep and tidy until a signal (True) or until the folding has died (False)."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    async with open_core(
        given.app_dsn,
        given.redis_url,
        given.crypto_secret,
        connections_max=_POOL_CONNECTIONS_MAX,
    ) as core:
        sealing = Sealing(core, given.signer_socket)
        tasks = [
            asyncio.create_task(_sweep(core)),
            asyncio.create_task(sealing.run()),
            asyncio.create_task(Upkeep(core.pool).run()),
            asyncio.create_task(watch_clock(ClockWatch(core.pool))),
            asyncio.create_task(JobChildren(given, core).run()),
            asyncio.create_task(probe_keys(given, core)),
        ]
        try:
            while not asked.is_set() and folding.is_alive() and not any(t.done() for t in tasks):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asked.wait(), 1.0)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        if asked.is_set():
            await sealing.seal_the_end()
    for error in ended:
        if not isinstance(error, asyncio.CancelledError):
            log.error("background.task_ended", error=repr(error))
    return asked.is_set()


async def _sweep(core: Core) -> None:
    """Sweep for ever, once there is a list of open charges: on a fresh ledger it comes first."""
    while True:
        if await _has_open_charges(core):
            await Sweeper(core.pool, core.writer).run()
        await asyncio.sleep(_LOOK_AGAIN_S)


async def _has_open_charges(core: Core) -> bool:
    try:
        async with core.pool.connection() as connection:
            cursor = await connection.execute("select to_regclass('projections.open_charges')")
            row = await cursor.fetchone()
    except (psycopg.Error, PoolTimeout, OSError):
        return False
    return row is not None and row[0] is not None


if __name__ == "__main__":
    sys.exit(main())
