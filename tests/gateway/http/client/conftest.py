"""Certificates, and a loop of each kind: workers run on uvloop, where there is one."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import uvloop

from gateway.http.client.client import ProviderClient
from gateway.http.client.proxy import Proxy
from gateway.http.client.tls import client_context
from gateway.http.upstream import UpstreamTimeouts
from tests.proxies import passing
from tests.scripted_servers import certificates, make_certificate

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, with its key, signed by itself."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "both.pem")


@dataclass(frozen=True)
class Reach:
    """How a server is reached: the certificate it shows, if any, and the proxy on the way."""

    certificate: Path | None = None
    proxy: Proxy | None = None

    def client(self, timeouts: UpstreamTimeouts) -> ProviderClient:
        roots = "" if self.certificate is None else certificates(self.certificate)
        return ProviderClient(timeouts, client_context(roots), proxy=self.proxy)

    def url(self, port: int) -> str:
        return f"{'http' if self.certificate is None else 'https'}://127.0.0.1:{port}/v1?a=b"


@pytest.fixture(params=["plain", "tls", "tunnelled", "socks"])
def reach(request: pytest.FixtureRequest, certificate: Path) -> Iterator[Reach]:
    if request.param == "plain":
        yield Reach()
    elif request.param == "tls":
        yield Reach(certificate)
    else:
        kind: Literal["https", "socks5"] = "https" if request.param == "tunnelled" else "socks5"
        with passing(kind, certificate) as proxy:
            yield Reach(certificate if kind == "https" else None, proxy.address())


@pytest.fixture(params=["plain", "tls"])
def certified(request: pytest.FixtureRequest, certificate: Path) -> Path | None:
    return certificate if request.param == "tls" else None


def run_on(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Run:
    """Runs a coroutine on a loop of one kind."""

    def in_loop(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it gives
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(work)

    return in_loop


@pytest.fixture
def run() -> Run:
    return run_on(uvloop.new_event_loop)


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def run_anywhere(request: pytest.FixtureRequest) -> Run:
    return run_on(request.param)


@pytest.fixture
def run_plain() -> Run:
    """On the library's own loop, whose parts can be replaced."""
    return run_on(asyncio.new_event_loop)
