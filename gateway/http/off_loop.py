"""Long work on bytes in a thread beside the event loop, short work at once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

INLINE_MAX_BYTES = 64 * 1024
"""Above this, reading JSON takes long enough to be felt by the other requests of the process."""

_Result = TypeVar("_Result")


class Beside:
    """One thread: several would not read faster under one interpreter lock, and each one more that
    competes for it delays the event loop by another switch interval.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, size_bytes: int, work: Callable[[], _Result]) -> _Result:
        """What `work` gives, whose effort grows with `size_bytes`."""
        if size_bytes <= INLINE_MAX_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
