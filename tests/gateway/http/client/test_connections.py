"""A1: what arrives on a connection between two calls is nobody's answer, plain and over TLS."""

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.http.client.client import ProviderClient
from gateway.http.client.tls import client_context
from gateway.http.upstream import UpstreamRequest
from gateway.media.egress import Egress, EgressLimits
from tests.gateway.http.client.conftest import Run
from tests.scripted_servers import (
    Part,
    ScriptedServer,
    Then,
    answer,
    certificates,
    scripted,
)

PAUSE_S = 0.05

STRANGER = answer(b"stranger")
STREAMED_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

NEXT: list[Part] = [answer(b"next")]
UNASKED: dict[str, list[Part]] = {
    "a whole answer, later": [answer(b"own"), Then.READ, STRANGER],
    "a whole answer in the same piece": [answer(b"own") + STRANGER],
    "an answer behind the last chunk": [
        STREAMED_HEAD + b"2\r\now\r\n",
        0.05,
        b"1\r\nn\r\n0\r\n\r\n" + STRANGER,
    ],
    "half an answer in the same piece": [answer(b"own") + STRANGER[:20]],
    "half an answer": [answer(b"own"), Then.READ, STRANGER[:20]],
    "one byte": [answer(b"own"), Then.READ, b"\n"],
    "an early hint": [answer(b"own"), Then.READ, b"HTTP/1.1 103 Early Hints\r\n\r\n"],
    "two answers": [answer(b"own"), Then.READ, STRANGER, 0.01, STRANGER],
}


@asynccontextmanager
async def asking(port: int, certificate: Path | None) -> AsyncIterator[Callable[[], Any]]:
    trusted = "" if certificate is None else certificates(certificate)
    scheme = "http" if certificate is None else "https"
    upstream = ProviderClient(tls=client_context(trusted))
    request = UpstreamRequest(f"{scheme}://127.0.0.1:{port}/", {}, b"{}")

    async def ask() -> bytes:
        return await (await upstream.send(request)).read()

    try:
        yield ask
    finally:
        await upstream.close()
        await asyncio.sleep(0.05)  # the transports of TLS close in their own time


@pytest.mark.parametrize("is_busy", [False, True], ids=["the loop is idle", "the loop is busy"])
@pytest.mark.parametrize("first", UNASKED.values(), ids=UNASKED)
def test_a1_what_was_not_asked_for_is_never_an_answer(
    first: list[Part], certified: Path | None, is_busy: bool, run_anywhere: Run
) -> None:
    async def two_calls(provider: ScriptedServer) -> list[bytes]:
        async with asking(provider.port, certified) as ask:
            own = await ask()
            provider.was_read.set()
            if is_busy:  # what arrives lies in the socket, and the loop does not look
                assert provider.has_said_all.wait(10)
                time.sleep(PAUSE_S)
            else:
                assert await asyncio.to_thread(provider.has_said_all.wait, 10)
                await asyncio.sleep(PAUSE_S)
            return [own, await ask()]

    with scripted(first, NEXT, certificate=certified) as provider:
        assert run_anywhere(two_calls(provider)) == [b"own", b"next"]
        assert provider.connections == 2


def test_a_silent_connection_is_used_again(certified: Path | None, run: Run) -> None:
    async def three_calls(port: int) -> None:
        async with asking(port, certified) as ask:
            for _ in range(3):
                assert await ask() == b"own"
                await asyncio.sleep(0.02)

    with scripted([answer(b"own")], certificate=certified) as provider:
        run(three_calls(provider.port))
        assert provider.connections == 1


def test_a1_media_are_fetched_over_a_connection_of_their_own(run: Run) -> None:
    async def two_fetches(port: int) -> list[bytes]:
        egress = Egress(EgressLimits(allowed=(ipaddress.ip_network("127.0.0.0/8"),)))
        address = f"http://127.0.0.1:{port}/"
        first = await egress.fetch(address, egress.budget())
        await asyncio.sleep(PAUSE_S)
        second = await egress.fetch(address, egress.budget())
        await egress.close()
        return [first.content, second.content]

    with scripted([answer(b"own"), 0.05, STRANGER], NEXT) as provider:
        assert run(two_fetches(provider.port)) == [b"own", b"next"]
