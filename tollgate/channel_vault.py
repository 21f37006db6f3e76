"""What channels keep sealed and how they are reached, built from the parts of a process."""

from gateway.call.failover import ChannelVault
from gateway.channels.health import ChannelHealth
from gateway.channels.keys import ChannelKeys
from gateway.channels.keys_out_of_use import KeysOutOfUse
from gateway.channels.overrides.sealed import ChannelOverrides
from gateway.channels.shared_keys import SharedKeys
from gateway.channels.system_prompts import ChannelTexts
from gateway.channels.ways import ChannelWays
from gateway.http.client.clients import ProviderClients
from gateway.owned_tasks import OwnedTasks
from tollgate.core import Core


def channel_vault(
    core: Core, upstreams: ProviderClients, node: str, tasks: OwnedTasks
) -> ChannelVault:
    """What channels keep sealed and how they are reached, for a process of this name."""
    out_of_use = KeysOutOfUse(core.ledger, node, tasks)
    shared = SharedKeys(core.channel_keys, tasks)
    texts = ChannelTexts(core.vault, core.pool)
    return ChannelVault(
        ChannelKeys(core.vault, core.pool, out_of_use, shared),
        texts,
        ChannelWays(upstreams, texts),
        ChannelOverrides(texts),
        ChannelHealth(shared),
    )
