"""Proxies of each kind that let everything pass that may, and note what they were asked."""

import select
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from gateway.http.client.addresses import Origin
from gateway.http.client.proxy import Proxy

USER, PASSWORD = "us:er", "pass word"
_READ_BYTES = 65_536


@dataclass
class PassingProxy:
    """`asked`: the first line of each request, or the host and port of SOCKS."""

    kind: Literal["http", "https", "socks5"]
    tls: ssl.SSLContext | None = None
    says: bytes | None = None
    """What it answers instead of letting anything pass."""
    asked: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    open: set[socket.socket] = field(default_factory=set)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def address(self, user: str = USER, password: str = PASSWORD) -> Proxy:
        port: int = self.listener.getsockname()[1]
        return Proxy(self.kind, Origin(self.kind == "https", "127.0.0.1", port), user, password)

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def drop(self) -> None:
        """End what is open."""
        for client in tuple(self.open):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _serve(self, client: socket.socket) -> None:
        self.open.add(client)
        with suppress(OSError, ValueError):
            if self.tls is not None:
                client = self.tls.wrap_socket(client, server_side=True)
            with client:
                if self.says is not None:
                    client.recv(_READ_BYTES)
                    client.sendall(self.says)
                    client.recv(_READ_BYTES)
                elif self.kind == "socks5":
                    self._socks(client)
                else:
                    self._http(client)

    def _http(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(_READ_BYTES) or exit_thread()
        self.heads.append(head)
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        self.asked.append(f"{method} {target}")
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\ncontent-length: 0\r\n\r\n")
                pass_on(client, server)
            return
        authority, _, path = target.removeprefix("http://").partition("/")
        host, _, port = authority.rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            server.sendall(head.replace(target.encode(), b"/" + path.encode(), 1))
            pass_on(client, server)

    def _socks(self, client: socket.socket) -> None:
        _, count = client.recv(2)
        if 2 in client.recv(count):
            client.sendall(b"\5\2")
            user = client.recv(client.recv(2)[1])
            password = client.recv(client.recv(1)[0])
            is_known = (user, password) == (USER.encode(), PASSWORD.encode())
            client.sendall(b"\1\0" if is_known else b"\1\1")
            if not is_known:
                return
        else:
            client.sendall(b"\5\0")
        kind = client.recv(4)[3]
        host = (
            client.recv(client.recv(1)[0]).decode()
            if kind == 3
            else str(ip_address(client.recv(4 if kind == 1 else 16)))
        )
        port = int.from_bytes(client.recv(2), "big")
        self.asked.append(f"{host}:{port}")
        with socket.create_connection((host, port)) as server:
            client.sendall(b"\5\0\0\1\0\0\0\0\0\0")
            pass_on(client, server)


def exit_thread() -> bytes:
    raise ConnectionResetError


def pass_on(client: socket.socket, server: socket.socket) -> None:
    """Both ways, until one of them ends; a reset is passed on as well."""
    other = {client: server, server: client}
    while True:
        waiting = isinstance(client, ssl.SSLSocket) and client.pending()
        ready = [client] if waiting else select.select([client, server], [], [])[0]
        for each in ready:
            try:
                data = each.recv(_READ_BYTES)
            except ConnectionResetError:
                now = struct.pack("ii", 1, 0)
                other[each].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
                return
            if not data:
                return
            other[each].sendall(data)


@contextmanager
def passing(
    kind: Literal["http", "https", "socks5"], certificate: Path, says: bytes | None = None
) -> Iterator[PassingProxy]:
    tls = None
    if kind == "https":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    proxy = PassingProxy(kind, tls, says)
    serving = threading.Thread(target=proxy.serve, daemon=True)
    serving.start()
    try:
        yield proxy
    finally:
        with suppress(OSError):
            proxy.listener.shutdown(socket.SHUT_RDWR)
        proxy.listener.close()
        serving.join(5)
