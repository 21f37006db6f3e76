"""The listening socket: opened once by the supervisor, inherited by every worker."""

import errno
import http.client
import socket

from tollgate.embedded.errors import StartRefused

_BACKLOG = 2048
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - and how to reach it from here


def listen(host: str, port: int) -> socket.socket:
    """A socket that clients can connect to from now on. Raises StartRefused."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as refusal:
        raise StartRefused(
            f"{host} is not an address to listen on ({refusal.strerror})",
            "give one of this machine, as in --host 127.0.0.1",
        ) from refusal
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as refusal:
        listening.close()
        raise StartRefused(
            f"{host} port {port} cannot be listened on ({refusal.strerror})", _remedy(refusal)
        ) from refusal
    return listening


def address_of(listening: socket.socket) -> str:
    """How a client on this machine reaches the socket: `http://127.0.0.1:3000`."""
    host, port = _reachable(listening)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_ready(listening: socket.socket, timeout_s: float) -> bool:
    """Whether some worker behind the socket says that it can take calls."""
    host, port = _reachable(listening)
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(listening: socket.socket) -> tuple[str, int]:
    host, port = listening.getsockname()[:2]
    return _ANYWHERE.get(host, host), port


def _remedy(refusal: OSError) -> str:
    if refusal.errno == errno.EADDRINUSE:
        return "stop the program that listens there, or choose another --port (or PORT)"
    if refusal.errno == errno.EACCES:
        return "choose a --port (or PORT) above 1023"
    return "give an address of this machine with --host"
