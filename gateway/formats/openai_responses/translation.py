"""Responses to and from the conversation in no format."""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.parts import Inline, Media
from gateway.conversation.request import AnswerTerms, Conversation, Reasoning, Written
from gateway.conversation.turn import Turn
from gateway.formats.contract import EventReader, EventWriter, Made
from gateway.formats.openai_responses.answers import turn
from gateway.formats.openai_responses.answers.reading_events import ResponseEventReader
from gateway.formats.openai_responses.answers.writing_events import ResponseEventWriter
from gateway.formats.openai_responses.requests import conversation, options, shaping, writing
from gateway.formats.values import ChatCall
from gateway.http.raw_members import Edits
from ledger.usage import Usage


class ResponsesTranslation:
    """See `gateway.formats.contract.Translation`."""

    kept_alive = b": \n\n"

    def conversation(self, call: ChatCall) -> Conversation:
        """What the client asks for."""
        return conversation.conversation_of(call)

    def terms(self, call: ChatCall) -> AnswerTerms:
        """What of it the answer has to keep to."""
        return options.terms_of(call)

    def request(self, conversation: Conversation, upstream_model: str) -> Written:
        """The request as a provider of this format reads it. Raises InvalidRequest."""
        return writing.request_of(conversation, upstream_model)

    def takes_address(self, media: Media) -> bool:  # noqa: ARG002 - all alike
        """Whether a provider of this format fetches it by itself."""
        return True  # images and files are; there are no words for the rest

    def turn(self, document: Mapping[str, Any]) -> Turn:
        """The provider's whole answer. Raises UnreadableAnswer."""
        return turn.turn_of(document)

    def tells_media(self, media: Media) -> bool:
        """Whether an answer has a form for it: a call that makes images."""
        return media.kind == "image" and isinstance(media.source, Inline)

    def answer(self, call: ChatCall, turn_: Turn, usage: Usage) -> bytes:
        """The whole answer for the client."""
        return turn.answer_of(call, turn_, usage)

    def reader(self) -> EventReader:
        """For the stream of a provider of this format."""
        return ResponseEventReader()

    def writer(self, call: ChatCall) -> EventWriter:
        """For the stream to a client of this format."""
        return ResponseEventWriter(call)

    def think(self, document: Mapping[str, Any], model: str, reasoning: Reasoning) -> Edits:
        """What makes a request think as the model's name says."""
        return shaping.think(document, model, reasoning)

    def lead(self, document: Mapping[str, Any], words: str, before_own: bool) -> dict[str, Any]:
        """The members that give a request a system prompt, where it has none or before its own."""
        return shaping.lead(document, words, before_own)

    def made(self, told: bytes) -> Made:
        """The response that was told, whole or by the last event of a stream."""
        return turn.made_of(told)
