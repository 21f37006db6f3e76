"""Signals of the supervisor: requests to stop are counted, a child's end wakes it up."""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Self

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopRequested(BaseException):
    """Somebody asked to stop while something that takes long was being done."""


class StopSignals:
    """A context; inside it, SIGTERM, SIGINT and SIGHUP only count up `stops`."""

    def __init__(self) -> None:
        self.stops = 0
        self._is_interrupting = False
        self._restoring = contextlib.ExitStack()
        self._reading = -1

    def __enter__(self) -> Self:
        self._reading, writing = os.pipe()  # not inheritable
        os.set_blocking(self._reading, False)
        os.set_blocking(writing, False)
        self._restoring.callback(os.close, self._reading)
        self._restoring.callback(os.close, writing)
        previous = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._restoring.callback(signal.set_wakeup_fd, previous)
        for number in _STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP for us
                self._handle(number)
        self._restoring.callback(
            signal.signal, signal.SIGCHLD, signal.signal(signal.SIGCHLD, _only_wake)
        )
        return self

    def __exit__(self, *_error: object) -> None:
        self._restoring.close()

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """Here a request to stop raises StopRequested, at once or at the next signal."""
        self._is_interrupting = True
        try:
            if self.stops:
                raise StopRequested
            yield
        finally:
            self._is_interrupting = False

    def wait(self, timeout_s: float) -> None:
        """Return at the next signal, at the latest after the timeout."""
        ready, _, _ = select.select([self._reading], [], [], timeout_s)
        if ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reading, 4096)

    def _handle(self, number: signal.Signals) -> None:
        self._restoring.callback(signal.signal, number, signal.signal(number, self._count))

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.stops += 1
        if self._is_interrupting:
            self._is_interrupting = False
            raise StopRequested


def _only_wake(_number: int, _frame: FrameType | None) -> None:
    pass
