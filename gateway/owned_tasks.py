"""Work that goes on whoever waits for it: a client that leaves cancels nothing."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from ledger import clock


class OwnedTasks:
    """Tasks that belong to the service: no request takes them down, a drain waits for them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run to the end, whoever waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self, within_s: float) -> bool:
        """Wait until all are done; False if some were not in time."""
        deadline_s = clock.monotonic_s() + within_s
        while self._tasks and (left_s := deadline_s - clock.monotonic_s()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s)
        return not self._tasks

    async def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run to the end even if whoever waits here is cancelled."""
        await asyncio.shield(self.start(work))

    async def in_time(self, work: Coroutine[Any, Any, Any], within_s: float) -> bool:
        """Run to the end, and wait only so long for it; False if it goes on without us."""
        done, _ = await asyncio.wait({self.start(work)}, timeout=within_s)
        for task in done:
            task.result()
        return bool(done)
