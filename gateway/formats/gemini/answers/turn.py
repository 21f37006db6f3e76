"""A whole GenerateContentResponse as a turn in no format, and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from gateway.conversation.parts import Part, Text, ToolCall
from gateway.conversation.turn import Choice, Stopped, Turn
from gateway.errors import AnswerFailed
from gateway.formats.gemini.answers.citations import citations_of, grounding_of
from gateway.formats.gemini.answers.usage import write_usage
from gateway.formats.gemini.carried_thoughts import with_carried
from gateway.formats.gemini.requests.conversation import parts_in
from gateway.formats.gemini.requests.writing import is_cut, written_parts
from gateway.formats.gemini.vocabulary import ENDS, FINISH_OF_STOP, NAME, member
from gateway.formats.values import ChatCall
from ledger.usage import Usage

_MESSAGE_MAX_CHARACTERS = 2_000


def turn_of(document: Mapping[str, Any]) -> Turn:
    """What a provider answered; a blocked prompt is a turn without words.

    Raises AnswerFailed where a candidate came to nothing, or where there is none for no reason.
    """
    candidates = document.get("candidates")
    if not candidates:
        if member(document, "promptFeedback") is None:
            raise AnswerFailed("The provider answered without a candidate.")
        candidates = [{"finishReason": "SAFETY"}]
    return Turn(
        format=NAME,
        id=str(member(document, "responseId") or ""),
        model=str(member(document, "modelVersion") or ""),
        choices=tuple(_choice(candidate) for candidate in candidates),
    )


def answer_of(call: ChatCall, turn: Turn, usage: Usage) -> bytes:
    """The response as the client reads it."""
    document = {
        "candidates": [
            candidate_of(index, written_parts(with_carried(choice.parts), lacks_cut=True))
            | ended(choice, [part for part in choice.parts if is_cut(part)])
            | grounding_of(citations_in(choice.parts))
            for index, choice in enumerate(turn.choices)
        ],
        "usageMetadata": write_usage(usage),
        "modelVersion": call.model,
        "responseId": turn.id,
    }
    return msgspec.json.encode(document)


def candidate_of(index: int, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """A candidate, or a part of one in a stream."""
    return {"content": {"parts": parts, "role": "model"}, "index": index}


def ended(stopped: Choice | Stopped, cut: Sequence[Part]) -> dict[str, Any]:
    """Why a candidate ended, and the calls that were cut: SDKs carry out every call they are told
    of, whatever the reason is.
    """
    if cut and stopped.stop not in ("length", "content_filter"):
        reason = "MALFORMED_FUNCTION_CALL"
    else:
        reason = FINISH_OF_STOP[stopped.stop]
    words = [stopped.stop_word] if stopped.stop_word else []
    words += [f"{one.name}({one.arguments}" for one in cut if isinstance(one, ToolCall)]
    told = {"finishMessage": "\n".join(words)[:_MESSAGE_MAX_CHARACTERS]} if words else {}
    return {"finishReason": reason, **told}


def citations_in(parts: Iterable[Part]) -> list[Any]:
    """Everything that the words of an answer cite."""
    return [cited for part in parts if isinstance(part, Text) for cited in part.citations]


def _choice(candidate: Mapping[str, Any]) -> Choice:
    parts = list(parts_in(candidate.get("content")))
    citations = citations_of(candidate)
    if citations:
        for index, part in enumerate(parts):
            if isinstance(part, Text):
                parts[index] = msgspec.structs.replace(part, citations=citations, citing=NAME)
                break
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    stop, word = ENDS.read(member(candidate, "finishReason"), has_calls)
    return Choice(parts=tuple(parts), stop=stop, stop_word=word)
