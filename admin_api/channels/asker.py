"""What it takes to ask providers, which the desk cannot do by itself: the gateway does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from ledger.streams.channel import Channel

ASKED_IN = (
    "openai_chat",
    "openai_responses",
    "openai_completions",
    "anthropic_messages",
    "gemini",
)
"""The formats in which a channel may be asked."""


@dataclass(frozen=True, slots=True)
class ShownExchange:
    """A request and its answer as they went over the wire, without what is secret."""

    method: str
    url: str
    request_headers: Mapping[str, str]
    request_body: str
    status: int
    answer_headers: Mapping[str, str]
    answer_body: str


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """What came of a question. `error`: as a client would be told, empty: it was answered.
    `finding`: what the failure says of the key, as a code. `cost_nanos`: what it cost us, None
    where that is not known; it is booked.
    """

    error: str
    finding: str
    duration_ms: int
    usage: Mapping[str, int] = field(default_factory=dict)
    cost_nanos: int | None = None
    exchange: ShownExchange | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A model of a channel, by our name for it, asked in a client's format."""

    model: str
    asked_in: str = "openai_chat"
    stream: bool = False
    key_id: UUID | None = None


class Asker(Protocol):
    """Asks providers."""

    async def ask(self, channel_id: UUID, state: Channel, question: Question) -> AnsweredQuestion:
        """For a few tokens."""
        ...

    async def offered(self, channel_id: UUID, state: Channel, key_id: UUID | None) -> list[str]:
        """The vendor's own names of its models. Raises NotAnswered."""
        ...
