"""What a provider is to the gateway: an address and a way to ask; never a price or a key."""

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from gateway.upstream import Upstream, UpstreamAnswer


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one channel: where it leads, with which key, and the exact bytes to send."""

    channel_id: UUID
    base_url: str
    key: str
    upstream_model: str
    body: bytes
    is_stream: bool
    document: dict[str, Any]


class Provider(Protocol):
    """A vendor. `format` names the wire format it speaks."""

    name: str
    format: str
    base_url: str
    """Where it is when the channel does not say; empty: the channel must say."""
    needs_key: bool

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """Ask. Raises UpstreamFailed, UpstreamTimeout when no answer begins."""
