"""Addresses of proxies, as operators write them and as they are told to anybody else."""

import re
from typing import Literal, NamedTuple, cast
from urllib.parse import unquote

Kind = Literal["http", "https", "socks5"]

_PORTS: dict[str, int] = {"http": 80, "https": 443, "socks5": 1080}
_SOCKS_WORD_BYTES_MAX = 255
_ADDRESS = re.compile(
    r"(?P<kind>https?|socks5)(?:(?<=socks5)h)?://"
    r"(?:(?P<user>[!-9;-?A-~]*)(?::(?P<password>[!-?A-~]*))?@)?"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE,
)


class ProxyAddress(NamedTuple):
    """Where a proxy is, and who may pass. A proxy of SOCKS resolves names itself, be it written
    `socks5` or `socks5h`.
    """

    kind: Kind
    host: str
    port: int
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return self.shown

    @property
    def shown(self) -> str:
        """Without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"


def read_proxy_address(url: str) -> ProxyAddress:
    """`http`, `https`, `socks5` or `socks5h`, with a user and a password if it asks for them, both
    percent-encoded where they have to be (RFC 3986, 3.2.1).

    Raises ValueError, which says what is wrong and nothing of the address.
    """
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise ValueError("must be http://, https:// or socks5:// [user:password@] host:port")
    kind = found["kind"].lower()
    user, password = unquote(found["user"] or ""), unquote(found["password"] or "")
    if max(len(user.encode()), len(password.encode())) > _SOCKS_WORD_BYTES_MAX:
        raise ValueError(f"must not have a user or password over {_SOCKS_WORD_BYTES_MAX} bytes")
    port = int(found["port"] or _PORTS[kind])
    if not 0 < port < 65_536:
        raise ValueError("must name a port")
    host = found["host"].lower().strip("[]")
    return ProxyAddress(cast(Kind, kind), host, port, user, password)
