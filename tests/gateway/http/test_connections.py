"""A1: what arrives on a connection between two calls is nobody's answer, plain and over TLS."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.http.upstream import Upstream, UpstreamRequest
from gateway.media.egress import Egress, EgressLimits

PAUSE_S = 0.05
LATER = -1.0
"""Once the answer was read: what comes in one piece with it is another case."""
Part = bytes | float


def answer(words: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(words), words)


STRANGER = answer(b"stranger")
STREAMED_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

UNASKED = {
    "a whole answer, later": [answer(b"own"), LATER, STRANGER],
    "a whole answer in the same piece": [answer(b"own") + STRANGER],
    "an answer behind the last chunk": [
        STREAMED_HEAD + b"2\r\now\r\n",
        0.05,
        b"1\r\nn\r\n0\r\n\r\n" + STRANGER,
    ],
    "half an answer": [answer(b"own"), LATER, STRANGER[:20]],
    "one byte": [answer(b"own"), LATER, b"\n"],
    "an early hint": [answer(b"own"), LATER, b"HTTP/1.1 103 Early Hints\r\n\r\n"],
    "two answers": [answer(b"own"), LATER, STRANGER, 0.01, STRANGER],
}


@dataclass
class TalkativeProvider:
    """Says more than it was asked on its first connection, and is well-behaved on later ones."""

    first: list[Part]
    tls: ssl.SSLContext | None
    connections: int = 0
    was_read: threading.Event = field(default_factory=threading.Event)
    has_said_all: threading.Event = field(default_factory=threading.Event)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                script = self.first if self.connections == 1 else [answer(b"next")]
                threading.Thread(target=self._talk, args=(connection, script), daemon=True).start()

    def _talk(self, connection: socket.socket, script: list[Part]) -> None:
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True)
        with connection, suppress(OSError):
            while asked := connection.recv(65_536):
                while asked.startswith(b"POST") and not asked.endswith(b"{}"):
                    asked += connection.recv(65_536)
                for part in script:
                    if isinstance(part, bytes):
                        connection.sendall(part)
                    elif part == LATER:
                        self.was_read.wait(10)
                    else:
                        time.sleep(part)
                self.has_said_all.set()


@contextmanager
def talking(first: list[Part], certificate: Path | None = None) -> Iterator[TalkativeProvider]:
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    provider = TalkativeProvider(first, tls)
    serving = threading.Thread(target=provider.serve, daemon=True)
    serving.start()
    yield provider
    provider.listener.shutdown(socket.SHUT_RDWR)
    provider.listener.close()
    serving.join(5)


@asynccontextmanager
async def asking(port: int, certificate: Path | None) -> AsyncIterator[Callable[[], Any]]:
    trusted = None if certificate is None else ssl.create_default_context(cafile=str(certificate))
    scheme = "http" if certificate is None else "https"
    upstream = Upstream(tls=trusted)
    request = UpstreamRequest(f"{scheme}://127.0.0.1:{port}/", {}, b"{}")

    async def ask() -> bytes:
        return await (await upstream.send(request)).read()

    try:
        yield ask
    finally:
        await upstream.close()
        await asyncio.sleep(0.05)  # the transports of TLS close in their own time


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provider")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36_500))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture(params=["plain", "tls"])
def certified(request: pytest.FixtureRequest, certificate: Path) -> Path | None:
    return certificate if request.param == "tls" else None


@pytest.mark.parametrize("is_busy", [False, True], ids=["the loop is idle", "the loop is busy"])
@pytest.mark.parametrize("first", UNASKED.values(), ids=UNASKED)
def test_a1_what_was_not_asked_for_is_never_an_answer(
    first: list[Part], certified: Path | None, is_busy: bool
) -> None:
    async def two_calls(provider: TalkativeProvider) -> list[bytes]:
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

    with talking(first, certified) as provider:
        assert asyncio.run(two_calls(provider)) == [b"own", b"next"]
        assert provider.connections == 2


def test_a_silent_connection_is_used_again(certified: Path | None) -> None:
    async def three_calls(port: int) -> None:
        async with asking(port, certified) as ask:
            for _ in range(3):
                assert await ask() == b"own"
                await asyncio.sleep(0.02)

    with talking([answer(b"own")], certified) as provider:
        asyncio.run(three_calls(provider.port))
        assert provider.connections == 1


def test_a1_media_are_fetched_over_a_connection_of_their_own() -> None:
    async def two_fetches(port: int) -> list[bytes]:
        egress = Egress(EgressLimits(allowed=(ipaddress.ip_network("127.0.0.0/8"),)))
        address = f"http://127.0.0.1:{port}/"
        first = await egress.fetch(address, egress.budget())
        await asyncio.sleep(PAUSE_S)
        second = await egress.fetch(address, egress.budget())
        await egress.close()
        return [first.content, second.content]

    with talking([answer(b"own"), 0.05, STRANGER]) as provider:
        assert asyncio.run(two_fetches(provider.port)) == [b"own", b"next"]
