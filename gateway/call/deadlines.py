"""Ending what runs too long: one deadline per call, moved when the client leaves or we drain."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from gateway.errors import GatewayError, Overloaded, UpstreamTimeout

_DEADLINE = "deadline"


class Deadline:
    """The deadline of one call; while `guard` is entered, reaching it raises TimeoutError there."""

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.active: asyncio.Timeout | None = None
        self.reason = _DEADLINE

    def at_most(self, within_s: float, reason: str) -> None:
        """End the call that soon, unless it ends sooner anyway."""
        deadline_s = asyncio.get_running_loop().time() + within_s
        if deadline_s < self.deadline_s:
            self.deadline_s = deadline_s
            self.reason = reason
            if self.active is not None:
                self.active.reschedule(deadline_s)

    @property
    def error(self) -> GatewayError:
        """What the client of a call that was ended here is told."""
        if self.reason == _DEADLINE:
            return UpstreamTimeout("the call took longer than a call may take")
        return Overloaded("the call was ended before its answer was complete", retry_after_s=1)

    def guard(self) -> "_Guard":
        """As `async with`: raises TimeoutError at the deadline."""
        return _Guard(self)


class _Guard:
    """A class, for a generator would cost each call as much again as the deadline itself."""

    __slots__ = ("_deadline", "_timeout")

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._timeout = asyncio.timeout_at(deadline.deadline_s)

    async def __aenter__(self) -> None:
        self._deadline.active = await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._deadline.active = None
        await self._timeout.__aexit__(kind, error, trace)


class Deadlines:
    """Every call in flight, so that a drain can end them all; none takes longer than `call_s`."""

    def __init__(self, call_s: float) -> None:
        self._call_s = call_s
        self._deadlines: set[Deadline] = set()
        self._ended_for: str | None = None

    @contextmanager
    def begin(self) -> Iterator[Deadline]:
        """The deadline of a new call."""
        deadline = Deadline(asyncio.get_running_loop().time() + self._call_s)
        if self._ended_for is not None:
            deadline.at_most(0.0, self._ended_for)
        self._deadlines.add(deadline)
        try:
            yield deadline
        finally:
            self._deadlines.discard(deadline)

    def end_all(self, reason: str, *, for_good: bool = False) -> None:
        """End every call now, `for_good` also those to come; each settles what it delivered."""
        if for_good:
            self._ended_for = reason
        for deadline in list(self._deadlines):
            deadline.at_most(0.0, reason)

    def __len__(self) -> int:
        return len(self._deadlines)
