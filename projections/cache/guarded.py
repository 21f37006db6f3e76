"""A Redis nobody waits for when it is in trouble: the connection behind its breaker."""

import asyncio
from collections.abc import Sequence

import structlog

from projections.cache.breaker import Breaker
from projections.cache.connection import RedisConnection
from projections.cache.errors import CacheUnavailable, CommandRefused
from projections.cache.pipeline import Reply, Word
from projections.cache.scripts import Script

log = structlog.get_logger()

_PROBE_KEY = "tollgate:probe"
_PROBE_TTL_MS = 1_000


class GuardedRedis:
    """Passes calls on while Redis is well; after the first failure they fail at once.

    A background task, alive only while the breaker is open, reconnects and closes it again.
    Every method raises CacheUnavailable.
    """

    def __init__(self, connection: RedisConnection, breaker: Breaker) -> None:
        self._connection = connection
        self._breaker = breaker
        self._healing: asyncio.Task[None] | None = None
        self._closed = False
        connection.on_lost = self._trip

    @property
    def is_open(self) -> bool:
        """Whether Redis is left out at the moment."""
        return self._breaker.is_open

    async def start(self) -> None:
        """Connect. A Redis that cannot be reached is no error: it is looked for from now on."""
        try:
            await self._connection.connect()
        except CacheUnavailable as error:
            self._trip(str(error))

    async def close(self) -> None:
        """Drop the connection and stop looking for Redis; later calls fail at once."""
        self._closed = True
        self._breaker.open("closed")
        if self._healing is not None:
            self._healing.cancel()
            await asyncio.gather(self._healing, return_exceptions=True)
        self._connection.close()

    async def call(self, *words: Word) -> Reply:
        """Run one command."""
        self._breaker.check()
        try:
            return await self._connection.call(*words)
        except CacheUnavailable as error:
            self._judge(error)
            raise

    async def evalsha(self, script: Script, keys: Sequence[Word], args: Sequence[Word]) -> Reply:
        """Run a script."""
        self._breaker.check()
        try:
            return await self._connection.evalsha(script, keys, args)
        except CacheUnavailable as error:
            self._judge(error)
            raise

    async def evalsha_each(
        self, script: Script, calls: Sequence[tuple[Sequence[Word], Sequence[Word]]]
    ) -> list[Reply]:
        """Run a script once per (keys, args), all in one write."""
        self._breaker.check()
        try:
            return await self._connection.evalsha_each(script, calls)
        except CacheUnavailable as error:
            self._judge(error)
            raise

    def _judge(self, error: CacheUnavailable) -> None:
        if not isinstance(error, CommandRefused):
            self._trip(str(error))

    def _trip(self, reason: str) -> None:
        if self._closed or not self._breaker.open(reason):
            return
        log.warning("redis_left_out", reason=reason)
        self._healing = asyncio.get_running_loop().create_task(self._heal())

    async def _heal(self) -> None:
        while self._breaker.is_open:
            await asyncio.sleep(self._breaker.seconds_to_probe())
            try:
                await self._probe()
            except CacheUnavailable as error:
                self._breaker.probe_failed(str(error))
            else:
                self._breaker.probe_succeeded()
                log.info("redis_back")

    async def _probe(self) -> None:
        if not self._connection.is_connected:
            await self._connection.connect()
        # A write, because a server that is full, read-only or unable to save still answers PING.
        await self._connection.call("SET", _PROBE_KEY, "1", "PX", _PROBE_TTL_MS)
