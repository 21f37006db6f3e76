"""A whole GenerateContentResponse as a turn in no format, and back."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.conversation.parts import Part, Text, ToolCall
from gateway.conversation.turn import Choice, StopReason, Turn
from gateway.formats.gemini.answers.citations import citations_of, grounding_of
from gateway.formats.gemini.answers.usage import write_usage
from gateway.formats.gemini.requests.conversation import parts_in
from gateway.formats.gemini.requests.writing import written_parts
from gateway.formats.gemini.vocabulary import FINISH_OF_STOP, NAME, STOP_OF_FINISH, member
from gateway.formats.values import ChatCall
from ledger.usage import Usage


def turn_of(document: Mapping[str, Any]) -> Turn:
    """What a provider answered; a blocked prompt is a turn without words."""
    candidates = document.get("candidates") or [{"finishReason": "SAFETY"}]
    response_id = str(member(document, "responseId") or "")
    return Turn(
        format=NAME,
        id=response_id,
        model=str(member(document, "modelVersion") or ""),
        choices=tuple(_choice(candidate, response_id) for candidate in candidates),
    )


def answer_of(call: ChatCall, turn: Turn, usage: Usage) -> bytes:
    """The response as the client reads it."""
    document = {
        "candidates": [
            candidate_of(index, written_parts(choice.parts), choice.stop)
            | grounding_of(citations_in(choice.parts))
            for index, choice in enumerate(turn.choices)
        ],
        "usageMetadata": write_usage(usage),
        "modelVersion": call.model,
        "responseId": turn.id,
    }
    return msgspec.json.encode(document)


def candidate_of(
    index: int, parts: list[dict[str, Any]], stop: StopReason | None = None
) -> dict[str, Any]:
    """A candidate, or a part of one in a stream."""
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
    if stop is not None:
        candidate["finishReason"] = FINISH_OF_STOP[stop]
    return candidate


def stop_of(finish_reason: object, parts: list[Part]) -> StopReason:
    """Why a candidate ended; it says STOP where it calls, too."""
    stop = STOP_OF_FINISH.get(str(finish_reason or "STOP"), "stop")
    if stop == "stop" and any(isinstance(part, ToolCall) for part in parts):
        return "tool_calls"
    return stop


def made_up_id(call_id: str, response_id: str, place: str) -> str:
    """The id of a call. Older models give none, and one that is made up for a part alone would
    come again with every answer.
    """
    is_made_up = call_id.startswith("call_") and call_id.removeprefix("call_").isdigit()
    return f"call_{response_id}_{place}" if is_made_up else call_id


def citations_in(parts: Iterable[Part]) -> list[Any]:
    """Everything that the words of an answer cite."""
    return [cited for part in parts if isinstance(part, Text) for cited in part.citations]


def _choice(candidate: Mapping[str, Any], response_id: str) -> Choice:
    parts = list(parts_in(candidate.get("content")))
    for index, part in enumerate(parts):
        if isinstance(part, ToolCall):
            call_id = made_up_id(part.id, response_id, str(index))
            parts[index] = msgspec.structs.replace(part, id=call_id)
    citations = citations_of(candidate)
    if citations:
        for index, part in enumerate(parts):
            if isinstance(part, Text):
                parts[index] = msgspec.structs.replace(part, citations=citations, citing=NAME)
                break
    return Choice(parts=tuple(parts), stop=stop_of(member(candidate, "finishReason"), parts))
