"""The one way out: HTTP to providers, with every answer bounded and every failure named.

Redirects are not followed, cookies not kept, proxies of the environment not used.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from ssl import SSLContext
from typing import Protocol

import aiohttp
import msgspec
import structlog
from yarl import URL

from gateway.errors import GatewayError, Overloaded, UpstreamFailed, UpstreamTimeout
from gateway.http.connections import KeptConnections
from ledger import clock

log = structlog.get_logger()

ANSWER_BYTES_MAX = 64 * 1024 * 1024
ANSWER_TOO_LARGE = "the provider's answer is too large"


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """How long a provider may take; `idle_s` is the longest wait between two pieces. A whole answer
    that has begun, white space aside, comes at a least rate after a time of grace: each byte of one
    that drips would be a reason to wait for the next.
    """

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    idle_s: float = 300.0
    whole_grace_s: float = 60.0
    whole_bytes_per_s: int = 1_024


async def whole_body(
    pieces: AsyncIterator[bytes],
    timeouts: UpstreamTimeouts = UpstreamTimeouts(),
    first: bytes = b"",
) -> bytes:
    """`first` and all pieces after it, within bounds of size and of time.

    Raises UpstreamFailed, UpstreamTimeout.
    """
    parts, size_bytes = [first], len(first)
    begun_s = clock.monotonic_s() if first.strip() else None
    async for piece in pieces:
        parts.append(piece)
        size_bytes += len(piece)
        if size_bytes > ANSWER_BYTES_MAX:
            raise UpstreamFailed(ANSWER_TOO_LARGE)
        if begun_s is None:
            # Some vendors send white space for as long as a model thinks.
            begun_s = clock.monotonic_s() if piece.strip() else None
            continue
        allowed_s = timeouts.whole_grace_s + size_bytes / timeouts.whole_bytes_per_s
        if clock.monotonic_s() - begun_s > allowed_s:
            raise UpstreamTimeout("the provider's answer comes too slowly")
    return b"".join(parts)


class UpstreamRequest(msgspec.Struct, frozen=True):
    """A request to a provider, a POST unless it says otherwise. `url` is sent as it is, so it must
    be quoted where it has to be.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    method: str = "POST"


class UpstreamAnswer(Protocol):
    """What a provider began to answer; header names are lower case."""

    @property
    def status(self) -> int:
        """The status of its HTTP answer."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""
        ...

    async def read(self) -> bytes:
        """The whole body, as `whole_body`."""

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises UpstreamFailed, UpstreamTimeout."""

    def close(self) -> None:
        """Give up what was not read; the provider sees the connection end."""


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer that is here already, as an UpstreamAnswer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    async def read(self) -> bytes:
        """The body."""
        return self.body

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, in one piece."""
        yield self.body

    def close(self) -> None:
        """Nothing is open."""


KEY_REFUSED = WholeAnswer(401, {}, b"")
"""What a provider is taken to say when it gives no token for a key."""


class Upstream:
    """Sends requests to providers over one pool of connections per process.

    `tls`: whom to believe, the system's roots where it is None.
    """

    def __init__(
        self, timeouts: UpstreamTimeouts = UpstreamTimeouts(), tls: SSLContext | None = None
    ) -> None:
        self._timeouts = timeouts
        self.idle_s = timeouts.idle_s
        self._session = aiohttp.ClientSession(
            connector=KeptConnections(keepalive_s=30, tls=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent",),
        )

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        """The provider's answer as soon as its headers are here.

        Raises UpstreamTimeout when they do not come in time, Overloaded where this process has no
        file left for a connection, UpstreamFailed for everything else that keeps them from coming.
        """
        try:
            posting = self._session.request(
                request.method,
                # Quoted otherwise it would not be what was signed, or another path altogether.
                URL(request.url, encoded=True),
                data=request.body or None,
                headers={"accept-encoding": "identity", **request.headers},
                allow_redirects=False,
            )
            async with asyncio.timeout(self._timeouts.first_byte_s):
                response = await posting
        except TimeoutError as error:
            raise UpstreamTimeout("the provider did not answer in time") from error
        except (aiohttp.ClientError, ValueError, OSError) as error:
            if not _is_file_left():
                log.error("upstream.too_many_open_files", remedy="raise the limit of open files")
                raise Overloaded("too many calls are under way", retry_after_s=1) from error
            raise UpstreamFailed("the provider cannot be reached") from error
        return _HttpAnswer(response, self._timeouts)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()


def _is_file_left() -> bool:
    """Asked after the fact: a name that is not resolved for want of files says nothing of them."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as refusal:
        return refusal.errno not in (errno.EMFILE, errno.ENFILE)
    return True


class _HttpAnswer:
    def __init__(self, response: aiohttp.ClientResponse, timeouts: UpstreamTimeouts) -> None:
        self._response = response
        self._timeouts = timeouts
        self.status = response.status
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in response.headers.items()
        }

    async def read(self) -> bytes:
        content = self._response.content
        if content.is_eof() and not content.exception():
            return content.read_nowait() if content.total_bytes else b""
        try:
            return await whole_body(self.pieces(), self._timeouts)
        except GatewayError:
            self.close()
            raise

    async def pieces(self) -> AsyncIterator[bytes]:
        content = self._response.content
        loop = asyncio.get_running_loop()
        idle_s = self._timeouts.idle_s
        try:
            # One timer for the whole answer, moved along. It rests while our reader is busy, for
            # it would strike whatever the reader's task is doing then.
            async with asyncio.timeout(idle_s) as deadline:
                while piece := await content.readany():
                    deadline.reschedule(None)
                    yield piece
                    deadline.reschedule(loop.time() + idle_s)
        except TimeoutError as error:
            raise UpstreamTimeout("the provider stopped answering") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailed("the provider broke off its answer") from error
        self._response.release()

    def close(self) -> None:
        self._response.close()
