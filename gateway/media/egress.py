"""The one way to addresses that clients name: media in their messages, fetched within bounds.

A name is resolved once, every address it has must be public, and it is those that are connected to:
nobody can answer differently a moment later. Redirects are not followed, cookies and proxies of the
environment not used, nothing is unpacked. What is read is bounded in bytes and time.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from yarl import URL

from gateway.errors import MediaUnavailable, UpstreamFailed, UpstreamTimeout
from gateway.http.client.client import ProviderClient
from gateway.http.client.names import Found
from gateway.http.upstream import UpstreamRequest, UpstreamTimeouts
from gateway.media.public_addresses import Address, Network, is_in, is_reachable, literal

URL_CHARACTERS_MAX = 4_096
PORTS = frozenset({80, 443, 8080, 8443})
"""Where public web servers listen; in networks that the operator allows, any port will do."""
AT_ONCE_MAX = 8
"""Fetches of one process at a time: with the bytes of each, a bound of its memory."""

_ALONE = {"connection": "close"}
"""A server need not keep one for us: hardly anybody names it again."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a name, for a port."""


@dataclass(frozen=True, slots=True)
class EgressLimits:
    """What may be fetched: bytes of all media of a request together, seconds for each, and from
    which networks besides the public ones.
    """

    max_bytes: int = 20 * 1024 * 1024
    within_s: float = 30.0
    allowed: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """What lay at an address; `media_type` in lower case without parameters, empty if not told."""

    content: bytes
    media_type: str


class Budget:
    """The bytes that are left for one request."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes

    def require(self, size: int) -> None:
        """Raises MediaUnavailable where there are not so many left."""
        if size > self._left:
            raise MediaUnavailable("is too large")

    def take(self, size: int) -> None:
        """They are gone. Raises MediaUnavailable where there are not so many left."""
        self.require(size)
        self._left -= size


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """As the system resolves it. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Egress:
    """Fetches what clients name. `resolve` is another than the system's in tests."""

    def __init__(
        self, limits: EgressLimits = EgressLimits(), resolve: Resolve = system_resolve
    ) -> None:
        self._limits = limits
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._client = ProviderClient(
            UpstreamTimeouts(first_byte_s=limits.within_s, idle_s=limits.within_s),
            names=_Guarded(resolve, limits.allowed),
        )

    def budget(self) -> Budget:
        """For all media of one request."""
        return Budget(self._limits.max_bytes)

    async def fetch(self, address: str, budget: Budget) -> Fetched:
        """What lies at an address. Raises MediaUnavailable, whose message says why it cannot be."""
        url = self._checked(address)
        try:
            async with asyncio.timeout(self._limits.within_s), self._turns:
                return await self._get(url, budget)
        except TimeoutError as late:
            raise MediaUnavailable("does not come in time") from late
        except (UpstreamFailed, UpstreamTimeout) as error:
            # What exactly failed would tell a stranger about our network.
            raise MediaUnavailable("cannot be reached") from error

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    def _checked(self, address: str) -> URL:
        """The address as it will be asked: read this once. Raises MediaUnavailable."""
        if len(address) > URL_CHARACTERS_MAX:
            raise MediaUnavailable("has too long an address")
        if not address.isprintable() or any(each in address for each in " \\"):
            raise MediaUnavailable("has no proper address")
        try:
            url = URL(address)
            host, port = url.raw_host, url.port
            told = literal(host) if host else None
        except ValueError as error:
            raise MediaUnavailable("has no proper address") from error
        if url.scheme not in ("http", "https") or not host or "%" in host:
            raise MediaUnavailable("has no address of the web")
        if url.raw_user is not None or url.raw_password is not None:
            raise MediaUnavailable("has an address with a password")
        if told is not None:
            _require_reachable([told], port or 0, self._limits.allowed)
        return url.with_fragment(None)

    async def _get(self, url: URL, budget: Budget) -> Fetched:
        answer = await self._client.send(UpstreamRequest(str(url), _ALONE, method="GET"))
        try:
            headers = answer.headers
            if 300 <= answer.status < 400:
                raise MediaUnavailable("lies elsewhere now, and redirects are not followed")
            if answer.status != 200:
                raise MediaUnavailable(f"is answered with status {answer.status}")
            if headers.get("content-encoding", "identity").lower() != "identity":
                raise MediaUnavailable("comes packed, which nobody asked for")
            content = bytearray()
            budget.require(int(headers.get("content-length", "0")))
            async for piece in answer.pieces():
                budget.take(len(piece))
                content += piece
        finally:
            answer.close()
        media_type = headers.get("content-type", "").partition(";")[0]
        return Fetched(bytes(content), media_type.strip().lower())


class _Guarded:
    """Gives the client the addresses of a name, if all of them may be asked."""

    def __init__(self, resolve: Resolve, allowed: Sequence[Network]) -> None:
        self._resolve = resolve
        self._allowed = allowed

    async def resolve(self, host: str, port: int) -> Found:
        """Raises MediaUnavailable."""
        try:
            found = [ip_address(each) for each in await self._resolve(host, port)]
        except (OSError, ValueError, UnicodeError) as error:
            raise MediaUnavailable("has a name that nobody knows") from error
        if not found:
            raise MediaUnavailable("has a name that nobody knows")
        _require_reachable(found, port, self._allowed)
        return [
            (
                socket.AF_INET6 if each.version == 6 else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (str(each), port, 0, 0) if each.version == 6 else (str(each), port),
            )
            for each in found
        ]


def _require_reachable(addresses: Sequence[Address], port: int, allowed: Sequence[Network]) -> None:
    """Raises MediaUnavailable."""
    if not all(is_reachable(each, allowed) for each in addresses):
        raise MediaUnavailable("is not at a public address")
    if port not in PORTS and not all(is_in(each, allowed) for each in addresses):
        raise MediaUnavailable("is at a port where nothing is fetched")
