"""D9: whose body is read, how much of it, and how long it may take."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from admin_api.http import envelope
from admin_api.http.application import PREFIX
from tests.admin_api.desks import ROOT_TOKEN, OpenDesk, Servers, at_desk

NOBODY = "tg-" + "x" * 48
SOMEBODY = "0199a1c2-0000-7000-8000-000000000001"


class Sender:
    """A client that sends pieces of a body and then nothing; says what it was answered."""

    def __init__(self, pieces: Sequence[bytes] = (), pause_s: float = 0.0) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.asked_for = 0
        self._pieces = list(pieces)
        self._pause_s = pause_s

    async def ask(
        self, desk: OpenDesk, path: str, token: str | None, *, length: str | None = "4000000"
    ) -> int:
        """The status of a POST, which must be given within three seconds."""
        headers = [(b"host", b"desk"), (b"content-type", b"application/json")]
        headers += [(b"transfer-encoding", b"chunked")] if length is None else []
        headers += [] if length is None else [(b"content-length", length.encode())]
        headers += [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
        scope = {
            "type": "http",
            "method": "POST",
            "path": PREFIX + path,
            "raw_path": (PREFIX + path).encode(),
            "query_string": b"format=generic",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("desk", 80),
            "scheme": "http",
            "http_version": "1.1",
        }
        async with asyncio.timeout(3):
            await desk.app(scope, self._receive, self._send)
        return self.status

    async def _receive(self) -> dict[str, Any]:
        self.asked_for += 1
        if not self._pieces:
            await asyncio.Event().wait()
        await asyncio.sleep(self._pause_s)
        return {"type": "http.request", "body": self._pieces.pop(0), "more_body": True}

    async def _send(self, message: Any) -> None:  # noqa: ANN401 - ASGI
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])


@pytest.mark.parametrize(
    "path", ["/reconciliations", "/accounts", f"/accounts/{SOMEBODY}/credits", "/nothing"]
)
@pytest.mark.parametrize("length", ["4000000", "10", None])
def test_d9_nobody_is_refused_before_the_body_is_asked_for(
    servers: Servers, path: str, length: str | None
) -> None:
    async def check(desk: OpenDesk) -> None:
        disabled = (await desk.post("/operators", json={"name": "x", "role": "root"})).json()
        await desk.post(f"/operators/{disabled['id']}/disable", json={})
        account = await desk.account()
        (_, key), (revoked_id, revoked) = await desk.key(account), await desk.key(account)
        assert (await desk.ask("DELETE", f"/keys/{revoked_id}")).status_code == 204
        await desk.desk.up_to_date()
        for token in (None, NOBODY, disabled["token"], revoked):
            sender = Sender([b"x" * 1_000])
            assert await sender.ask(desk, path, token, length=length) == 401
            assert (sender.asked_for, sender.headers[b"connection"]) == (0, b"close")
            assert sender.headers[b"www-authenticate"] == b"Bearer"
        assert await Sender([b"x" * 1_100_000]).ask(desk, "/accounts", key, length=None) == 413

    at_desk(servers, check)


def test_d9_a_body_that_stalls_or_drips_is_given_up(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envelope, "GRACE_S", 0.2)

    async def check(desk: OpenDesk) -> None:
        stalled = Sender([b"{" * 100])
        assert await stalled.ask(desk, "/reconciliations", ROOT_TOKEN) == 408
        assert stalled.headers[b"connection"] == b"close"
        dripping = Sender([b"x"] * 10_000, pause_s=0.01)
        assert await dripping.ask(desk, "/accounts", ROOT_TOKEN, length=None) == 408
        assert dripping.asked_for < 100

    at_desk(servers, check)


def test_d9_a_slow_body_that_keeps_its_rate_is_read(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envelope, "GRACE_S", 0.2)

    async def check(desk: OpenDesk) -> None:
        pieces = [b" " * 400_000, b" " * 400_000, b" " * 400_000]
        assert (
            await Sender(pieces, pause_s=0.15).ask(desk, "/accounts", ROOT_TOKEN, length=None)
            == 413
        )
        last = Sender([b" " * 900], pause_s=0.15)
        assert await last.ask(desk, "/accounts", ROOT_TOKEN, length="900") == 408

    at_desk(servers, check)
