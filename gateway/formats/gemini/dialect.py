"""generateContent to and from the conversation in no dialect."""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.request import Conversation, Written
from gateway.conversation.turn import Turn
from gateway.formats.contract import ChatCall, EventReader, EventWriter
from gateway.formats.gemini import conversation, events, turn, writing
from ledger.usage import Usage


class GeminiDialect:
    """See `gateway.formats.contract.Dialect`."""

    def conversation(self, call: ChatCall) -> Conversation:
        """What the client asks for."""
        return conversation.conversation_of(call)

    def request(self, conversation: Conversation, upstream_model: str) -> Written:
        """The request as a provider of this dialect reads it. Raises InvalidRequest."""
        return writing.request_of(conversation, upstream_model)

    def turn(self, document: Mapping[str, Any]) -> Turn:
        """The provider's whole answer."""
        return turn.turn_of(document)

    def answer(self, call: ChatCall, turn_: Turn, usage: Usage) -> bytes:
        """The whole answer for the client."""
        return turn.answer_of(call, turn_, usage)

    def reader(self) -> EventReader:
        """For the stream of a provider of this dialect."""
        return events.ContentEventReader()

    def writer(self, call: ChatCall) -> EventWriter:
        """For the stream to a client of this dialect."""
        return events.ContentEventWriter(call)
