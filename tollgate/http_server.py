"""The HTTP server: uvicorn with every bound that a socket open to the world needs.

uvicorn and its parser bound neither the time nor the size of a request's head, and let through
what two servers in a row may read differently (measured; RFC 9112 names the smuggling this
allows). Here such a request is answered in JSON and its connection closed, before any route sees
it. Deadlines cost nothing per request: one sweep a second looks at all connections.
"""

import asyncio
import contextlib
import functools
import importlib.util
import json
import math
import re
import urllib.parse
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

import httptools
import structlog
import uvicorn
from uvicorn._types import ASGIApplication
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ledger import ids

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take before and between its requests."""

    first_byte_s: float = 10.0
    head_s: float = 10.0
    """From the first byte of a request to the end of its headers."""
    idle_s: float = 60.0
    linger_s: float = 2.0
    """How long a client may go on sending what is no longer read, so that it sees the answer."""
    half_closed_s: float = 10.0
    """How long an answer may take to begin once the client has closed its own direction."""
    write_stall_s: float = 30.0
    head_max_bytes: int = 64 * 1024
    headers_max: int = 200
    url_max_bytes: int = 16 * 1024
    pipelined_max: int = 100
    chunk_overhead_max_bytes: int = 16 * 1024
    """Chunk extensions and trailers: this much, and 8 bytes for each byte of the body."""


class HttpConfig(uvicorn.Config):
    """uvicorn's configuration and our limits, which each connection reads from here."""

    limits: ConnectionLimits


def server_config(
    app: ASGIApplication,
    *,
    limits: ConnectionLimits = ConnectionLimits(),
    graceful_shutdown_s: int | None = None,
) -> HttpConfig:
    """The one way this program serves HTTP; listening sockets are given to `Server.serve`."""
    config = HttpConfig(
        app,
        http=HttpProtocol,
        loop="uvloop" if importlib.util.find_spec("uvloop") else "asyncio",
        ws="none",
        lifespan="on",
        interface="asgi3",
        workers=1,  # otherwise read from the environment
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # whom to believe about addresses is decided behind this door
        forwarded_allow_ips="",
        backlog=2048,
        timeout_keep_alive=math.ceil(limits.idle_s),
        timeout_graceful_shutdown=graceful_shutdown_s,
    )
    config.limits = limits
    return config


