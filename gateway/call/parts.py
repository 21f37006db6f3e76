"""What serving a call takes, made once for a process and handed to whoever serves."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.call.charges.charge_book import ChargeBook
from gateway.call.charges.leases import NodeLease
from gateway.call.deadlines import Deadlines
from gateway.call.failover import ChannelVault
from gateway.call.metering.tokenizer import Tokenizer
from gateway.call.refusals import Refusals
from gateway.formats.contract import ProviderFormat
from gateway.media.egress import Egress
from gateway.owned_tasks import OwnedTasks
from gateway.providers.contract import Provider
from gateway.stored_responses.store import StoredResponses
from projections.configuration import Configuration


@dataclass(frozen=True, slots=True)
class Parts:
    """What a relay works with; one of each per process."""

    configuration: Configuration
    book: ChargeBook
    lease: NodeLease
    tasks: OwnedTasks
    vault: ChannelVault
    tokenizer: Tokenizer
    providers: Mapping[str, Provider]
    formats: Mapping[str, ProviderFormat]
    refusals: Refusals
    deadlines: Deadlines
    stored_responses: StoredResponses
    egress: Egress
