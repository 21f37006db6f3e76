"""The parts every process of ours is built from, opened together and closed in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from admin_api.channels.asker import AnsweredQuestion, Asker, Question
from admin_api.channels.types import ChannelSetting, ChannelType
from admin_api.desk import Desk
from gateway.channels.overrides.reading import read_overrides
from gateway.providers.contract import Provider
from gateway.providers.registry import PROVIDERS
from ledger.application import Ledger
from ledger.store.writer import Writer
from ledger.streams.channel import Channel
from ledger.vault import Vault
from projections.cache.balances import BalanceCache
from projections.cache.breaker import Breaker
from projections.cache.channel_keys import CHANNEL_KEY_SCRIPTS, SharedChannelKeys
from projections.cache.connection import RedisConnection
from projections.cache.guarded import GuardedRedis
from projections.cache.scripts import BALANCE_SCRIPTS
from projections.configuration import Configuration
from tollgate.importing import imported

POOL_WAIT_S = 1.0
"""How long anybody waits for a connection before the database counts as away."""


@dataclass(frozen=True, slots=True)
class Core:
    """Both sides of the ledger, the cache, the vault and the configuration.

    The configuration is empty until somebody loads it.
    """

    pool: AsyncConnectionPool[Any]
    cache: BalanceCache
    writer: Writer
    ledger: Ledger
    vault: Vault
    configuration: Configuration
    channel_keys: SharedChannelKeys

    def desk(self) -> Desk:
        """The desk over these parts."""
        return Desk(
            self.pool,
            self.ledger,
            self.vault,
            self.configuration,
            channel_types(),
            self.channel_keys,
            read_overrides,
            _LaterAsker(self),
        )

    @contextlib.asynccontextmanager
    async def desk_alone(self) -> AsyncIterator[Desk]:
        """The desk in a program that does not serve: it reads the configuration, and follows it.

        Raises psycopg.OperationalError when the database is away.
        """
        await self.writer.connect()
        await self.configuration.load()
        following = asyncio.create_task(self.configuration.run())
        desk = self.desk()
        try:
            yield desk
        finally:
            await desk.commands.close()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


class _LaterAsker:
    """Imports what asks providers with the first question: most commands ask none."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def _asker(self) -> Asker:
        made = cast("Callable[[Core], Asker]", imported("tollgate.asking:CoreAsker"))
        return made(self._core)

    async def ask(self, channel_id: UUID, state: Channel, question: Question) -> AnsweredQuestion:
        return await self._asker.ask(channel_id, state, question)

    async def offered(self, channel_id: UUID, state: Channel, key_id: UUID | None) -> list[str]:
        return await self._asker.offered(channel_id, state, key_id)


@contextlib.asynccontextmanager
async def open_core(
    app_dsn: str, redis_url: str, crypto_secret: str, *, connections_max: int
) -> AsyncIterator[Core]:
    """The parts, connected as far as the servers answer; what is away is looked for in use.

    What the writer has queued is stored before this closes.
    """
    scripts = (*BALANCE_SCRIPTS, *CHANNEL_KEY_SCRIPTS)
    redis = GuardedRedis(RedisConnection(redis_url, scripts), Breaker())
    cache = BalanceCache(redis)
    writer = Writer(app_dsn, cache.publish)
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        app_dsn,
        min_size=1,
        max_size=connections_max,
        open=False,
        timeout=POOL_WAIT_S,
        # The pool gives up soon and begins anew with the next caller, instead of waiting longer
        # and longer: a database that is back is found at once.
        reconnect_timeout=POOL_WAIT_S,
        check=AsyncConnectionPool.check_connection,
    )
    await redis.start()
    await pool.open(wait=False)
    try:
        yield Core(
            pool,
            cache,
            writer,
            Ledger(pool, writer),
            Vault(crypto_secret),
            Configuration(app_dsn, pool),
            SharedChannelKeys(redis),
        )
    finally:
        await writer.close()
        await pool.close()
        await redis.close()


def channel_types() -> Mapping[str, ChannelType]:
    """What the desk needs to know of the providers that the gateway has."""
    return {name: _channel_type(provider) for name, provider in PROVIDERS.items()}


def _channel_type(provider: Provider) -> ChannelType:
    return ChannelType(
        base_url=provider.base_url,
        needs_base_url=not provider.base_url,
        is_whole_url=provider.is_whole_url,
        needs_key=provider.needs_key,
        key_format=provider.key_form.description,
        key_pattern=provider.key_form.pattern,
        key_may_be_json=provider.key_form.may_be_json,
        formats=tuple(provider.spoken),
        settings=tuple(
            ChannelSetting(
                one.name, one.description, one.is_required, one.default, one.pattern, one.leads_keys
            )
            for one in provider.settings
        ),
    )
