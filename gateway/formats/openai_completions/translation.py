"""Legacy completions to and from the conversation in no format."""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.parts import Media
from gateway.conversation.request import AnswerTerms, Conversation, Reasoning, Written
from gateway.conversation.turn import Turn
from gateway.formats.contract import EventReader, EventWriter
from gateway.formats.openai_completions import answer, conversation, events, shaping
from gateway.formats.values import ChatCall
from gateway.http.raw_members import Edits
from ledger.usage import Usage


class CompletionsTranslation:
    """See `gateway.formats.contract.Translation`."""

    kept_alive = b": \n\n"

    def conversation(self, call: ChatCall) -> Conversation:
        """What the client asks for. Raises InvalidRequest for what only this format can say."""
        return conversation.conversation_of(call)

    def terms(self, call: ChatCall) -> AnswerTerms:
        """What of it the answer has to keep to."""
        return conversation.terms_of(call)

    def request(self, told: Conversation, upstream_model: str) -> Written:
        """The request as a provider of this format reads it. Raises InvalidRequest."""
        return conversation.request_of(told, upstream_model)

    def takes_address(self, media: Media) -> bool:  # noqa: ARG002 - a prompt has no media
        """It cannot be told any."""
        return True

    def turn(self, document: Mapping[str, Any]) -> Turn:
        """The provider's whole answer. Raises UnreadableAnswer."""
        return answer.turn_of(document)

    def tells_media(self, media: Media) -> bool:  # noqa: ARG002 - completions are text
        """Nothing: answers are words."""
        return False

    def answer(self, call: ChatCall, told: Turn, usage: Usage) -> bytes:
        """The whole answer for the client."""
        return answer.answer_of(call, told, usage)

    def reader(self) -> EventReader:
        """For the stream of a provider of this format."""
        return events.CompletionReader()

    def writer(self, call: ChatCall) -> EventWriter:
        """For the stream to a client of this format."""
        return events.CompletionWriter(call)

    def think(self, document: Mapping[str, Any], model: str, reasoning: Reasoning) -> Edits:  # noqa: ARG002 - a contract
        """Nothing: the format is older than thinking."""
        return Edits(lost=("reasoning",) if reasoning.effort else ())

    def lead(self, document: Mapping[str, Any], words: str, before_own: bool) -> dict[str, Any]:  # noqa: ARG002 - no prompt has one of its own
        """The members that give a request a system prompt."""
        return shaping.lead(document, words)
