"""New connections to providers: straight, or through a proxy."""

import asyncio
import re
import socket
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from ssl import SSLContext
from typing import TypeVar, cast

import aiohappyeyeballs

from gateway.errors import UpstreamFailed
from gateway.http.client.addresses import Address, Origin, request_head
from gateway.http.client.connection import Connection, Owner
from gateway.http.client.names import Resolver
from gateway.http.client.proxy import Proxy
from gateway.http.upstream import UpstreamTimeouts

AnyProtocol = TypeVar("AnyProtocol", bound=asyncio.Protocol)
_NEXT_ADDRESS_AFTER_S = 0.25
"""When a second address of a host is tried beside the first (RFC 8305, 5)."""
_PROXY_REFUSED = "the channel's proxy refuses"


class Dialing:
    """How one client opens connections; all of them belong to `owner`."""

    def __init__(
        self,
        owner: Owner,
        names: Resolver,
        tls: SSLContext,
        timeouts: UpstreamTimeouts,
        proxy: Proxy | None,
    ) -> None:
        self._names = names
        self._tls = tls
        self._proxy = proxy
        self._new = partial(Connection, owner, timeouts)

    async def connected(self, origin: Origin) -> Connection:
        """A connection that leads there. Raises OSError, UnicodeError, UpstreamFailed."""
        proxy = self._proxy
        if proxy is None:
            return await self._over(await self._socket(origin), origin, self._new)
        if proxy.kind == "socks5":
            opened = await self._socket(proxy.origin)
            try:
                await _pass_socks(opened, proxy, origin)
            except BaseException:
                opened.close()
                raise
            return await self._over(opened, origin, self._new)
        if proxy.reads(origin):
            return await self._over(await self._socket(proxy.origin), proxy.origin, self._new)
        return await self._tunnel(proxy, origin)

    async def _socket(self, origin: Origin) -> socket.socket:
        found = await self._names.resolve(origin.host, origin.port)
        return await aiohappyeyeballs.start_connection(
            found, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_S, interleave=1
        )

    async def _over(
        self, opened: socket.socket, origin: Origin, new: Callable[[], AnyProtocol]
    ) -> AnyProtocol:
        """HTTP over what is open, within TLS where it shall be."""
        try:
            _, protocol = await asyncio.get_running_loop().create_connection(
                new,
                sock=opened,
                ssl=self._tls if origin.is_tls else None,
                server_hostname=origin.host if origin.is_tls else None,
            )
        except BaseException:
            opened.close()
            raise
        return protocol

    async def _tunnel(self, proxy: Proxy, origin: Origin) -> Connection:
        """TLS to the provider through what the proxy lets pass (CONNECT, RFC 9110, 9.3.6)."""
        passage = await self._over(await self._socket(proxy.origin), proxy.origin, _Passage)
        try:
            named = f"[{origin.host}]" if ":" in origin.host else origin.host
            there = f"{named}:{origin.port}"
            head = request_head("CONNECT", Address(origin, there, there), proxy.headers, 0)
            passage.transport.write(head)
            await passage.granted
            connection = self._new()
            transport = await asyncio.get_running_loop().start_tls(
                passage.transport, connection, self._tls, server_hostname=origin.host
            )
        except BaseException:
            passage.transport.abort()
            raise
        assert transport is not None
        connection.connection_made(transport)
        return connection


class _Passage(asyncio.Protocol):
    """The head of what a proxy says to CONNECT; all that comes after it is the provider's."""

    def __init__(self) -> None:
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever the reason
        self._refuse()

    def data_received(self, data: bytes) -> None:
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if end and not rest and _GRANTED.match(head) and not self.granted.done():
            self.granted.set_result(None)
        elif end or len(self._head) > _HEAD_BYTES_MAX:
            self._refuse()

    def _refuse(self) -> None:
        if not self.granted.done():
            self.granted.set_exception(UpstreamFailed(_PROXY_REFUSED))


_GRANTED = re.compile(rb"HTTP/1\.[01] 2\d\d[ \r]")
_HEAD_BYTES_MAX = 16 * 1024


async def _pass_socks(opened: socket.socket, proxy: Proxy, origin: Origin) -> None:
    """Ask a proxy of SOCKS 5 for a connection by name (RFC 1928; with a password RFC 1929).

    Raises OSError, UpstreamFailed.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(opened, b"\5\2\0\2" if proxy.user else b"\5\1\0")
    version, method = await _read(opened, 2)
    if version != 5 or method not in ((0, 2) if proxy.user else (0,)):
        raise UpstreamFailed(_PROXY_REFUSED)
    if method == 2:
        words = b"".join([bytes([len(w)]) + w for w in _words(proxy)])
        await loop.sock_sendall(opened, b"\1" + words)
        if (await _read(opened, 2))[1] != 0:
            raise UpstreamFailed(_PROXY_REFUSED)
    port = origin.port.to_bytes(2, "big")
    await loop.sock_sendall(opened, b"\5\1\0" + _socks_address(origin.host) + port)
    version, reply, _, kind = await _read(opened, 4)
    if version != 5 or reply != 0 or kind not in _BOUND_BYTES:
        raise UpstreamFailed("the channel's proxy cannot reach the provider")
    length = _BOUND_BYTES[kind] or (await _read(opened, 1))[0]
    await _read(opened, length + 2)


_BOUND_BYTES = {1: 4, 3: 0, 4: 16}
"""Of an address by its kind; that of a name stands before it."""


def _socks_address(host: str) -> bytes:
    """A name goes as it is: the proxy resolves it."""
    try:
        address = ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        return bytes([3, len(name)]) + name
    return bytes([1 if address.version == 4 else 4]) + address.packed


def _words(proxy: Proxy) -> tuple[bytes, bytes]:
    return proxy.user.encode(), proxy.password.encode()


async def _read(opened: socket.socket, size: int) -> bytes:
    """So many bytes and no more: what follows is the provider's. Raises OSError."""
    loop, read = asyncio.get_running_loop(), b""
    while len(read) < size:
        piece = await loop.sock_recv(opened, size - len(read))
        if not piece:
            raise ConnectionResetError("the proxy ended the connection")
        read += piece
    return read
