"""The proxy of a client, as its connections need it."""

import base64
from typing import NamedTuple, Self

from gateway.http.client.addresses import Origin
from ledger.proxy_addresses import Kind, ProxyAddress


class Proxy(NamedTuple):
    """Where it is, who passes, and what it is told of that."""

    kind: Kind
    origin: Origin
    user: str
    password: str

    @classmethod
    def at(cls, address: ProxyAddress) -> Self:
        """The proxy there."""
        origin = Origin(address.kind == "https", address.host, address.port)
        return cls(address.kind, origin, address.user, address.password)

    def __repr__(self) -> str:
        return f"Proxy({self.kind}, {self.origin})"

    def reads(self, origin: Origin) -> bool:
        """Whether requests there are asked of the proxy (RFC 9112, 3.2.2), not sent through it."""
        return self.kind != "socks5" and not origin.is_tls

    @property
    def headers(self) -> dict[str, str]:
        """Who passes (RFC 9110, 11.7.2; RFC 7617)."""
        if not self.user:
            return {}
        told = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"proxy-authorization": f"Basic {told}"}
