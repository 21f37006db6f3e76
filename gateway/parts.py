"""What serving a call takes, made once for a process and handed to whoever serves."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.attempts import ChannelVault
from gateway.charges import ChargeBook
from gateway.cutting import Cutter
from gateway.formats.contract import ProviderFormat
from gateway.kept.responses import KeptResponses
from gateway.key_refusals import KeyRefused
from gateway.media.egress import Egress
from gateway.providers.contract import Provider
from gateway.refusals import Refusals
from gateway.tokens import Tokenizer
from gateway.upstream import Upstream
from projections.configuration import Configuration


@dataclass(frozen=True, slots=True)
class Parts:
    """What a relay works with; one of each per process."""

    configuration: Configuration
    book: ChargeBook
    upstream: Upstream
    vault: ChannelVault
    tokenizer: Tokenizer
    providers: Mapping[str, Provider]
    formats: Mapping[str, ProviderFormat]
    refusals: Refusals
    cutter: Cutter
    kept: KeptResponses
    key_refused: KeyRefused
    egress: Egress
