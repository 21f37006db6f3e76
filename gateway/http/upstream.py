"""The one way out to providers, as everybody here knows it: every answer bounded, every failure
named.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from gateway.errors import UpstreamFailed, UpstreamTimeout
from ledger import clock

ANSWER_BYTES_MAX = 64 * 1024 * 1024
ANSWER_TOO_LARGE = "the provider's answer is too large"


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """How long a provider may take: until a connection stands, until its headers are here, between
    two pieces (`idle_s`, while somebody waits for one), for all of it (`total_s`). A whole answer
    that has begun, white space aside, comes at a least rate after a time of grace: each byte of one
    that drips would be a reason to wait for the next.
    """

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    idle_s: float = 300.0
    total_s: float = 86_400.0
    whole_grace_s: float = 60.0
    whole_bytes_per_s: int = 1_024


USUAL = UpstreamTimeouts()


async def whole_body(
    pieces: AsyncIterator[bytes],
    timeouts: UpstreamTimeouts = USUAL,
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
    be quoted where it has to be. `is_aside`: it is about the provider's key, not for an answer.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    method: str = "POST"
    is_aside: bool = False


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


class Way(NamedTuple):
    """How a provider is reached. `proxy`: the address of one on the way, with what it asks for;
    empty for none. `roots`: whom to believe, certificates in PEM; empty for the system's. Seconds:
    None for the usual time-outs.
    """

    proxy: str = ""
    roots: str = ""
    connect_s: float | None = None
    first_byte_s: float | None = None
    idle_s: float | None = None

    def __repr__(self) -> str:
        return f"Way({'through a proxy' if self.proxy else 'straight'})"


class Upstream(Protocol):
    """Sends requests to providers. `idle_s`: the longest wait between two pieces of an answer."""

    idle_s: float

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        """The provider's answer as soon as its headers are here.

        Raises UpstreamTimeout when they do not come in time, Overloaded where this process has no
        file left for a connection, UpstreamFailed for everything else that keeps them from coming.
        """
        ...


class Upstreams(Protocol):
    """Gives each channel the Upstream that is its own."""

    def of(self, channel_id: UUID, way: Way) -> Upstream:
        """By this way. Raises ValueError for one that does not exist."""
        ...

    async def close(self) -> None:
        """Close every connection."""
