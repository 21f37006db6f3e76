"""Networks as people write them: IPv4 told as IPv6 (`::ffff:10.0.0.1`) is IPv4."""

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

Network = IPv4Network | IPv6Network

_MAPPED_BITS = 96


def read_network(text: str) -> Network:
    """A network or a single address; bits behind its prefix do not count. Raises ValueError."""
    network = ip_network(text, strict=False)
    first = network.network_address
    mapped = first.ipv4_mapped if isinstance(first, IPv6Address) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
