"""D7: networks as people write them."""

from ipaddress import ip_address

import pytest

from ledger.networks import read_network


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("::ffff:127.0.0.1/128", "127.0.0.1/32"),
        ("::ffff:127.0.0.1", "127.0.0.1/32"),
        ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
        ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::/0", "::/0"),
    ],
)
def test_d7_ipv4_told_as_ipv6_is_ipv4(text: str, means: str) -> None:
    assert str(read_network(text)) == means


def test_d7_an_address_of_today_matches() -> None:
    assert ip_address("127.0.0.1") in read_network("::ffff:127.0.0.1/128")


@pytest.mark.parametrize("text", ["", "x", "10.0.0.0/33", "::ffff:10.0.0.0/129", "10.0.0"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_network(text)
