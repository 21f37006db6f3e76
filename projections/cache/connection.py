"""The client of one Redis server: sign-in, scripts and deadlines over a pipelined connection."""

import asyncio
import ssl
from collections.abc import Callable, Sequence

import hiredis

from projections.cache.address import Address
from projections.cache.errors import CacheUnavailable, CommandRefused
from projections.cache.pipeline import Command, Pipeline, Reply, Word
from projections.cache.scripts import Script

DEFAULT_DEADLINE_MS = 100
OPEN_TIMEOUT_S = 1.0

_FAULTS_OF_ONE_COMMAND = frozenset({"ERR", "WRONGTYPE", "CROSSSLOT"})


class RedisConnection:
    """An auto-pipelining Redis client; at most one physical connection at a time.

    Every call that is not answered within `deadline_ms` fails with CacheUnavailable, together
    with everything behind it, and the connection is dropped; `connect` opens the next one.
    `on_lost` is told when an established connection goes away by itself.
    """

    def __init__(
        self,
        url: str,
        scripts: Sequence[Script] = (),
        *,
        deadline_ms: int = DEFAULT_DEADLINE_MS,
        on_lost: Callable[[str], None] | None = None,
    ) -> None:
        self.on_lost = on_lost
        self._address = Address.parse(url)
        self._scripts = tuple(scripts)
        self._deadline_s = deadline_ms / 1_000
        self._pipeline: Pipeline | None = None

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that, as far as is known, works."""
        return self._pipeline is not None

    async def connect(self) -> None:
        """Replace the connection by a fresh one: signed in, database chosen, scripts loaded.

        Raises CacheUnavailable; there is no connection then.
        """
        self.close()
        pipeline = Pipeline(self._deadline_s, self._forget)
        try:
            await self._open(pipeline)
            for reply in [pipeline.send(command) for command in self._greeting()]:
                _accepted(await reply)
        except BaseException:
            pipeline.drop("the connection to Redis was not established")
            raise
        self._pipeline = pipeline

    def close(self) -> None:
        """Drop the connection, if there is one; pending calls fail with CacheUnavailable."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.drop("the connection to Redis was closed")

    async def call(self, *words: Word) -> Reply:
        """Run one command. Raises CacheUnavailable, CommandRefused."""
        return _accepted(await self._send(words))

    async def evalsha(self, script: Script, keys: Sequence[Word], args: Sequence[Word]) -> Reply:
        """Run a script, loading it again if the server lost it.

        Raises CacheUnavailable, CommandRefused.
        """
        command = ("EVALSHA", script.sha1, len(keys), *keys, *args)
        reply = await self._send(command)
        if isinstance(reply, Exception):
            return await self._reload_and_retry(script, command, reply)
        return reply

    async def evalsha_each(
        self, script: Script, calls: Sequence[tuple[Sequence[Word], Sequence[Word]]]
    ) -> list[Reply]:
        """Run a script once per (keys, args), all in one write. Raises like `evalsha`."""
        commands = [("EVALSHA", script.sha1, len(keys), *keys, *args) for keys, args in calls]
        # All leave before the first is waited for; one that fails does not hold back the rest.
        replies = [await future for future in [self._send(command) for command in commands]]
        return [
            await self._reload_and_retry(script, command, reply)
            if isinstance(reply, Exception)
            else reply
            for command, reply in zip(commands, replies, strict=True)
        ]

    def _send(self, command: Command) -> "asyncio.Future[Reply]":
        if self._pipeline is None:
            raise CacheUnavailable("there is no connection to Redis")
        return self._pipeline.send(command)

    async def _reload_and_retry(self, script: Script, command: Command, reply: Exception) -> Reply:
        if not (isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")):
            return _accepted(reply)
        self._send(("SCRIPT", "LOAD", script.source))
        return _accepted(await self._send(command))

    async def _open(self, pipeline: Pipeline) -> None:
        loop = asyncio.get_running_loop()
        address = self._address
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                if address.path is not None:
                    await loop.create_unix_connection(lambda: pipeline, address.path)
                else:
                    tls = ssl.create_default_context() if address.tls else None
                    await loop.create_connection(
                        lambda: pipeline, address.host, address.port, ssl=tls
                    )
        except OSError as error:  # a time-out and a failed TLS handshake are OSErrors too
            reason = str(error) or "time-out"
            raise CacheUnavailable(f"Redis cannot be reached: {reason}") from error

    def _greeting(self) -> list[Command]:
        greeting: list[Command] = []
        if self._address.password is not None:
            user = (self._address.username,) if self._address.username else ()
            greeting.append(("AUTH", *user, self._address.password))
        if self._address.database:
            greeting.append(("SELECT", self._address.database))
        greeting.extend(("SCRIPT", "LOAD", script.source) for script in self._scripts)
        return [*greeting, ("PING",)]

    def _forget(self, pipeline: Pipeline, reason: str) -> None:
        if pipeline is not self._pipeline:
            return
        self._pipeline = None
        if self.on_lost is not None:
            self.on_lost(reason)


def _accepted(reply: Reply) -> Reply:
    """The reply itself, unless it says that there is none."""
    if isinstance(reply, CacheUnavailable):
        raise reply
    if isinstance(reply, hiredis.ReplyError):
        text = str(reply)
        if text.partition(" ")[0] in _FAULTS_OF_ONE_COMMAND:
            raise CommandRefused(text) from reply
        raise CacheUnavailable(text) from reply
    return reply
