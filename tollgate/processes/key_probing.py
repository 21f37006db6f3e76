"""Probes keys that are out of use from the background process; of all nodes one asks at a time."""

import asyncio
import socket
from functools import partial

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from gateway.call.asking.tries import TryBounds
from gateway.call.charges.own_charges import OwnCharges
from gateway.call.failover import Failover
from gateway.call.key_probes import KeyProbes, ProbeParts
from gateway.call.metering.provider_costs import ProviderCosts
from gateway.channels.probe_schedule import ProbeSchedule
from gateway.formats.registry import FORMATS, PROVIDER_FORMATS
from gateway.formats.translator import Translators
from gateway.http.client.clients import ProviderClients
from gateway.media.egress import Egress
from gateway.owned_tasks import OwnedTasks
from gateway.providers.registry import PROVIDERS
from ledger.streams import channel
from tollgate.channel_vault import channel_vault
from tollgate.core import Core
from tollgate.processes.assignment import Assignment

log = structlog.get_logger()

_ASKED_IN = FORMATS["openai_chat"]
_TRY_AGAIN_S = 1.0


async def probe_keys(given: Assignment, core: Core) -> None:
    """For ever, once the configuration was read."""
    node = f"{socket.gethostname()}/{given.name}"
    upstreams, egress = ProviderClients(), Egress()
    try:
        await _loaded(core)
        async with asyncio.TaskGroup() as group:
            group.create_task(core.configuration.run())
            group.create_task(KeyProbes(probe_parts(core, node, upstreams, egress)).run())
    finally:
        await upstreams.close()
        await egress.close()


def probe_parts(core: Core, node: str, upstreams: ProviderClients, egress: Egress) -> ProbeParts:
    """The parts of a process of this name."""
    sealed = channel_vault(core, upstreams, node, OwnedTasks())
    failover = Failover(
        _ASKED_IN.name,
        Translators(_ASKED_IN, PROVIDER_FORMATS),
        PROVIDERS,
        sealed,
        egress,
        ProviderCosts(core.configuration.cost_price),
        TryBounds,
    )
    own = OwnCharges(core.pool, core.writer, core.vault, core.configuration, node)
    return ProbeParts(
        configuration=core.configuration,
        schedule=ProbeSchedule(core.pool),
        sealed=sealed,
        failover=failover,
        asked_in=_ASKED_IN,
        providers=PROVIDERS,
        own_charges=own,
        mark=partial(core.ledger.handle, channel.STREAM),
        actor=f"node:{node}",
    )


async def _loaded(core: Core) -> None:
    while True:
        try:
            await core.configuration.load()
        except (psycopg.Error, PoolTimeout, OSError) as error:
            log.warning("key_probes.wait_for_database", error=str(error))
            await asyncio.sleep(_TRY_AGAIN_S)
        else:
            return
