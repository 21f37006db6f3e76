"""Messages to and from the conversation in no format."""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.parts import Address, Media
from gateway.conversation.request import AnswerTerms, Conversation, Reasoning, Written
from gateway.conversation.turn import Turn
from gateway.formats.anthropic_messages.answers import reading_events, turn, writing_events
from gateway.formats.anthropic_messages.requests import conversation, shaping, writing
from gateway.formats.contract import EventReader, EventWriter
from gateway.formats.shared.vendors.accepted import Accepted
from gateway.formats.values import ChatCall
from gateway.http.raw_members import Edits
from ledger.usage import Usage


class MessagesTranslation:
    """See `gateway.formats.contract.Translation`."""

    kept_alive = b": \n\n"

    def conversation(self, call: ChatCall) -> Conversation:
        """What the client asks for. Raises InvalidRequest."""
        return conversation.conversation_of(call)

    def terms(self, call: ChatCall) -> AnswerTerms:
        """What of it the answer has to keep to."""
        return conversation.terms_of(call)

    def request(self, conversation: Conversation, upstream_model: str) -> Written:
        """The request as a provider of this format reads it. Raises InvalidRequest."""
        return writing.request_of(conversation, upstream_model)

    def takes_address(self, media: Media) -> bool:
        """Whether a provider of this format fetches it by itself."""
        is_told = media.kind in ("image", "document")
        return not is_told or (isinstance(media.source, Address) and _is_secure(media.source.url))

    def turn(self, document: Mapping[str, Any]) -> Turn:
        """The provider's whole answer. Raises UnreadableAnswer."""
        return turn.turn_of(document)

    def tells_media(self, media: Media) -> bool:  # noqa: ARG002 - models of this format make none
        """Nothing: answers are words and calls."""
        return False

    def answer(self, call: ChatCall, told: Turn, usage: Usage) -> bytes:
        """The whole answer for the client."""
        return turn.answer_of(call, told, usage)

    def reader(self) -> EventReader:
        """For the stream of a provider of this format."""
        return reading_events.EventReader()

    def writer(self, call: ChatCall) -> EventWriter:
        """For the stream to a client of this format."""
        return writing_events.EventWriter(call)

    def think(self, document: Mapping[str, Any], model: str, reasoning: Reasoning) -> Edits:
        """What makes a request think as the model's name says."""
        return shaping.think(document, model, reasoning)

    def fit(self, document: Mapping[str, Any], takes: Accepted) -> Edits:
        """Without the line that only Anthropic reads."""
        return shaping.fit(document, takes)

    def lead(self, document: Mapping[str, Any], words: str, before_own: bool) -> dict[str, Any]:
        """The members that give a request a system prompt, where it has none or before its own."""
        return shaping.lead(document, words, before_own)


def _is_secure(url: str) -> bool:
    """Anthropic takes no others: https://docs.anthropic.com/en/docs/build-with-claude/vision."""
    return url[:8].lower() == "https://"
