"""Sends requests to providers over connections that are kept, and dials new ones.

Redirects are not followed, cookies not kept, proxies of the environment not used, nothing is
unpacked or sent twice. No call sets a timer: one look at all open connections, four times a
second, finds what is late.
"""

import asyncio
import contextlib
import errno
import os

import structlog

from gateway.errors import Overloaded, UpstreamFailed, UpstreamTimeout
from gateway.http.client.addresses import Origin, read_address, request_head
from gateway.http.client.answer import Answer
from gateway.http.client.connection import Connection
from gateway.http.client.dialing import Dialing
from gateway.http.client.names import Names, Resolver
from gateway.http.client.proxy import Proxy
from gateway.http.client.tls import ResumingContext, client_context
from gateway.http.upstream import USUAL, UpstreamRequest, UpstreamTimeouts

log = structlog.get_logger()

_LOOKED_AT_S = 0.25


class ProviderClient:
    """An Upstream over connections of its own, by one way. `tls`: whom to believe."""

    def __init__(
        self,
        timeouts: UpstreamTimeouts = USUAL,
        tls: ResumingContext | None = None,
        names: Resolver | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self.idle_s = timeouts.idle_s
        self._timeouts = timeouts
        self._tls = client_context() if tls is None else tls
        self._names = Names() if names is None else names
        self._proxy = proxy
        self._dialing = Dialing(self, self._names, self._tls, timeouts, proxy)
        self._free: dict[Origin, list[Connection]] = {}
        self._origins: dict[Connection, Origin] = {}
        self._look: asyncio.TimerHandle | None = None
        self._is_retired = False

    async def send(self, request: UpstreamRequest) -> Answer:
        """The provider's answer as soon as its headers are here.

        Raises UpstreamTimeout when they do not come in time, Overloaded where this process has no
        file left for a connection, UpstreamFailed for everything else that keeps them from coming.
        """
        try:
            address, headers = read_address(request.url), request.headers
            if self._proxy is not None and self._proxy.reads(address.origin):
                address = address._replace(target=request.url.partition("#")[0])
                headers = {**headers, **self._proxy.headers}
            head = request_head(request.method, address, headers, len(request.body))
        except ValueError as error:
            raise UpstreamFailed("the provider cannot be reached") from error
        connection = self._taken(address.origin) or await self._dial(address.origin)
        answer = connection.ask(head, request.body)
        try:
            await answer.begun()
        except BaseException:
            connection.abort()
            raise
        return answer

    async def close(self) -> None:
        """Close every connection."""
        for connection in tuple(self._origins):
            connection.abort()
        if self._look is not None:
            self._look.cancel()
        await asyncio.sleep(0)  # their ends are told in the loop's next turn

    def retire(self) -> None:
        """Nobody asks any more: close what is free now, and the rest after its answers."""
        self._is_retired = True
        for free in self._free.values():
            for connection in free:
                connection.abort()

    def keep(self, connection: Connection) -> None:
        """A connection is free for another call."""
        if self._is_retired:
            connection.abort()
            return
        origin = self._origins[connection]
        self._free.setdefault(origin, []).append(connection)
        if connection.tls is not None:
            self._tls.remember(origin.host, connection.tls.session)

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        origin = self._origins.pop(connection, None)
        free = self._free.get(origin, []) if origin is not None else []
        with contextlib.suppress(ValueError):
            free.remove(connection)

    def _taken(self, origin: Origin) -> Connection | None:
        """The connection that was used last, on which nothing was said since."""
        free = self._free.get(origin)
        while free:
            connection = free.pop()
            if connection.is_silent():
                return connection
            connection.abort()
        return None

    async def _dial(self, origin: Origin) -> Connection:
        """A new connection. Raises Overloaded, UpstreamFailed, UpstreamTimeout."""
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                connection = await self._dialing.connected(origin)
        except TimeoutError as error:
            raise UpstreamTimeout("the provider did not answer in time") from error
        except (OSError, UnicodeError) as error:
            if not _is_file_left():
                log.error("upstream.too_many_open_files", remedy="raise the limit of open files")
                raise Overloaded("too many calls are under way", retry_after_s=1) from error
            raise UpstreamFailed("the provider cannot be reached") from error
        self._origins[connection] = origin
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(_LOOKED_AT_S, self._look_at_all)
        return connection

    def _look_at_all(self) -> None:
        """Give up answers that are late, close what nobody asked over for long."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for connection in tuple(self._origins):
            connection.check(now_s)
        for free in self._free.values():
            for connection in [each for each in free if each.free_until_s <= now_s]:
                free.remove(connection)
                connection.abort()
        self._free = {origin: free for origin, free in self._free.items() if free}
        self._look = loop.call_later(_LOOKED_AT_S, self._look_at_all) if self._origins else None


def _is_file_left() -> bool:
    """Asked after the fact: a name that is not resolved for want of files says nothing of them."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as refusal:
        return refusal.errno not in (errno.EMFILE, errno.ENFILE)
    return True
