"""Providers are reached through a channel's proxy, and by no other way."""

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from gateway.errors import GatewayError, UpstreamFailed, UpstreamTimeout
from gateway.http.client.client import ProviderClient
from gateway.http.client.proxy import Proxy
from gateway.http.client.tls import client_context
from gateway.http.upstream import UpstreamRequest, UpstreamTimeouts
from tests.gateway.http.client.conftest import Run
from tests.proxies import USER, passing
from tests.scripted_servers import Part, answer, certificates, scripted

Kind = Literal["http", "https", "socks5"]
KINDS: tuple[Kind, ...] = ("http", "https", "socks5")
OWN: list[Part] = [answer(b"own")]
SOON = UpstreamTimeouts(connect_s=0.4, first_byte_s=0.4)


async def ask(url: str, proxy: Proxy | None, certificate: Path, times: int = 1) -> list[bytes]:
    client = ProviderClient(SOON, client_context(certificates(certificate)), proxy=proxy)
    try:
        request = UpstreamRequest(url, {}, b"{}")
        return [await (await client.send(request)).read() for _ in range(times)]
    finally:
        await client.close()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_calls_go_through_the_proxy_over_a_connection_that_is_kept(
    kind: Kind, certified: Path | None, certificate: Path, run_anywhere: Run
) -> None:
    scheme = "http" if certified is None else "https"
    with scripted(OWN, certificate=certified) as server, passing(kind, certificate) as proxy:
        url = f"{scheme}://127.0.0.1:{server.port}/v1?a=b"
        assert run_anywhere(ask(url, proxy.address(), certificate, 3)) == [b"own"] * 3
        assert server.connections == 1
        if kind == "socks5":
            assert proxy.asked == [f"127.0.0.1:{server.port}"]
            return
        tunnel = f"CONNECT 127.0.0.1:{server.port}"
        assert proxy.asked == [f"POST {url}" if certified is None else tunnel]
        assert b"proxy-authorization: Basic dXM6ZXI6cGFzcyB3b3Jk\r\n" in proxy.heads[0]
        if certified is not None:
            assert all(b"proxy-authorization" not in asked for asked in server.asked)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_leaves_by_another_way_where_the_proxy_is_gone(
    kind: Kind, certified: Path | None, certificate: Path, run: Run
) -> None:
    scheme = "http" if certified is None else "https"
    with passing(kind, certificate) as gone:
        nowhere = gone.address()
    with scripted(OWN, certificate=certified) as server:
        with pytest.raises(UpstreamFailed):
            run(ask(f"{scheme}://127.0.0.1:{server.port}/", nowhere, certificate))
        assert server.connections == 0


REFUSALS: dict[str, tuple[Kind, bytes, type[GatewayError]]] = {
    "who are you": ("http", b"HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n", UpstreamFailed),
    "forbidden": ("https", b"HTTP/1.1 403 No\r\n\r\n", UpstreamFailed),
    "no HTTP": ("http", b"\0\1\2\r\n\r\n", UpstreamFailed),
    "a head without an end": ("http", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000, UpstreamFailed),
    "it speaks for the provider": (
        "http",
        b"HTTP/1.1 200 OK\r\n\r\n" + answer(b"stranger"),
        UpstreamFailed,
    ),
    "it moves us elsewhere": ("http", b"HTTP/1.1 302 x\r\nlocation: /\r\n\r\n", UpstreamFailed),
    "silence": ("https", b"HTTP/1.1 200", UpstreamTimeout),
    "no way to tell who we are": ("socks5", b"\5\xff", UpstreamFailed),
    "a way that we did not offer": ("socks5", b"\5\1", UpstreamFailed),
    "an older SOCKS": ("socks5", b"\4\0", UpstreamFailed),
    "silence of SOCKS": ("socks5", b"\5", UpstreamTimeout),
    "no leave": ("socks5", b"\5\0\5\2\0\1\0\0\0\0\0\0", UpstreamFailed),
    "an address of no kind": ("socks5", b"\5\0\5\0\0\7\0\0\0\0\0\0", UpstreamFailed),
}


@pytest.mark.parametrize(("kind", "says", "failure"), REFUSALS.values(), ids=REFUSALS)
def test_a_proxy_that_refuses_is_a_failure_and_no_key_was_sent(
    kind: Kind, says: bytes, failure: type[GatewayError], certificate: Path, run: Run
) -> None:
    with (
        scripted(OWN, certificate=certificate) as server,
        passing(kind, certificate, says) as proxy,
        pytest.raises(failure),
    ):
        run(ask(f"https://127.0.0.1:{server.port}/", proxy.address(), certificate))
    assert server.connections == 0


def test_a_wrong_password_is_refused(certificate: Path, run: Run) -> None:
    with scripted(OWN) as server, passing("socks5", certificate) as proxy:
        wrong = proxy.address(USER, "x")
        with pytest.raises(UpstreamFailed):
            run(ask(f"http://127.0.0.1:{server.port}/", wrong, certificate))
        assert server.connections == 0
        nobody = proxy.address("", "")
        assert run(ask(f"http://127.0.0.1:{server.port}/", nobody, certificate)) == [b"own"]
