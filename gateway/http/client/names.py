"""Addresses of hosts' names, kept for a while: a slow name server delays nobody twice."""

import asyncio
import socket
from typing import Any, NamedTuple, Protocol

KEPT_S = 10.0
STALE_S = 300.0
"""How old an answer may be where the name server has none to give now."""
_SLOW_S = 1.0

Found = list[tuple[Any, Any, int, str, Any]]
"""As `getaddrinfo` gives them."""


class Resolver(Protocol):
    """Knows the addresses of hosts."""

    async def resolve(self, host: str, port: int) -> Found:
        """Never empty. Raises OSError."""
        ...


class _Known(NamedTuple):
    found: Found
    found_at_s: float


class Names:
    """Resolves as the system does; who asks for the same name at once waits for one answer."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], _Known] = {}
        self._asked: dict[tuple[str, int], asyncio.Task[Found]] = {}

    async def resolve(self, host: str, port: int) -> Found:
        """Never empty. Raises OSError."""
        loop, name = asyncio.get_running_loop(), (host, port)
        known = self._known.get(name)
        if known is not None and loop.time() - known.found_at_s < KEPT_S:
            return known.found
        asked = self._asked.get(name)
        if asked is None:
            asked = self._asked[name] = loop.create_task(self._ask(name))
            asked.add_done_callback(_looked_at)
        try:
            async with asyncio.timeout(None if known is None else _SLOW_S):
                return await asyncio.shield(asked)
        except OSError:  # a TimeoutError is one
            if known is None or loop.time() - known.found_at_s > STALE_S:
                raise
            return known.found

    async def _ask(self, name: tuple[str, int]) -> Found:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(*name, type=socket.SOCK_STREAM)
            if not found:
                raise OSError("a name without addresses")
            self._known[name] = _Known(found, loop.time())
            return found
        finally:
            del self._asked[name]


def _looked_at(asked: asyncio.Task[Found]) -> None:
    """Nobody may be left who waits for a failure."""
    if not asked.cancelled():
        asked.exception()
