"""Puts the gateway of one worker together: every part once, in the order they need each other."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from psycopg_pool import AsyncConnectionPool

from gateway.app import Gateway
from gateway.attempts import KeyRefused
from gateway.body import BodyLimits
from gateway.callers import Network
from gateway.channel_keys import ChannelKeys
from gateway.charges import ChargeBook, OwnedTasks
from gateway.cutting import Cutter
from gateway.formats.registry import FORMATS
from gateway.health import Health
from gateway.leases import NodeLease
from gateway.models import Models
from gateway.providers.registry import PROVIDERS
from gateway.refusals import Refusals
from gateway.relay import Parts, Relay, RelayLimits
from gateway.tokens import Tokenizer
from gateway.upstream import Upstream, UpstreamTimeouts
from ledger.application import Ledger
from ledger.store.writer import Writer
from ledger.vault import Vault
from projections.cache.balances import BalanceCache
from projections.configuration import Configuration

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Backing:
    """What a process of ours stands on; front and desk share it."""

    pool: AsyncConnectionPool[Any]
    writer: Writer
    cache: BalanceCache
    configuration: Configuration
    vault: Vault


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """What an operator can set about the gateway; `node` names this process in the books."""

    node: str
    trusted_proxies: Sequence[Network] = ()
    body_max_bytes: int = 32 * 1024 * 1024
    idle_s: float = 300.0
    call_s: float | None = None


class Front:
    """One worker's gateway: open it, serve `app`, drain it, close it."""

    def __init__(self, backing: Backing, settings: FrontSettings) -> None:
        pool, writer, configuration = backing.pool, backing.writer, backing.configuration
        self._tasks = OwnedTasks()
        self._cutter = Cutter()
        self._lease = NodeLease(pool, settings.node)
        self._refusals = Refusals(pool)
        self._upstream = Upstream(UpstreamTimeouts(idle_s=settings.idle_s))
        self._tokenizer = Tokenizer()
        parts = Parts(
            configuration=configuration,
            book=ChargeBook(writer, backing.cache, pool, self._lease, self._tasks),
            upstream=self._upstream,
            keys=ChannelKeys(backing.vault, pool),
            tokenizer=self._tokenizer,
            providers=PROVIDERS,
            refusals=self._refusals,
            cutter=self._cutter,
            key_refused=KeyRefused(Ledger(pool, writer), settings.node),
        )
        wire = FORMATS["openai_chat"]
        proxies = settings.trusted_proxies
        limits = RelayLimits(
            body=BodyLimits(max_bytes=settings.body_max_bytes), call_s=settings.call_s
        )
        self.health = Health(pool, configuration, self._lease)
        self.app = Gateway(
            wire,
            Relay(wire, parts, proxies, limits),
            Models(wire, configuration, proxies),
            self.health,
        )
        self._background: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Take the lease and start what runs beside the calls."""
        await self._lease.acquire()
        self._background = [
            asyncio.create_task(self._lease.run()),
            asyncio.create_task(self._refusals.run()),
        ]

    @property
    def boot(self) -> UUID:
        """This uninterrupted life of the node."""
        return self._lease.boot

    async def drain(self, within_s: float, cut_within_s: float = 10.0) -> None:
        """Let calls end by themselves; cut what is left, and wait until it is settled."""
        if not await self._tasks.drain(within_s):
            log.warning("front.cutting", calls=len(self._cutter))
            self._cutter.cut_all("shutdown")
            await self._tasks.drain(cut_within_s)

    async def close(self) -> None:
        """Give everything back. Call `drain` first; close the writer after this."""
        for task in self._background:
            task.cancel()
        await self._refusals.flush()
        await self._lease.release()
        await self._upstream.close()
        self._tokenizer.close()
