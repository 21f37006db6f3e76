"""Connections to providers that are kept for the next call, and never carry a word of the last one.

What arrives on a connection while no request is outstanding is nobody's answer (RFC 9112, 9.2): the
next call over it may be another customer's, who would be told it and charged for it. So a kept
connection on which anything arrives, an end included, is closed at once; and before one is used
again the socket is asked whether something lies there that the event loop has not seen yet.
"""

import asyncio
import select
from functools import partial
from ssl import SSLContext
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection


class KeptConnections(aiohttp.TCPConnector):
    """As many connections as calls need; `tls` says whom to believe (None: the system's roots)."""

    def __init__(self, *, keepalive_s: float, tls: SSLContext | None = None) -> None:
        super().__init__(limit=0, keepalive_timeout=keepalive_s, ssl=True if tls is None else tls)
        self._factory = cast(partial[ResponseHandler], partial(_Answers, loop=self._loop))

    async def _get(self, key: ConnectionKey, traces: list[Any]) -> Connection | None:
        """A kept connection on which nothing was said since its last answer."""
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            assert isinstance(protocol, _Answers)
            if protocol.is_silent():
                protocol.listen()
                return connection
            connection.close()
        return None

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        assert isinstance(protocol, _Answers)
        protocol.rest()
        super()._release(key, protocol, should_close=should_close)


class _Answers(ResponseHandler):
    """One connection. While it rests no request is outstanding, and another protocol listens: what
    arrives for an answer, a hundred pieces of a stream, costs no question of ours.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._resting = _Resting(self)
        self._waiting = select.poll()
        self._waiting.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def rest(self) -> None:
        """Whatever comes from now on closes the connection."""
        if self.transport is not None:
            self.transport.set_protocol(self._resting)

    def listen(self) -> None:
        """What comes from now on is an answer."""
        if self.transport is not None:
            self.transport.set_protocol(self)

    def is_silent(self) -> bool:
        """Whether nothing came after the last answer: neither parsed, nor still in the socket."""
        # Of TLS these are records, not yet words: what they say is not waited for.
        return self.is_connected() and not self.should_close and not self._waiting.poll(0)


class _Resting(asyncio.Protocol):
    """Hears what is said between two calls, which is nobody's answer."""

    def __init__(self, answers: _Answers) -> None:
        self._answers = answers

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - whatever it is
        self._answers.abort()

    def eof_received(self) -> None:
        self._answers.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._answers.connection_lost(exc)

    def pause_writing(self) -> None:
        self._answers.pause_writing()

    def resume_writing(self) -> None:
        self._answers.resume_writing()
