"""Where a Redis is, read from the address operators write."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True)
class Address:
    """A server, the database in it, and how to sign in. The password is never part of its text."""

    path: str | None
    host: str
    port: int
    tls: bool
    database: int
    username: str | None
    password: str | None = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `unix:///path[?db=1]`, `redis://[[user]:password@]host[:port][/db]` or `rediss://`.

        Raises ValueError, whose text does not repeat the address (it may hold a password).
        """
        parts, port = _split(url)
        if parts.scheme not in ("unix", "redis", "rediss"):
            raise ValueError("a Redis address begins with unix://, redis:// or rediss://")
        is_socket = parts.scheme == "unix"
        if is_socket and not parts.path:
            raise ValueError("a unix:// address names a socket, as in unix:///run/valkey.sock")
        return cls(
            path=unquote(parts.path) if is_socket else None,
            host=parts.hostname or "localhost",
            port=port or DEFAULT_PORT,
            tls=parts.scheme == "rediss",
            database=_database(parts, is_socket=is_socket),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


def _split(url: str) -> tuple[SplitResult, int | None]:
    """The parts and the port; refused where a password has broken them, a piece of which would be
    taken for a host, a port or a database.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("its parts cannot be told from each other") from None
    beyond = parts.path + parts.query if parts.scheme != "unix" else ""
    if "#" in url or "@" in beyond or parts.netloc.count("@") > 1:
        raise ValueError("its parts cannot be told from each other")
    return parts, port


def _database(parts: SplitResult, *, is_socket: bool) -> int:
    in_path = "" if is_socket else parts.path.strip("/")
    written = in_path or parse_qs(parts.query).get("db", ["0"])[0]
    if not (written.isascii() and written.isdigit()):
        raise ValueError("the database of a Redis address is a whole number, as in redis://host/0")
    return int(written)
