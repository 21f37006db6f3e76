"""Which addresses of the internet may be asked because a stranger named them: public ones alone.

Sources: https://www.iana.org/assignments/iana-ipv4-special-registry and
https://www.iana.org/assignments/iana-ipv6-special-registry.
An IPv4 address within an IPv6 one (mapped, or by NAT64) is judged as what it is.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_NEVER: tuple[Network, ...] = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "100.64.0.0/10",
            "168.63.129.16/32",  # Azure's host, a public address that leads nowhere public
            "192.0.0.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "240.0.0.0/4",
            "::/96",
            "64:ff9b:1::/48",
            "100::/64",
            "2001::/23",
            "2002::/16",
            "3fff::/20",
            "5f00::/16",
            "fec0::/10",
        ),
    )
)
"""Beside what the standard library knows to be private, local, reserved or for many."""


def is_reachable(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address may be asked: it is public, or lies in a network the operator allows."""
    plain = _plain(address)
    if is_in(plain, allowed):
        return True
    if isinstance(plain, IPv6Address) and plain.scope_id is not None:
        return False
    is_special = plain.is_multicast or plain.is_reserved or not plain.is_global
    return not is_special and not is_in(plain, _NEVER)


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address lies in one of some networks, as what it really is."""
    plain = _plain(address)
    return any(plain in network for network in networks if network.version == plain.version)


def literal(host: str) -> Address | None:
    """The address that a URL's host is, None for a name.

    Raises ValueError for what some resolvers take for an address and others for a name: `127.1`,
    `0x7f.1`, `2130706433`.
    """
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        last = host.rstrip(".").rpartition(".")[2].lower()
        if last.isdigit() or last.startswith("0x"):
            raise
        return None


def _plain(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
