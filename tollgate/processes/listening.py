"""The listening socket: opened once by the supervisor, inherited by every worker."""

import errno
import http.client
import socket

from tollgate.embedded.errors import StartRefused

_BACKLOG = 2048
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - and how to reach it from here


def reserve(host: str, port: int) -> socket.socket:
    """A socket that has the address but is not open yet: clients are refused.

    So a port that is taken is noticed before anything is started or written.
    Raises StartRefused.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        reserved = socket.socket(family, kind, protocol)
    except OSError as refusal:
        raise StartRefused(
            f"{host} is not an address to listen on ({refusal.strerror})",
            "give one of this machine, as in --host 127.0.0.1",
        ) from refusal
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            reserved.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        reserved.bind(address)
    except OSError as refusal:
        reserved.close()
        raise _refused(f"{host} port {port}", refusal) from refusal
    return reserved


def listen(reserved: socket.socket) -> None:
    """Open it: from now on clients connect, and wait for a worker. Raises StartRefused."""
    try:
        reserved.listen(_BACKLOG)
    except OSError as refusal:
        raise _refused(address_of(reserved), refusal) from refusal


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


def _refused(address: str, refusal: OSError) -> StartRefused:
    fault = f"{address} cannot be listened on ({refusal.strerror})"
    return StartRefused(fault, _remedy(refusal))


def _remedy(refusal: OSError) -> str:
    if refusal.errno == errno.EADDRINUSE:
        return "stop the program that listens there, or choose another --port (or PORT)"
    if refusal.errno == errno.EACCES:
        return "choose a --port (or PORT) above 1023"
    return "give an address of this machine with --host"
