"""The client of each channel: by its own way, over connections that serve no other channel."""

from dataclasses import replace
from uuid import UUID

from gateway.http.client.client import ProviderClient
from gateway.http.client.names import Names
from gateway.http.client.proxy import Proxy
from gateway.http.client.tls import ResumingContext, client_context
from gateway.http.upstream import USUAL, UpstreamTimeouts, Way
from ledger.proxy_addresses import read_proxy_address


class ProviderClients:
    """Upstreams. A client is made at its channel's first call, and another one once the way has
    changed: calls that are under way end as they began.
    """

    def __init__(self, timeouts: UpstreamTimeouts = USUAL) -> None:
        self._usual = timeouts
        self._names = Names()
        self._contexts: dict[str, ResumingContext] = {}
        self._known: dict[UUID, tuple[Way, ProviderClient]] = {}

    def of(self, channel_id: UUID, way: Way) -> ProviderClient:
        """Raises ValueError for a way that does not exist."""
        known = self._known.get(channel_id)
        if known is not None and known[0] == way:
            return known[1]
        client = self._by(way)
        if known is not None:
            known[1].retire()
        self._known[channel_id] = (way, client)
        return client

    async def close(self) -> None:
        """Close every connection."""
        for _, client in self._known.values():
            await client.close()

    def _by(self, way: Way) -> ProviderClient:
        usual = self._usual
        timeouts = replace(
            usual,
            connect_s=way.connect_s or usual.connect_s,
            first_byte_s=way.first_byte_s or usual.first_byte_s,
            idle_s=way.idle_s or usual.idle_s,
        )
        tls = self._contexts.get(way.roots)
        if tls is None:
            tls = self._contexts[way.roots] = client_context(way.roots)
        proxy = Proxy.at(read_proxy_address(way.proxy)) if way.proxy else None
        return ProviderClient(timeouts, tls, self._names, proxy)
