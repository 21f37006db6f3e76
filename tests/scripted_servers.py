"""Servers that say a script to whoever asks, plain and over TLS."""

import datetime
import ipaddress
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Then(Enum):
    """What a server does besides saying something and pausing."""

    READ = "waits until the answer was read: what comes in one piece with it is another case"
    CLOSE = "ends the connection"
    RESET = "resets it"
    HANG = "says nothing more, and leaves it open"


Part = bytes | float | Then
"""Bytes that are said, seconds of a pause, or something else that is done."""


def answer(words: bytes, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s" % (head, len(words), words)


@dataclass
class ScriptedServer:
    """Says the script of each connection in turn, the last one to all further ones, for each
    request it reads.
    """

    scripts: list[list[Part]]
    tls: ssl.SSLContext | None = None
    is_deaf: bool = False
    """On its first connection it speaks as soon as a request begins, and reads nothing of it."""
    connections: int = 0
    asked: list[bytes] = field(default_factory=list)
    resumed: list[bool] = field(default_factory=list)
    was_read: threading.Event = field(default_factory=threading.Event)
    has_said_all: threading.Event = field(default_factory=threading.Event)
    is_left: threading.Event = field(default_factory=threading.Event)
    """Whoever asked is gone while this still speaks."""
    is_over: threading.Event = field(default_factory=threading.Event)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                script = self.scripts[min(self.connections, len(self.scripts) - 1)]
                self.connections += 1
                threading.Thread(target=self._talk, args=(connection, script), daemon=True).start()

    def _talk(self, connection: socket.socket, script: list[Part]) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self.resumed.append(bool(connection.session_reused))
            with connection:
                is_deaf = self.is_deaf and script is self.scripts[0]
                while self._is_spoken_to(connection) if is_deaf else self._hear(connection):
                    stays = self._say(connection, script)
                    self.has_said_all.set()
                    if not stays:
                        return
        except OSError:
            self.is_left.set()

    def _is_spoken_to(self, connection: socket.socket) -> bool:
        return bool(connection.recv(1, socket.MSG_PEEK))

    def _hear(self, connection: socket.socket) -> bytes:
        asked = connection.recv(65_536)
        while asked and not _is_whole(asked):
            asked += connection.recv(65_536)
        self.asked.append(asked)
        return asked

    def _say(self, connection: socket.socket, script: list[Part]) -> bool:
        """Whether the connection stays open."""
        for part in script:
            match part:
                case bytes():
                    connection.sendall(part)
                case Then.READ:
                    self.was_read.wait(10)
                case Then.HANG:
                    self.is_over.wait(10)
                    return False
                case Then.RESET:
                    now = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
                    return False
                case Then.CLOSE:
                    return False
                case _:
                    time.sleep(part)
        return True


def _is_whole(asked: bytes) -> bool:
    head, end, body = asked.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(end) and len(body) >= (0 if length is None else int(length[1]))


@contextmanager
def scripted(
    *scripts: list[Part], certificate: Path | None = None, is_deaf: bool = False
) -> Iterator[ScriptedServer]:
    """A server with these scripts, a connection each."""
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    server = ScriptedServer(list(scripts), tls, is_deaf)
    serving = threading.Thread(target=server.serve, daemon=True)
    serving.start()
    try:
        yield server
    finally:
        server.is_over.set()
        with suppress(OSError):
            server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        serving.join(5)


def certificates(path: Path) -> str:
    """What a file says besides its key."""
    return path.read_text().partition("-----BEGIN PRIVATE")[0]


def make_certificate(path: Path, host: str = "127.0.0.1", days: int = 36_500) -> Path:
    """Of a host, with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provider")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    try:
        named: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        named = x509.DNSName(host)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([named]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path
