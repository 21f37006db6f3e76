"""TLS to providers: who is believed, and that a session is resumed."""

import asyncio
from pathlib import Path

import pytest

from gateway.errors import UpstreamFailed
from gateway.http.client.client import ProviderClient
from gateway.http.client.tls import client_context
from gateway.http.upstream import UpstreamRequest
from tests.gateway.http.client.conftest import Run
from tests.scripted_servers import (
    ScriptedServer,
    Then,
    answer,
    certificates,
    make_certificate,
    scripted,
)


async def ask(server: ScriptedServer, roots: str, times: int = 1) -> list[bytes]:
    client = ProviderClient(tls=client_context(roots))
    try:
        request = UpstreamRequest(f"https://127.0.0.1:{server.port}/", {}, b"{}")
        return [await (await client.send(request)).read() for _ in range(times)]
    finally:
        await client.close()
        await asyncio.sleep(0.02)


def test_a_certificate_of_nobody_we_know_is_not_believed(certificate: Path, run: Run) -> None:
    with scripted([answer(b"own")], certificate=certificate) as server:
        with pytest.raises(UpstreamFailed):
            run(ask(server, ""))
        assert server.asked == []


@pytest.mark.parametrize(("host", "days"), [("127.0.0.2", 36_500), ("provider", 36_500), ("", 1)])
def test_a_certificate_of_another_or_of_the_past_is_not_believed(
    host: str, days: int, tmp_path: Path, run: Run
) -> None:
    other = make_certificate(tmp_path / "other.pem", host or "127.0.0.1", days)
    with scripted([answer(b"own")], certificate=other) as server:
        with pytest.raises(UpstreamFailed):
            run(ask(server, certificates(other)))
        assert server.asked == []


def test_a_new_connection_resumes_the_session_of_the_last(
    certificate: Path, run_anywhere: Run
) -> None:
    with scripted([answer(b"own"), Then.CLOSE], certificate=certificate) as server:
        assert run_anywhere(ask(server, certificates(certificate), 3)) == [b"own"] * 3
        assert server.connections == 3
        assert server.resumed == [False, True, True]
