"""One physical connection to Redis: calls leave in batches, replies come back in order.

The wire format is RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/), packed
and parsed by hiredis. A server answers in the order it was asked, so the only state is a queue
of futures. A future stays in the queue when its caller is cancelled: its reply is still owed, and
taking it out would hand every later reply to the wrong caller.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

from projections.cache.errors import CacheUnavailable

Word = str | bytes | int
"""One word of a command."""

Command = tuple[Any, ...]
"""The words of a command; hiredis declares the argument of its packer as a tuple of one word."""

Reply = object
"""bytes, int, None or a list of them; or, as a value, hiredis.ReplyError or CacheUnavailable."""

STALLED_LOOP_GRACE_S = 0.01


class Pipeline(asyncio.Protocol):
    """Sends every command of one loop tick in one write and resolves the replies in order.

    Futures resolve to exceptions instead of raising them: nobody has to collect the outcome of a
    call that is no longer of interest.
    """

    def __init__(self, deadline_s: float, on_lost: Callable[["Pipeline", str], None]) -> None:
        self.lost: str | None = None
        self._deadline_s = deadline_s
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._outgoing: list[bytes] = []
        self._pending: deque[tuple[float, asyncio.Future[Reply]]] = deque()
        self._watchdog: asyncio.TimerHandle | None = None
        self._suspect: asyncio.Future[Reply] | None = None

    def send(self, command: Command) -> asyncio.Future[Reply]:
        """Queue a command; the future resolves to its reply, or to the reason there is none."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        if self.lost is not None:
            future.set_result(CacheUnavailable(self.lost))
            return future
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(hiredis.pack_command(command))
        self._pending.append((self._loop.time(), future))
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(self._deadline_s, self._watch)
        return future

    def drop(self, reason: str) -> None:
        """Give the connection up: everything pending resolves to `CacheUnavailable(reason)`."""
        if self.lost is not None:
            return
        self.lost = reason
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._outgoing.clear()
        for _, future in self._pending:
            if not future.done():
                future.set_result(CacheUnavailable(reason))
        self._pending.clear()
        self._on_lost(self, reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast(asyncio.Transport, transport)
        if self.lost is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Called by the loop: hand each complete reply to the oldest waiting call."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                _, future = self._pending.popleft()
                if not future.done():
                    future.set_result(reply)
        except hiredis.ProtocolError:
            self.drop("Redis sent something that is not a reply")
        except IndexError:
            self.drop("Redis sent a reply nobody asked for")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self.drop(f"the connection to Redis was lost: {exc or 'closed by the server'}")

    def _flush(self) -> None:
        if self._outgoing and self._transport is not None:
            self._transport.write(b"".join(self._outgoing))
            self._outgoing.clear()

    def _watch(self) -> None:
        """Drop the connection when the oldest call is overdue; one timer serves all calls.

        A loop that was busy for longer than the deadline may run this timer before it reads what
        arrived meanwhile, so the first sight of an overdue call only makes it a suspect.
        """
        self._watchdog = None
        if not self._pending:
            return
        sent_at, oldest = self._pending[0]
        left_s = sent_at + self._deadline_s - self._loop.time()
        if left_s <= 0:
            if self._suspect is oldest:
                self.drop(f"Redis did not reply within {self._deadline_s * 1_000:.0f} ms")
                return
            self._suspect = oldest
            left_s = STALLED_LOOP_GRACE_S
        self._watchdog = self._loop.call_later(left_s, self._watch)
