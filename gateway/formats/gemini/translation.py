"""generateContent to and from the conversation in no format."""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.parts import Address, Media, Stored
from gateway.conversation.request import AnswerTerms, Conversation, Reasoning, Written
from gateway.conversation.turn import Turn
from gateway.formats.contract import EventReader, EventWriter
from gateway.formats.gemini.answers import events, turn
from gateway.formats.gemini.requests import conversation, options, shaping, writing
from gateway.formats.gemini.requests.contents import is_of_google
from gateway.formats.shared.vendors.accepted import Accepted
from gateway.formats.values import ChatCall
from gateway.http.raw_members import Edits
from ledger.usage import Usage


class GeminiTranslation:
    """See `gateway.formats.contract.Translation`."""

    kept_alive = b""
    """Nothing: its SDKs read every line as a piece of an answer."""

    def conversation(self, call: ChatCall) -> Conversation:
        """What the client asks for."""
        return conversation.conversation_of(call)

    def terms(self, call: ChatCall) -> AnswerTerms:
        """What of it the answer has to keep to."""
        return options.terms_of(call)

    def request(self, conversation: Conversation, upstream_model: str) -> Written:
        """The request as a provider of this format reads it. Raises InvalidRequest."""
        return writing.request_of(conversation, upstream_model)

    def takes_address(self, media: Media) -> bool:
        """Whether a provider of this format fetches it by itself."""
        return isinstance(media.source, Address) and is_of_google(media.source.url)

    def turn(self, document: Mapping[str, Any]) -> Turn:
        """The provider's whole answer."""
        return turn.turn_of(document)

    def tells_media(self, media: Media) -> bool:
        """Whether an answer has a form for it."""
        return not isinstance(media.source, Stored)

    def answer(self, call: ChatCall, turn_: Turn, usage: Usage) -> bytes:
        """The whole answer for the client."""
        return turn.answer_of(call, turn_, usage)

    def reader(self) -> EventReader:
        """For the stream of a provider of this format."""
        return events.ContentEventReader()

    def writer(self, call: ChatCall) -> EventWriter:
        """For the stream to a client of this format."""
        return events.ContentEventWriter(call)

    def think(self, document: Mapping[str, Any], model: str, reasoning: Reasoning) -> Edits:
        """What makes a request think as the model's name says."""
        return shaping.think(document, model, reasoning)

    def fit(self, document: Mapping[str, Any], takes: Accepted) -> Edits:
        """Without other vendors' thoughts, and ids of calls where a vendor has none."""
        return shaping.fit(document, takes)

    def lead(self, document: Mapping[str, Any], words: str, before_own: bool) -> dict[str, Any]:
        """The members that give a request a system prompt, where it has none or before its own."""
        return shaping.lead(document, words, before_own)
