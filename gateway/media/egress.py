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

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.errors import MediaUnavailable
from gateway.media.public_addresses import Address, Network, is_in, is_reachable, literal

URL_CHARACTERS_MAX = 4_096
PORTS = frozenset({80, 443, 8080, 8443})
"""Where public web servers listen; in networks that the operator allows, any port will do."""
AT_ONCE_MAX = 8
"""Fetches of one process at a time: with the bytes of each, a bound of its memory."""

_CONNECT_S = 5.0
_CHUNK_BYTES = 64 * 1024

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
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_Guarded(resolve, limits.allowed), use_dns_cache=False, force_close=True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent",),
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
        except (aiohttp.ClientError, ValueError, OSError) as error:
            # What exactly failed would tell a stranger about our network.
            raise MediaUnavailable("cannot be reached") from error

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

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
        asking = self._session.get(
            url, allow_redirects=False, headers={"accept": "*/*", "accept-encoding": "identity"}
        )
        async with asking as response:
            if 300 <= response.status < 400:
                raise MediaUnavailable("lies elsewhere now, and redirects are not followed")
            if response.status != 200:
                raise MediaUnavailable(f"is answered with status {response.status}")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise MediaUnavailable("comes packed, which nobody asked for")
            content = bytearray()
            budget.require(response.content_length or 0)
            async for piece in response.content.iter_chunked(_CHUNK_BYTES):
                budget.take(len(piece))
                content += piece
            media_type = response.headers.get("content-type", "").partition(";")[0]
            return Fetched(bytes(content), media_type.strip().lower())


class _Guarded(AbstractResolver):
    """Gives the connector the addresses of a name, if all of them may be asked."""

    def __init__(self, resolve: Resolve, allowed: Sequence[Network]) -> None:
        self._resolve = resolve
        self._allowed = allowed

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the resolver's choice
    ) -> list[ResolveResult]:
        """Raises MediaUnavailable."""
        try:
            found = [ip_address(each) for each in await self._resolve(host, port)]
        except (OSError, ValueError, UnicodeError) as error:
            raise MediaUnavailable("has a name that nobody knows") from error
        if not found:
            raise MediaUnavailable("has a name that nobody knows")
        _require_reachable(found, port, self._allowed)
        return [
            ResolveResult(
                hostname=host,
                host=str(each),
                port=port,
                family=socket.AF_INET6 if each.version == 6 else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for each in found
        ]

    async def close(self) -> None:
        """There is nothing to close."""


def _require_reachable(addresses: Sequence[Address], port: int, allowed: Sequence[Network]) -> None:
    """Raises MediaUnavailable."""
    if not all(is_reachable(each, allowed) for each in addresses):
        raise MediaUnavailable("is not at a public address")
    if port not in PORTS and not all(is_in(each, allowed) for each in addresses):
        raise MediaUnavailable("is at a port where nothing is fetched")
