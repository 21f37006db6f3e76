"""Ending what runs too long: one deadline per call, moved when the client leaves or we drain."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class Cut:
    """The deadline of one call; while `guard` is entered, reaching it raises TimeoutError there."""

    def __init__(self, deadline_s: float | None) -> None:
        self._deadline_s = deadline_s
        self._active: asyncio.Timeout | None = None
        self.reason = "deadline"

    def at_most(self, within_s: float, reason: str) -> None:
        """End the call that soon, unless it ends sooner anyway."""
        deadline_s = asyncio.get_running_loop().time() + within_s
        if self._deadline_s is None or deadline_s < self._deadline_s:
            self._deadline_s = deadline_s
            self.reason = reason
            if self._active is not None:
                self._active.reschedule(deadline_s)

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        """Raises TimeoutError at the deadline."""
        async with asyncio.timeout_at(self._deadline_s) as self._active:
            try:
                yield
            finally:
                self._active = None


class Cutter:
    """Every call in flight, so that a drain can end them all."""

    def __init__(self) -> None:
        self._cuts: set[Cut] = set()

    @contextmanager
    def cut(self, call_s: float | None) -> Iterator[Cut]:
        """The deadline of a new call; None: no deadline of its own."""
        now_s = asyncio.get_running_loop().time()
        cut = Cut(None if call_s is None else now_s + call_s)
        self._cuts.add(cut)
        try:
            yield cut
        finally:
            self._cuts.discard(cut)

    def cut_all(self, reason: str) -> None:
        """End every call now; each settles what it delivered."""
        for cut in list(self._cuts):
            cut.at_most(0.0, reason)

    def __len__(self) -> int:
        return len(self._cuts)
