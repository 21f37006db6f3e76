"""One HTTP exchange as the relay sees it: who asks, what was said so far, who is still there."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import quote
from uuid import UUID

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]
Header = tuple[bytes, bytes]

_PLAIN = "!#$&'()*+/:;<=>?@[]^`{|}"
"""What may stand in a name besides letters, digits and `_.-~`."""

FOR_EVERY_ORIGIN: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"*"),
)
"""Programs in browsers may call from anywhere: what counts is the key, and no browser adds one."""
WATCHED_AFTER_S = 1.0
WRITE_STALL_S = 30.0
"""A client that does not read for this long is gone."""
_UNSAFE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def header_list(names: Iterable[str], max_bytes: int) -> bytes:
    """Names that somebody else made up, as a header's value: percent-encoded where they are not
    plain words (RFC 3986, 2.1), so that none of them ends the header or the list; as many whole
    ones as have room.
    """
    value = b""
    for name in names:
        longer = value + b", " * bool(value) + quote(name, safe=_PLAIN, errors="replace").encode()
        if len(longer) > max_bytes:
            break
        value = longer
    return value


class Exchange:
    """A request and the answer to it; `is_gone` turns true when the client leaves.

    `charge_id` is the id of the charge it may open, and as text the `request_id` the client sees.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, charge_id: UUID) -> None:
        self.charge_id = charge_id
        self.request_id = str(charge_id)
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self.headers: list[Header] = scope["headers"]
        self.peer: str = (scope.get("client") or ("", 0))[0]
        self.receive = receive
        self.is_gone = False
        self.has_started = False
        self.has_written = False
        """Whether any of the body is on its way."""
        self.told_besides: list[Header] = []
        """Headers of whatever is answered."""
        self._send = send
        self._watch: asyncio.Task[None] | asyncio.TimerHandle | None = None
        self._when_gone: Callable[[], None] | None = None

    def header(self, name: bytes) -> str | None:
        """The first header of this lower-case name, as latin-1 text."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None

    def send_through(self, wrapped: Callable[[Send], Send]) -> None:
        """Tell what is still to be told by way of another sender."""
        self._send = wrapped(self._send)

    def watch(self, when_gone: Callable[[], None]) -> None:
        """Call back once when the client leaves; the whole body must have been read. Not at once,
        for most calls are over by then, and to watch costs more than to set a timer.
        """
        self._when_gone = when_gone
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(WATCHED_AFTER_S, self.watch_now)

    def watch_now(self) -> None:
        """The same from here on."""
        self.unwatch()
        self._watch = asyncio.create_task(self._await_disconnect())

    def unwatch(self) -> None:
        """Nobody is called back from here on."""
        if self._watch is not None:
            self._watch.cancel()

    async def respond(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        """The whole answer at once."""
        length = (b"content-length", str(len(body)).encode())
        await self.start(status, [*headers, length])
        await self._send({"type": "http.response.body", "body": body})

    async def start(self, status: int, headers: Iterable[Header]) -> None:
        """Status and headers; what follows cannot change them.

        Raises ValueError for a header that would end before its value does, with nothing sent.
        """
        names = [*headers, *self.told_besides]
        if _UNSAFE.search(b"".join([value for _, value in names])):
            raise ValueError("a header with a control character")
        self.has_started = True
        if self.header(b"origin") is not None:
            names += FOR_EVERY_ORIGIN
        if not any(name == b"x-request-id" for name, _ in names):
            names.append((b"x-request-id", self.request_id.encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": names})

    async def write(self, piece: bytes) -> None:
        """A piece of the body; a client that stalls too long counts as gone."""
        if self.is_gone:
            return
        self.has_written = True
        try:
            async with asyncio.timeout(WRITE_STALL_S):
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            self._left()

    async def end(self, last: bytes = b"") -> None:
        """The last piece, and the end of the body."""
        self.unwatch()
        if not self.is_gone:
            await self._send({"type": "http.response.body", "body": last})

    async def _await_disconnect(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self._left()

    def _left(self) -> None:
        if not self.is_gone:
            self.is_gone = True
            if self._when_gone is not None:
                self._when_gone()
