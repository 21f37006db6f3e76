"""Names of hosts are asked once for all who want them, and a dead name server stops nobody."""

import asyncio
import socket

import pytest

from gateway.http.client import names
from gateway.http.client.names import Found, Names
from tests.gateway.http.client.conftest import Run

FOUND: Found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]


class NameServer:
    """Stands in for the system's, which cannot be made slow or dead here."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.takes_s = 0.0
        self.fails = False
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self.getaddrinfo)

    async def getaddrinfo(self, *_: object, **__: object) -> Found:
        self.asked += 1
        await asyncio.sleep(self.takes_s)
        if self.fails:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return FOUND


def test_those_who_ask_at_once_and_soon_after_share_an_answer(
    monkeypatch: pytest.MonkeyPatch, run_plain: Run
) -> None:
    async def ask() -> int:
        server, known = NameServer(monkeypatch), Names()
        server.takes_s = 0.05
        for _ in range(2):
            each = [known.resolve("vendor", 443) for _ in range(20)]
            assert await asyncio.gather(*each) == [FOUND] * 20
        return server.asked

    assert run_plain(ask()) == 1


def test_what_was_known_stands_in_for_a_name_server_that_fails_or_hangs(
    monkeypatch: pytest.MonkeyPatch, run_plain: Run
) -> None:
    async def ask() -> list[Found]:
        monkeypatch.setattr(names, "KEPT_S", -1.0)
        monkeypatch.setattr(names, "_SLOW_S", 0.05)
        server, known = NameServer(monkeypatch), Names()
        first = await known.resolve("vendor", 443)
        server.fails = True
        second = await known.resolve("vendor", 443)
        server.takes_s = 60.0
        return [first, second, await known.resolve("vendor", 443)]

    assert run_plain(ask()) == [FOUND] * 3


def test_a_name_that_nobody_knows_fails_and_what_is_too_old_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, run_plain: Run
) -> None:
    async def ask() -> None:
        server, known = NameServer(monkeypatch), Names()
        await known.resolve("vendor", 443)
        server.fails = True
        with pytest.raises(OSError, match="try again"):
            await known.resolve("another", 443)
        monkeypatch.setattr(names, "KEPT_S", -1.0)
        monkeypatch.setattr(names, "STALE_S", -1.0)
        with pytest.raises(OSError, match="try again"):
            await known.resolve("vendor", 443)

    run_plain(ask())
