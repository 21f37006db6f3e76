"""A whole chat completion as a turn in no format, and back."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.conversation.ends import word_for
from gateway.conversation.parts import Foreign, Media, Part, Refusal, Text, Thinking, ToolCall
from gateway.conversation.turn import Choice, Turn
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.openai_chat.answers.images import written_image
from gateway.formats.openai_chat.requests.conversation import assistant_parts
from gateway.formats.openai_chat.requests.writing import written_call
from gateway.formats.openai_chat.vocabulary import (
    ENDS,
    FINISH_OF_STOP,
    FORMAT_OF_SIGNER,
    NAME,
)
from gateway.formats.shared.openai_usage import write_usage
from gateway.formats.values import ChatCall
from ledger import clock
from ledger.usage import Usage


def turn_of(document: Mapping[str, Any]) -> Turn:
    """What a provider answered. Raises UnreadableAnswer."""
    choices = document.get("choices")
    if type(choices) is not list or not choices:
        raise UnreadableAnswer("the answer has no choices")
    return Turn(
        format=NAME,
        id=str(document.get("id") or ""),
        model=str(document.get("model") or ""),
        created_s=created_s(document),
        service=document.get("service_tier") or "",
        choices=tuple(_choice(choice) for choice in choices),
    )


def answer_of(call: ChatCall, turn: Turn, usage: Usage) -> bytes:
    """The completion as the client reads it, under the model's name that it asked for."""
    document = {
        "id": completion_id(turn.id),
        "object": "chat.completion",
        "created": turn.created_s or now_s(),
        "model": call.model,
        "choices": [
            {
                "index": index,
                "message": _message(choice.parts),
                "logprobs": choice.logprobs if turn.format == NAME else None,
                "finish_reason": word_for(FINISH_OF_STOP, choice.stop, choice.stop_word),
            }
            for index, choice in enumerate(turn.choices)
        ],
        "usage": write_usage(usage),
    }
    return msgspec.json.encode(document)


def created_s(document: Mapping[str, Any]) -> int:
    """The provider's clock, 0 where it tells none."""
    created = document.get("created")
    return created if type(created) is int else 0


def now_s() -> int:
    """Our own clock, for providers that tell no time."""
    return clock.now_us() // 1_000_000


def completion_id(told: str) -> str:
    """An id of this format."""
    return told if told.startswith(("chatcmpl", "gen-")) else f"chatcmpl-{told}"


def annotation(citation: Any, length: int) -> dict[str, Any] | None:  # noqa: ANN401 - decoded JSON
    """A citation that has an address, in this format's words; others it has no words for."""
    if type(citation) is not dict:
        return None
    if type(citation.get("url_citation")) is dict:
        return citation
    if type(citation.get("url")) is not str:
        return None
    told = {
        "url": citation["url"],
        "title": citation.get("title") or "",
        "start_index": 0,
        "end_index": length,
    }
    return {"type": "url_citation", "url_citation": told}


def details_of(thoughts: list[Thinking]) -> list[dict[str, Any]]:
    """The signatures of thoughts, for clients that send them back."""
    return [_detail(thought) for thought in thoughts if thought.signature]


def _choice(choice: Mapping[str, Any]) -> Choice:
    message = choice.get("message") or {}
    parts = tuple(_cited(list(assistant_parts(message, None)), message.get("annotations")))
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    stop, word = ENDS.read(choice.get("finish_reason"), has_calls)
    return Choice(parts=parts, stop=stop, stop_word=word, logprobs=choice.get("logprobs"))


def _cited(parts: list[Part], annotations: Any) -> list[Part]:  # noqa: ANN401 - decoded JSON
    if not annotations:
        return parts
    for index, part in enumerate(parts):
        if isinstance(part, Text):
            parts[index] = msgspec.structs.replace(part, citations=tuple(annotations), citing=NAME)
            break
    return parts


def _message(parts: tuple[Part, ...]) -> dict[str, Any]:
    texts = [part for part in parts if isinstance(part, Text)]
    thoughts = [part for part in parts if isinstance(part, Thinking)]
    calls = [written_call(part) for part in parts if isinstance(part, ToolCall)]
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    joined = "".join(part.text for part in texts)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": joined if texts or not calls else None,
        "refusal": "".join(refusals) or None,
    }
    thought = "".join(part.text for part in thoughts)
    if thought:
        message["reasoning_content"] = thought
    message |= _listed("reasoning_details", details_of(thoughts))
    message |= _listed("tool_calls", calls)
    message |= _listed("annotations", _annotations(texts))
    message |= _listed("images", _images(parts))
    for part in parts:
        if isinstance(part, Foreign) and part.format == NAME:
            message[part.kind] = part.value
    return message


def _listed(name: str, told: list[dict[str, Any]]) -> dict[str, Any]:
    """A member of a message, where there is something to list."""
    return {name: told} if told else {}


def _images(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    images = [part for part in parts if isinstance(part, Media)]
    return [written_image(image, index) for index, image in enumerate(images)]


def _annotations(texts: list[Text]) -> list[dict[str, Any]]:
    """Citations, each over the whole of its text, counted from the start of the message."""
    annotations: list[dict[str, Any]] = []
    start = 0
    for text in texts:
        for citation in text.citations:
            written = annotation(citation, len(text.text))
            if written is not None and text.citing != NAME:
                place = written["url_citation"]
                place |= {"start_index": start, "end_index": start + len(text.text)}
            if written is not None:
                annotations.append(written)
        start += len(text.text)
    return annotations


def _detail(thought: Thinking) -> dict[str, Any]:
    signer = FORMAT_OF_SIGNER.get(thought.signed_by, "unknown")
    if thought.is_redacted:
        return {"type": "reasoning.encrypted", "data": thought.signature, "format": signer}
    return {
        "type": "reasoning.text",
        "text": thought.text,
        "signature": thought.signature,
        "format": signer,
    }
