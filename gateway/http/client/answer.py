"""An answer as it arrives on a connection, for the one who reads it."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Protocol

from gateway.errors import GatewayError, UpstreamFailed
from gateway.http.upstream import UpstreamTimeouts, whole_body

BUFFERED_BYTES_MAX = 256 * 1024
"""Of what nobody has read yet: the provider waits then."""


class Carrier(Protocol):
    """The connection on which an answer arrives."""

    def resume(self) -> None:
        """Its reader has room again."""

    def abort(self) -> None:
        """Nobody wants the rest."""


class Answer:
    """An UpstreamAnswer. The connection tells it what came and the reader waits for that; once it
    is whole, the connection may already serve another call.

    `due_s`: until when its reader waits now, on the loop's clock; while the reader is busy with
    what came, the provider is not late. `over_s`: when it is given up whatever happens.
    """

    def __init__(self, carrier: Carrier, timeouts: UpstreamTimeouts, now_s: float) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_begun = False
        self.is_whole = False
        self.buffered_bytes = 0
        self.due_s = now_s + timeouts.first_byte_s
        self.over_s = now_s + timeouts.total_s
        self._carrier = carrier
        self._timeouts = timeouts
        self._parts: list[bytes] = []
        self._error: GatewayError | None = None
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Future[None] | None = None

    async def begun(self) -> None:
        """Wait for the head. Raises UpstreamFailed, UpstreamTimeout."""
        if not self.is_begun and self._error is None:
            await self._await_news()
        if self._error is not None and not self.is_begun:
            raise self._error

    async def read(self) -> bytes:
        """The whole body, as `whole_body`."""
        if self.is_whole:
            return self._taken()
        try:
            return await whole_body(self.pieces(), self._timeouts)
        except GatewayError:
            self.close()
            raise

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises UpstreamFailed, UpstreamTimeout."""
        while True:
            if self._parts:
                yield self._taken()
            elif self.is_whole:
                return
            elif self._error is not None:
                raise self._error
            else:
                self.due_s = self._loop.time() + self._timeouts.idle_s
                await self._await_news()

    def close(self) -> None:
        """Give up what was not read; the provider sees the connection end."""
        if not self.is_whole and self._error is None:
            self.fail(UpstreamFailed("the answer was given up"))
            self._carrier.abort()

    def begin(self, status: int) -> None:
        """Its head is here."""
        self.status = status
        self.is_begun = True
        self._tell()

    def add(self, piece: bytes) -> None:
        """More of its body."""
        self._parts.append(piece)
        self.buffered_bytes += len(piece)
        if self._news is not None:
            self._tell()

    def end(self) -> None:
        """It is whole."""
        self.is_whole = True
        self._tell()

    def fail(self, error: GatewayError) -> None:
        """No more of it comes."""
        if not self.is_whole and self._error is None:
            self._error = error
            self._tell()

    async def _await_news(self) -> None:
        self._news = self._loop.create_future()
        await self._news

    def _tell(self) -> None:
        self.due_s = math.inf
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)

    def _taken(self) -> bytes:
        parts = self._parts
        if not parts:
            return b""
        self._parts, self.buffered_bytes = [], 0
        if not self.is_whole:
            self._carrier.resume()
        return parts[0] if len(parts) == 1 else b"".join(parts)
