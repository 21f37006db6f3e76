"""Addresses of proxies: what is one, and that nobody is shown who may pass."""

import pytest

from ledger.proxy_addresses import read_proxy_address


@pytest.mark.parametrize(
    ("written", "kind", "host", "port"),
    [
        ("http://proxy", "http", "proxy", 80),
        ("https://proxy/", "https", "proxy", 443),
        ("socks5://[::1]", "socks5", "::1", 1080),
        ("socks5h://us%3Aer:pass%20word@proxy:9", "socks5", "proxy", 9),
    ],
)
def test_addresses_of_proxies(written: str, kind: str, host: str, port: int) -> None:
    proxy = read_proxy_address(written)
    assert (proxy.kind, proxy.host, proxy.port) == (kind, host, port)
    if "@" in written:
        assert (proxy.user, proxy.password) == ("us:er", "pass word")
    assert "pass" not in repr(proxy)
    assert read_proxy_address(proxy.shown) == proxy._replace(user="", password="")


@pytest.mark.parametrize(
    "written",
    [
        *("", "proxy:80", "ftp://proxy", "http://", "http://a:99999", "http://a/b", "http://a?b"),
        *("socks4://a", "httph://a", "http://a\n", "socks5://" + "u" * 256 + ":p@a"),
    ],
)
def test_what_is_no_address_of_a_proxy(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_proxy_address(written)
