"""Ways to drive the balance cache in tests: opening it, waiting for it, getting in its way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self

import redis

from ledger import clock
from projections.cache.balances import BalanceCache
from projections.cache.breaker import Breaker
from projections.cache.connection import RedisConnection
from projections.cache.guarded import GuardedRedis
from projections.cache.scripts import BALANCE_SCRIPTS

PATIENT_MS = 5_000
"""A deadline for tests that are not about deadlines, on a machine that may be busy."""


@contextlib.asynccontextmanager
async def guarded_redis(
    url: str, *, deadline_ms: int = PATIENT_MS, probe_interval_s: float = 0.02
) -> AsyncIterator[GuardedRedis]:
    connection = RedisConnection(url, BALANCE_SCRIPTS, deadline_ms=deadline_ms)
    guarded = GuardedRedis(connection, Breaker(probe_interval_s=probe_interval_s))
    await guarded.start()
    try:
        yield guarded
    finally:
        await guarded.close()


@contextlib.asynccontextmanager
async def balance_cache(url: str) -> AsyncIterator[BalanceCache]:
    async with guarded_redis(url) as guarded:
        yield BalanceCache(guarded)


def raw(url: str) -> redis.Redis:
    """A plain client, for looking behind the cache's back; to be used in a `with`."""
    return redis.Redis.from_url(url, decode_responses=True)


async def until(is_true: Callable[[], bool]) -> None:
    """Wait for something that happens in the background; give up after ten seconds."""
    deadline_s = clock.monotonic_s() + 10
    while not is_true():
        assert clock.monotonic_s() < deadline_s, "it did not happen within ten seconds"
        await asyncio.sleep(0.005)


def answer_without_waiting(coroutine: Coroutine[Any, Any, Any]) -> object:
    """Run a coroutine that must not wait for anything, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise AssertionError("it waited")


class Proxy:
    """A TCP front of a Unix socket that holds replies back for `delay_s`, in order."""

    def __init__(self, path: str) -> None:
        self.delay_s = 0.0
        self.bytes_to_server = 0
        self.url = ""
        self._path = path
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self._path)
        for pump in (self._requests(reader, to_server), self._replies(from_server, writer)):
            self._pumps.add(asyncio.create_task(pump))

    async def _requests(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(sink):
            while data := await source.read(65_536):
                self.bytes_to_server += len(data)
                sink.write(data)

    async def _replies(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(sink):
            while data := await source.read(65_536):
                await asyncio.sleep(self.delay_s)
                sink.write(data)
