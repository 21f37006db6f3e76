"""Certificates, and a loop of each kind: workers run on uvloop, where there is one."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.gateway.http.client.servers import make_certificate

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, with its key, signed by itself."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "both.pem")


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
