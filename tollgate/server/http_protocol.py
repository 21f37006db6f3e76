"""One connection: uvicorn's protocol, with the bounds that a socket open to the world needs.

uvicorn and its parser bound neither the time nor the size of a request's head. Here a request that
goes beyond them, or is malformed, is answered in JSON and its connection closed before any route
sees it.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, cast

import httptools
import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tollgate.server import http_head
from tollgate.server.http_head import (
    ConnectionLimits,
    Refused,
    check_headers,
    check_request_line,
    check_size,
)

log = structlog.get_logger(__name__)


class HttpConfig(uvicorn.Config):
    """uvicorn's configuration and our limits, which each connection reads from here."""

    limits: ConnectionLimits


class HttpProtocol(HttpToolsProtocol):
    """One connection: uvicorn's, with the checks in the parser's callbacks."""

    config: HttpConfig

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **named)
        self.limits = self.config.limits
        self.deadline_s = math.inf
        # The head being read
        self._head_is_open = False
        self._head_is_timed = False
        self._head_bytes = 0
        self._chunk_bytes = 0
        self._chunk_is_shared = False
        self._stopped_by: Refused | None = None
        # The body being read
        self._keep_alive_if_whole = False
        self._is_chunked = False
        self._chunked_fed_bytes = 0
        self._chunked_body_bytes = 0
        self._body_left_by_upgrade_bytes = 0
        # The end of the connection
        self._pending_refusal: Refused | None = None
        self._is_ending = False
        self._is_draining = False
        self._is_half_closed = False
        self._is_write_stalled = False

    # ------------------------------------------------------------------ what the socket says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._answer_transport = cast(asyncio.Transport, _AnswerTransport(transport, self._end))
        self._expire_in(self.limits.first_byte_s)

    def data_received(self, data: bytes) -> None:
        if self._is_ending or self._pending_refusal is not None:
            return
        self._chunk_bytes = len(data)
        self._chunk_is_shared = False
        if self._head_is_open:
            self._head_bytes += len(data)
        was_chunked = self._is_chunked
        try:
            self._parse(data)
            if self._head_is_open:
                self._check_open_head()
            elif was_chunked and self._is_chunked:
                self._check_chunk_overhead(len(data))
        except Refused as refusal:
            self._refuse(refusal)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Still answer a request that was whole when the client closed its own direction.

        A client that is gone altogether looks the same, so the answer has to begin soon.
        """
        cycle = self._last_cycle()
        if self._is_ending or cycle is None or cycle.more_body or cycle.response_started:
            self._expire_in(self.limits.write_stall_s)
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
        self._is_write_stalled = False
        if self._is_ending:
            self._expire_in(self.limits.write_stall_s)
        elif self._is_idle():
            self._expire_in(self.limits.idle_s)
        else:
            self.deadline_s = math.inf

    def shutdown(self) -> None:
        self._is_draining = True
        super().shutdown()

    def expire(self) -> None:
        """The deadline has passed: close, with a word where the client can be waiting for one."""
        self.deadline_s = math.inf
        if self.transport.is_closing() or self._is_write_stalled:
            self.transport.abort()
        elif self._is_half_closed and self.cycle.response_started:
            return
        elif self.flow.read_paused:  # then it is not the client who is late
            self._expire_in(self.limits.head_s)
        elif self._head_is_open and not self._is_ending:
            self._refuse(Refused(408, "request_timeout", "The headers did not arrive in time."))
        else:
            self._expire_in(self.limits.write_stall_s)
            self.transport.close()

    # ------------------------------------------------------------------ what the parser says

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_is_open = True
        self._head_is_timed = False
        self._head_bytes = 0 if self._chunk_is_shared else self._chunk_bytes

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.limits.url_max_bytes:
            self._stop(Refused(414, "url_too_long", "The URL is too long."))

    def on_headers_complete(self) -> None:
        try:
            self._check_head()
        except Refused as refusal:
            self._stop(refusal)
        self._head_is_open = False
        if not self._is_write_stalled:
            self.deadline_s = math.inf
        super().on_headers_complete()
        self.headers = []  # takes the trailers, which among the headers would be forgeries
        cycle = self.cycle
        cycle.transport = self._answer_transport
        # An answer that begins before the body is whole ends the connection: nobody would read
        # the rest, and the next request could not be found.
        self._keep_alive_if_whole = cycle.keep_alive
        cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._chunked_body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._body_left_by_upgrade_bytes:
            return
        self._chunk_is_shared = True
        self._is_chunked = False
        if not self.cycle.response_started and not self._is_draining:
            self.cycle.keep_alive = self._keep_alive_if_whole
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next pipelined request, or wait for one: uvicorn's, without its timer."""
        self.server_state.total_requests += 1
        if self._is_ending or self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._pending_refusal is not None:
            self._answer_refusal(self._pending_refusal)
        else:
            self._expire_in(self.limits.head_s if self._head_is_open else self.limits.idle_s)

    # ------------------------------------------------------------------ reading

    def _parse(self, data: bytes) -> None:
        while data:
            if self._body_left_by_upgrade_bytes:
                data = self._take_body_left_by_upgrade(data)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]  # declined, as RFC 9110 (7.8) allows
            except httptools.HttpParserError as error:
                if self._stopped_by is not None:
                    raise self._stopped_by from error
                is_method = isinstance(error, httptools.HttpParserInvalidMethodError)
                raise http_head.unparsable(str(error), data, is_method=is_method) from error
            else:
                return

    def _take_body_left_by_upgrade(self, data: bytes) -> bytes:
        left_bytes = self._body_left_by_upgrade_bytes
        body = data[:left_bytes]
        self._body_left_by_upgrade_bytes -= len(body)
        self.on_body(body)
        if not self._body_left_by_upgrade_bytes:
            self.on_message_complete()
        return data[left_bytes:]

    def _check_open_head(self) -> None:
        if self._head_bytes > self.limits.head_max_bytes:
            raise http_head.head_too_large()
        if not self._head_is_timed and not self._is_write_stalled:
            self._head_is_timed = True
            self._expire_in(self.limits.head_s)

    def _check_head(self) -> None:
        limits = self.limits
        parser = self.parser
        version = parser.get_http_version()
        check_request_line(parser.get_method(), version, self.url)
        if len(self.pipeline) >= limits.pipelined_max:
            raise Refused(400, "invalid_http", "Too many requests wait for their answers.")
        if self._chunk_bytes + self._head_bytes > limits.head_max_bytes:
            check_size(self.headers, limits)
        self._is_chunked = check_headers(self.headers, limits, version)
        self._chunked_fed_bytes = self._chunked_body_bytes = 0
        if version == "1.0":
            self.expect_100_continue = False
        if parser.should_upgrade():  # the parser takes a body for the other protocol's
            if self._is_chunked:
                raise Refused(400, "invalid_http", "An Upgrade with chunks is not read here.")
            lengths = [value for name, value in self.headers if name == b"content-length"]
            self._body_left_by_upgrade_bytes = int(lengths[0]) if lengths else 0

    def _check_chunk_overhead(self, fed_bytes: int) -> None:
        self._chunked_fed_bytes += fed_bytes
        allowed_bytes = self.limits.chunk_overhead_max_bytes + 8 * self._chunked_body_bytes
        if self._chunked_fed_bytes - self._chunked_body_bytes > allowed_bytes:
            raise Refused(400, "invalid_http", "The chunks are mostly not body.")

    def _stop(self, refusal: Refused) -> None:
        """Leave a callback of the parser, which would not let the exception itself through."""
        self._stopped_by = refusal
        raise refusal

    # ------------------------------------------------------------------ ending

    def _refuse(self, refusal: Refused) -> None:
        """Answer once it is this request's turn."""
        log.info(
            "request_refused",
            status=refusal.status,
            code=refusal.code,
            message=refusal.message,
            request_id=refusal.request_id,
            client=self.client and self.client[0],
        )
        cycle = self._last_cycle()
        if cycle is None or cycle.response_complete:
            self._answer_refusal(refusal)
        elif self._head_is_open:
            self._pending_refusal = refusal
        elif self.pipeline and self.pipeline[0][0] is cycle:  # broken while it waits for its turn
            self.pipeline.popleft()
            self._pending_refusal = refusal
        elif not cycle.response_started:
            self._disconnect(cycle)
            self._answer_refusal(refusal)
        else:
            self.transport.abort()

    def _disconnect(self, cycle: RequestResponseCycle) -> None:
        """To the application, a request whose body breaks off is one whose client has left."""
        cycle.disconnected = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()

    def _answer_refusal(self, refusal: Refused) -> None:
        if not self.transport.is_closing():
            self.transport.write(refusal.response())
            self._end()

    def _end(self) -> None:
        """Close so that the client sees the answer.

        A socket that is closed with input unread is reset, and the reset can overtake the answer
        (RFC 9112, 9.6). So close our direction only, and go on discarding for a while.
        """
        if self._is_ending or self.transport.is_closing():
            return
        self._is_ending = True
        cycle = self._last_cycle()
        is_input_left = cycle is None or cycle.more_body or self._head_is_open
        if is_input_left and self.transport.can_write_eof():
            self.flow.resume_reading()
            self.transport.write_eof()
            self._expire_in(self.limits.linger_s)
        else:
            self._expire_in(self.limits.write_stall_s)
            self.transport.close()

    def _last_cycle(self) -> RequestResponseCycle | None:
        """The newest request's; uvicorn's own declaration forgets that there may be none."""
        return self.cycle

    def _is_idle(self) -> bool:
        cycle = self._last_cycle()
        return cycle is None or cycle.response_complete

    def _expire_in(self, seconds: float) -> None:
        self.deadline_s = self.loop.time() + seconds


class _AnswerTransport:
    """The part of a transport that answers use; closing is done with care."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, end: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = end
