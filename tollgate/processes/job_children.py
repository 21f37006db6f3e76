"""Starts a process for waiting jobs, as many as may work at once on this node, and ends them."""

import asyncio
import contextlib
import os
import sys

import msgspec
import psycopg
import structlog
from psycopg_pool import PoolTimeout

from admin_api.jobs.claims import is_work_waiting, remove_old
from ledger import clock
from tollgate.core import Core
from tollgate.processes import assignment
from tollgate.processes.assignment import Assignment

log = structlog.get_logger()

AT_ONCE = 2
LOOK_S = 0.5
_NEXT_AFTER_S = 3.0
"""So long a started process has for taking its job; then another one may be needed."""
_TIDY_EVERY_S = 3_600.0
_ENDED_WITHIN_S = 10.0


class JobChildren:
    """Runs in the background process of every node: any of them may take a job."""

    def __init__(self, given: Assignment, core: Core) -> None:
        self._given = msgspec.structs.replace(given, role="jobs", number=0, listening_fd=None)
        self._core = core
        self._running: set[asyncio.subprocess.Process] = set()
        self._next_start_s = 0.0
        self._next_tidy_s = 0.0

    async def run(self) -> None:
        """For ever; when cancelled, end what was started."""
        try:
            while True:
                with contextlib.suppress(psycopg.Error, PoolTimeout, OSError):
                    await self._look()
                await asyncio.sleep(LOOK_S)
        finally:
            await self._end_all()

    async def _look(self) -> None:
        self._running = {each for each in self._running if each.returncode is None}
        now_s = clock.monotonic_s()
        if now_s >= self._next_tidy_s:
            self._next_tidy_s = now_s + _TIDY_EVERY_S
            async with self._core.pool.connection() as connection:
                await remove_old(connection)
        if len(self._running) >= AT_ONCE or now_s < self._next_start_s:
            return
        async with self._core.pool.connection() as connection:
            is_waiting = await is_work_waiting(connection)
        if is_waiting:
            await self._start()
            self._next_start_s = now_s + _NEXT_AFTER_S

    async def _start(self) -> None:
        reading = assignment.send(self._given)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "tollgate.processes.job_process",
                self._given.name,
                str(reading),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=[reading],
            )
        finally:
            os.close(reading)
        self._running.add(process)
        log.info("jobs.process_started", pid=process.pid)

    async def _end_all(self) -> None:
        """Closing their standard input tells them; a killed background process does the same."""
        alive = [each for each in self._running if each.returncode is None]
        for process in alive:
            assert process.stdin is not None
            process.stdin.close()
        ending = [asyncio.create_task(process.wait()) for process in alive]
        if ending:
            await asyncio.wait(ending, timeout=_ENDED_WITHIN_S)
        for process in alive:
            if process.returncode is None:
                process.kill()
