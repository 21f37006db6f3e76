"""One HTTP/1.1 connection to a provider, one exchange at a time (RFC 9112).

What arrives while no request is outstanding is nobody's answer (9.2 there): the next call may be
another customer's, who would be told it and charged for it. So a connection on which anything
arrives between two calls, an end included, is closed at once; one parser reads all of it, so half
a message behind an answer is seen as well; and before the connection is used again the socket is
asked whether something lies there that the event loop has not looked at yet.
"""

import asyncio
import re
import select
from ssl import SSLObject
from typing import Protocol, cast

import httptools

from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.http.client.answer import BUFFERED_BYTES_MAX, Answer
from gateway.http.upstream import UpstreamTimeouts

FRAMING_BYTES_MAX = 64 * 1024
"""Of head, chunks' sizes and trailers without a byte of a body between them."""
KEPT_S = 30.0
_SENT_BYTES = 256 * 1024
"""Of a body at a time: the rest waits until the provider has read."""
_FRAMED = frozenset({"content-length", "transfer-encoding"})
"""What says where a body ends."""
_TIMEOUT = re.compile(r"timeout=(\d{1,6})")


class Owner(Protocol):
    """The pool a connection belongs to."""

    def keep(self, connection: "Connection") -> None:
        """It is free for another call."""

    def forget(self, connection: "Connection") -> None:
        """It is of no use any more."""


class _Stranger(Exception):
    """A message that nobody asked for begins."""


class Connection(asyncio.Protocol):
    """Made by an event loop; `ask` what is to be asked once it stands."""

    def __init__(self, owner: Owner, timeouts: UpstreamTimeouts) -> None:
        self._owner = owner
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._answer: Answer | None = None
        self._unsent: memoryview | None = None
        self._framing_bytes = 0
        self._is_full = False
        self._is_held = False
        self._is_over = False
        self._is_open = False
        self.transport: asyncio.Transport
        self.free_until_s = 0.0
        """When it is closed if nobody asks over it before."""

    def ask(self, head: bytes, body: bytes) -> Answer:
        """Send a request; nothing of the answer is here yet."""
        answer = self._answer = Answer(self, self._timeouts, self._loop.time())
        self._framing_bytes = 0
        if len(body) <= _SENT_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self._unsent = memoryview(body)
            self._send_on()
        return answer

    def is_silent(self) -> bool:
        """Whether nothing came after the last answer: neither read, nor still in the socket."""
        # Of TLS these are records, not yet words: what they say is not waited for.
        return self._is_open and not self.transport.is_closing() and not self._waiting.poll(0)

    def check(self, now_s: float) -> None:
        """Give up an answer that is late."""
        answer = self._answer
        if answer is None or not (now_s >= answer.due_s or now_s >= answer.over_s):
            return
        silent = "stopped answering" if answer.is_begun else "did not answer in time"
        answer.fail(UpstreamTimeout(f"the provider {silent}"))
        self.abort()

    def abort(self) -> None:
        """The provider sees it end at once."""
        self.transport.abort()

    def resume(self) -> None:
        """The reader has taken what was held for it."""
        if self._is_held:
            self._is_held = False
            self.transport.resume_reading()

    @property
    def tls(self) -> SSLObject | None:
        """What was agreed on, if it is TLS."""
        agreed: SSLObject | None = self.transport.get_extra_info("ssl_object")
        return agreed

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are of its own kind
        self._is_open = True
        self._waiting = select.poll()
        self._waiting.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def connection_lost(self, exc: Exception | None) -> None:
        """It ended, which is how an answer without a length ends."""
        self._is_open = False
        answer, self._answer = self._answer, None
        self._owner.forget(self)
        if answer is None:
            return
        told = answer.headers
        if exc is None and answer.is_begun and told.keys().isdisjoint(_FRAMED):
            answer.end()
            return
        broken = "broke off its answer" if answer.is_begun else "cannot be reached"
        answer.fail(UpstreamFailed(f"the provider {broken}"))

    def data_received(self, data: bytes) -> None:
        """Some of an answer, or of what nobody asked for."""
        answer = self._answer
        if answer is None:
            self.abort()
            return
        self._framing_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._unreadable(answer)
            return
        if self._is_over:
            self._finish(answer)
        elif answer.buffered_bytes > BUFFERED_BYTES_MAX and not self._is_held:
            self._is_held = True
            self.transport.pause_reading()
        elif self._framing_bytes > FRAMING_BYTES_MAX:
            self._unreadable(answer)

    def pause_writing(self) -> None:
        """The provider does not read as fast as this is written."""
        self._is_full = True

    def resume_writing(self) -> None:
        """There is room again."""
        self._is_full = False
        self._send_on()

    # What the parser tells.

    def on_message_begin(self) -> None:
        """A message; behind a whole answer, a stranger's."""
        if self._is_over:
            raise _Stranger

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the head, or of the trailers, which nobody reads."""
        answer = self._answer
        assert answer is not None
        if not answer.is_begun:
            told = value.decode("utf-8", "surrogateescape")
            answer.headers[name.decode("latin-1").lower()] = told

    def on_headers_complete(self) -> None:
        """The head, unless it is an interim one (RFC 9110, 15.2)."""
        answer, status = self._answer, self._parser.get_status_code()
        assert answer is not None
        if status >= 200:
            self._is_kept = self._parser.should_keep_alive()
            answer.begin(status)
        else:
            answer.headers.clear()

    def on_body(self, piece: bytes) -> None:
        """Some of the body."""
        assert self._answer is not None
        self._framing_bytes = 0
        self._answer.add(piece)

    def on_message_complete(self) -> None:
        """The end of an answer, or of an interim one."""
        assert self._answer is not None
        self._is_over = self._answer.is_begun

    def _send_on(self) -> None:
        while self._unsent and not self._is_full:
            piece, self._unsent = self._unsent[:_SENT_BYTES], self._unsent[_SENT_BYTES:]
            self.transport.write(piece)

    def _finish(self, answer: Answer) -> None:
        """The answer is whole: whoever reads it does not need the connection for that."""
        self._answer, self._is_over = None, False
        self.resume()
        answer.end()
        if not self._is_kept or self._unsent or self.transport.get_write_buffer_size():
            # It answered without having read all, and would take the rest for the next request.
            self.abort()
            return
        self.free_until_s = self._loop.time() + _kept_s(answer.headers.get("keep-alive"))
        self._owner.keep(self)

    def _unreadable(self, answer: Answer) -> None:
        """What came is no HTTP, or behind an answer something else did."""
        if self._is_over:
            self._answer = None
            answer.end()
        else:
            answer.fail(UpstreamFailed("the provider's answer is not HTTP"))
        self.abort()


def _kept_s(told: str | None) -> float:
    """How long it is kept: less than the provider says it will wait for another request, for one
    that is on its way when it closes is lost.
    """
    found = _TIMEOUT.search(told) if told is not None else None
    return KEPT_S if found is None else min(KEPT_S, int(found[1]) - 1)
