"""What a provider is to the gateway: an address and a way to ask; never a price or a key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from gateway.upstream import Upstream, UpstreamAnswer


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one channel: where it leads, with which key, and the exact bytes to send, in
    `format`.

    `headers`: what the client sent along with its body, where its dialect is the provider's.
    """

    channel_id: UUID
    base_url: str
    key: str
    upstream_model: str
    body: bytes
    is_stream: bool
    format: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Provider(Protocol):
    """A vendor."""

    name: str
    base_url: str
    """Where it is when the channel does not say; empty: the channel must say."""
    needs_key: bool

    def formats(self, base_url: str) -> Sequence[str]:
        """The names of the wire formats it speaks at an address (empty: its own), best first."""
        ...

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """Ask. Raises UpstreamFailed, UpstreamTimeout when no answer begins."""
