"""Where a request goes, and its head as it is sent (RFC 9112, 3 and 5)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

_ADDRESS = re.compile(r"(https?)://([^/?#\\@]+)([^#]*)", re.IGNORECASE)
_UNSENDABLE = re.compile(r"[\x00-\x20\x7f]")
_PORTS = {False: 80, True: 443}
_KNOWN_MAX = 4_096


class Origin(NamedTuple):
    """What a connection leads to; `host` without the brackets of IPv6."""

    is_tls: bool
    host: str
    port: int


class Address(NamedTuple):
    """An origin, how it is named in the head, and what is asked of it."""

    origin: Origin
    host_named: str
    target: str


@lru_cache(maxsize=_KNOWN_MAX)
def read_address(url: str) -> Address:
    """An address as it is, path and query untouched: what was signed is what is sent.

    Raises ValueError for what is none, and for one with a user or a password in it.
    """
    found = _ADDRESS.match(url)
    if found is None or _UNSENDABLE.search(url):
        raise ValueError("no address of the web")
    scheme, authority, target = found.groups()
    parts = urlsplit(f"//{authority}")
    host, port, is_tls = parts.hostname, parts.port, scheme.lower() == "https"
    if not host:
        raise ValueError("no host in the address")
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    named = f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS[is_tls]:
        named += f":{port}"
    if not target.startswith("/"):
        target = "/" + target
    return Address(Origin(is_tls, host, port or _PORTS[is_tls]), named, target)


def request_head(method: str, address: Address, headers: Mapping[str, str], size: int) -> bytes:
    """The head of a request with a body of `size` bytes. `host`, `accept` and `accept-encoding`
    are ours unless they are given by these names.

    Raises ValueError where a header would end before its value does.
    """
    told = {"host": address.host_named, "accept": "*/*", "accept-encoding": "identity", **headers}
    if size or method != "GET":
        told["content-length"] = str(size)
    lines = "\r\n".join([f"{name}: {value}" for name, value in told.items()])
    head = f"{method} {address.target} HTTP/1.1\r\n{lines}\r\n\r\n"
    ends = len(told) + 2
    if head.count("\r") != ends or head.count("\n") != ends or "\0" in head:
        raise ValueError("a header with a control character")
    return head.encode()
