"""Builds the gateway of one worker from its parts, and takes it down in order."""

import asyncio
import contextlib
import ipaddress
import socket
from dataclasses import dataclass
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from gateway.call.callers import client_address
from gateway.call.charges.charge_book import ChargeBook
from gateway.call.charges.charge_store import ChargeStore
from gateway.call.charges.leases import NodeLease
from gateway.call.deadlines import Deadlines
from gateway.call.metering.tokenizer import Tokenizer
from gateway.call.parts import Parts
from gateway.call.refusals import Refusals
from gateway.call.relay import Relay, RelayLimits
from gateway.channels.keys import ChannelKeys
from gateway.formats.anthropic_messages.requests import request as anthropic_messages
from gateway.formats.gemini.requests import request as gemini
from gateway.formats.openai_responses.requests.compaction import COMPACT, OpenAICompaction
from gateway.formats.registry import FORMATS, PROVIDER_FORMATS
from gateway.http.body import BodyLimits
from gateway.http.client.clients import ProviderClients
from gateway.http.exchange import Exchange, Message, Scope
from gateway.http.upstream import UpstreamTimeouts
from gateway.media.egress import Egress, EgressLimits
from gateway.owned_tasks import OwnedTasks
from gateway.providers.registry import PROVIDERS
from gateway.routes.application import Gateway
from gateway.routes.count_tokens import CountingWords, TokenCounting
from gateway.routes.health import Health
from gateway.routes.models import Models
from gateway.routes.stored_responses import StoredResponseRoutes
from gateway.stored_responses.store import StoredResponses
from ledger.networks import Network
from tollgate.channel_vault import channel_vault
from tollgate.core import Core
from tollgate.processes.assignment import Assignment

log = structlog.get_logger()

_NO_CHARGE = UUID(int=0)

_COUNTING = (
    CountingWords(FORMATS["anthropic_messages"], anthropic_messages.read_counting, "input_tokens"),
    CountingWords(FORMATS["gemini"], gemini.read_counting, "totalTokens"),
)
_TRY_AGAIN_S = 0.25
_SETTLE_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Front:
    """The gateway of one worker, and what its worker does with it."""

    core: Core
    gateway: Gateway
    health: Health
    lease: NodeLease
    deadlines: Deadlines
    refusals: Refusals
    upstreams: ProviderClients
    keys: ChannelKeys
    egress: Egress
    tokenizer: Tokenizer
    owned: OwnedTasks
    trusted_proxies: tuple[Network, ...]
    ready_to_serve: asyncio.Event
    """Set once the configuration was read: before that nobody's call can be judged."""

    async def run(self) -> None:
        """Everything that goes on beside the calls; for ever."""
        await self._load()
        self.ready_to_serve.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.core.configuration.run())
            group.create_task(self.lease.run())
            group.create_task(self.refusals.run())
            group.create_task(self.keys.shared.run())

    async def close(self) -> None:
        """After the last answer: settle what is left, then give the lease up."""
        if not await self.owned.drain(_SETTLE_WITHIN_S):
            log.error("worker.unsettled", consequence="the sweeper closes what is left")
        await self.refusals.flush()
        with contextlib.suppress(psycopg.Error, PoolTimeout, OSError):
            await self.lease.release()
        await self.upstreams.close()
        await self.egress.close()
        self.tokenizer.close()

    def client_address(self, scope: Scope) -> str | None:
        """Where a request comes from, past the proxies that are trusted: for the desk."""
        address = client_address(
            Exchange(scope, _nothing, _nowhere, _NO_CHARGE), self.trusted_proxies
        )
        return None if address is None else str(address)

    async def _load(self) -> None:
        """Read the configuration and take the lease, as soon as the database answers."""
        while True:
            try:
                await self.core.configuration.load()
                await self.lease.acquire()
            except (psycopg.Error, PoolTimeout, OSError) as error:
                log.warning("worker.waits_for_database", error=str(error))
                await asyncio.sleep(_TRY_AGAIN_S)
            else:
                return


def build_front(given: Assignment, core: Core) -> Front:
    """The gateway over these parts; nothing runs yet. Call it on the event loop."""
    owned, deadlines, refusals = OwnedTasks(), Deadlines(given.relay_timeout_s), Refusals(core.pool)
    lease = NodeLease(
        core.pool,
        f"{socket.gethostname()}/{given.name}",
        when_lapsed=lambda: deadlines.end_all("lease_lapsed"),
    )
    upstreams = ProviderClients(UpstreamTimeouts(idle_s=given.streaming_timeout_s))
    parts = Parts(
        configuration=core.configuration,
        book=ChargeBook(
            ChargeStore(core.writer, core.cache, core.pool, lease, owned),
            lambda: core.configuration.held.days,
        ),
        lease=lease,
        tasks=owned,
        vault=channel_vault(core, upstreams, lease.node, owned),
        tokenizer=Tokenizer(),
        providers=PROVIDERS,
        formats=PROVIDER_FORMATS,
        refusals=refusals,
        deadlines=deadlines,
        stored_responses=StoredResponses(core.pool, core.vault),
        egress=Egress(_egress_limits(given)),
    )
    proxies = tuple(ipaddress.ip_network(network) for network in given.trusted_proxies)
    limits = RelayLimits(
        body=BodyLimits(max_bytes=given.request_body_max_bytes),
        keeps_translated=given.keeps_translated_responses,
    )
    relays = {
        name: Relay(client_format, parts, proxies, limits)
        for name, client_format in FORMATS.items()
    }
    relays[COMPACT] = Relay(OpenAICompaction(), parts, proxies, limits)
    counting = {
        words.client_format.name: TokenCounting(
            words, core.configuration, parts.tokenizer, proxies, limits.body
        )
        for words in _COUNTING
    }
    models = Models(FORMATS, core.configuration, proxies)
    kept = StoredResponseRoutes(FORMATS["openai_responses"], parts, proxies)
    health = Health(core.pool, core.configuration, lease, core.writer)
    return Front(
        core=core,
        gateway=Gateway(FORMATS, relays, counting, models, kept, health),
        health=health,
        lease=lease,
        deadlines=deadlines,
        refusals=refusals,
        upstreams=upstreams,
        keys=parts.vault.keys,
        egress=parts.egress,
        tokenizer=parts.tokenizer,
        owned=owned,
        trusted_proxies=proxies,
        ready_to_serve=asyncio.Event(),
    )


def _egress_limits(given: Assignment) -> EgressLimits:
    return EgressLimits(
        max_bytes=given.media_max_bytes,
        within_s=given.media_timeout_s,
        allowed=tuple(ipaddress.ip_network(network) for network in given.media_networks),
    )


async def _nothing() -> Message:
    raise AssertionError("only the head of this request is looked at")


async def _nowhere(_message: Message) -> None:
    raise AssertionError("this request is answered elsewhere")