class Server(uvicorn.Server):
    """A server that leaves signals to its worker, which drains by setting `should_exit`."""

    ticks_per_sweep = 10
    """uvicorn ticks every 100 ms."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % self.ticks_per_sweep == 0:
            self._sweep()
        return await super().on_tick(counter)

    def _sweep(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpProtocol) and connection.deadline_s < now_s:
                connection.expire()


class _Refused(Exception):
    """Raised out of the parser's callbacks to stop it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, config: HttpConfig, *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        super().__init__(config, *arguments, **named)
        self.limits = config.limits
        self.deadline_s = math.inf
        self._cycle_transport: asyncio.Transport
        self._head_is_open = False
        self._head_fed_bytes = 0
        self._watched: dict[bytes, bytes] = {}
        self._is_chunked = False
        self._chunked_fed_bytes = 0
        self._chunked_body_bytes = 0
        self._keep_alive_if_whole = False
        self._ignored_upgrade_body_bytes = 0
        self._refusal: _Refused | None = None
        self._is_lingering = False
        self._is_draining = False
        self._is_half_closed = False
        self._is_write_stalled = False

    # --- connection -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._cycle_transport = cast(asyncio.Transport, _CycleTransport(self, transport))
        self._expire_in(self.limits.first_byte_s)

    def data_received(self, data: bytes) -> None:
        if self._is_lingering or self._refusal is not None:
            return
        was_chunked = self._is_chunked
        self._head_fed_bytes += len(data)
        try:
            self._feed(data)
            if self._is_chunked and was_chunked:
                self._check_chunk_overhead(len(data))
        except _Refused as refusal:
            self._refuse(refusal)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer a request that was complete when the client closed its direction.

        This cannot be told from a client that is gone altogether, so the answer has to begin soon.
        """
        cycle = self.cycle
        if cycle is None or cycle.more_body or cycle.response_started or self._is_lingering:
            return None
        cycle.keep_alive = False
        self._is_half_closed = True
        self._expire_in(self.limits.half_closed_s)
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._is_write_stalled = True
        self._expire_in(self.limits.write_stall_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._is_write_stalled:
            self._is_write_stalled = False
            self.deadline_s = math.inf

    def shutdown(self) -> None:
        self._is_draining = True
        super().shutdown()

    def expire(self) -> None:
        """The deadline has passed: close, with a word where the client is waiting for one."""
        self.deadline_s = math.inf
        if self.transport.is_closing():
            return
        if self._is_write_stalled:
            self.transport.abort()
        elif self._is_half_closed and self.cycle.response_started:
            return
        elif self._head_is_open and not self._is_lingering:
            self._refuse(_Refused(408, "request_timeout", "The headers did not arrive in time."))
        else:
            self.transport.close()

    # --- parser -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_is_open = True
        self._watched = {}

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.limits.url_max_bytes:
            raise _Refused(414, "url_too_long", "The URL is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_is_open:
            return  # a trailer: nobody here asks for one, and as a header it would be a forgery
        name = name.lower()
        if name in _WATCHED_HEADERS:
            value = value.rstrip(b" \t")
            if name in self._watched:
                raise _Refused(400, "invalid_header", f"The header {name.decode()} is repeated.")
            self._watched[name] = value
        elif b"_" in name:
            return  # gateways of the CGI kind read x_y as x-y: never ours, so never a header
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        watched = self._watched
        self._check_head(watched)
        self._head_is_open = False
        self._is_chunked = b"transfer-encoding" in watched
        self._chunked_fed_bytes = self._chunked_body_bytes = 0
        self.expect_100_continue = watched.get(b"expect", b"").lower() == b"100-continue"
        if self.parser.should_upgrade():
            self._ignore_upgrade(watched)
        self.deadline_s = math.inf
        super().on_headers_complete()
        cycle = self.cycle
        cycle.transport = self._cycle_transport
        # Until the body is whole, an answer ends the connection: what follows is not a request.
        self._keep_alive_if_whole = cycle.keep_alive
        cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._chunked_body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._ignored_upgrade_body_bytes:
            return
        self._is_chunked = False
        self._head_fed_bytes = 0
        cycle = self.cycle
        if not cycle.response_started and not self._is_draining:
            cycle.keep_alive = self._keep_alive_if_whole
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next pipelined request, or wait for one; uvicorn's, without its timer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self._is_lingering:
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._refusal is not None:
            self._write_refusal(self._refusal)
        else:
            self._expire_in(self.limits.head_s if self._head_is_open else self.limits.idle_s)

    # --- our own ----------------------------------------------------------------------------

    def finish(self) -> None:
        """Close once the client has had the chance to see the answer.

        A socket closed with unread input is reset, and the reset can overtake the answer
        (RFC 9112, 9.6): so close our direction only, and go on discarding for a while.
        """
        self._is_lingering = True
        cycle = self.cycle
        if cycle is None or self._head_is_open or cycle.more_body:
            self.flow.resume_reading()
            if self.transport.can_write_eof() and not self.transport.is_closing():
                self.transport.write_eof()
                self._expire_in(self.limits.linger_s)
                return
        self.transport.close()

    def _expire_in(self, seconds: float) -> None:
        self.deadline_s = self.loop.time() + seconds

    def _feed(self, data: bytes) -> None:
        if self._ignored_upgrade_body_bytes:
            data = self._feed_ignored_upgrade(data)
        head_was_open = self._head_is_open
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._refusal is None:
                self._feed(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            raise _as_refusal(error, data) from error
        if self._head_is_open:
            self._check_open_head(head_was_open)
        elif self.cycle is None and self.deadline_s == math.inf:
            self._expire_in(self.limits.head_s)

    def _check_open_head(self, was_open: bool) -> None:
        if self._head_fed_bytes > self.limits.head_max_bytes:
            raise _TOO_LARGE_HEAD
        if not was_open and (self.cycle is None or self.cycle.response_complete):
            self._expire_in(self.limits.head_s)
