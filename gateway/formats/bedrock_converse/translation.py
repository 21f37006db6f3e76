"""Conversations in no format to providers of Converse, and their turns back."""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.parts import Media
from gateway.conversation.request import Conversation, Reasoning, Written
from gateway.conversation.turn import Turn
from gateway.formats.bedrock_converse.answers import answer, reading_events
from gateway.formats.bedrock_converse.requests import shaping, writing
from gateway.formats.contract import EventReader
from gateway.http.raw_members import Edits


class ConverseTranslation:
    """See `gateway.formats.contract.ProviderTranslation`."""

    def request(self, conversation: Conversation, upstream_model: str) -> Written:
        """The request as a provider of this format reads it. Raises InvalidRequest."""
        return writing.request_of(conversation, upstream_model)

    def takes_address(self, media: Media) -> bool:  # noqa: ARG002 - of any kind
        """Never: buckets, the only addresses it knows, would be opened with the operator's key."""
        return False

    def turn(self, document: Mapping[str, Any]) -> Turn:
        """The provider's whole answer. Raises UnreadableAnswer."""
        return answer.turn_of(document)

    def reader(self) -> EventReader:
        """For the stream of a provider of this format."""
        return reading_events.ConverseEventReader()

    def think(self, document: Mapping[str, Any], model: str, reasoning: Reasoning) -> Edits:
        """What makes a request think as the model's name says."""
        return shaping.think(document, model, reasoning)

    def lead(self, document: Mapping[str, Any], words: str, before_own: bool) -> dict[str, Any]:
        """The members that give a request a system prompt, where it has none or before its own."""
        return shaping.lead(document, words, before_own)
