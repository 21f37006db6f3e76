"""A whole message as a turn in no format, and back."""

from collections.abc import Iterator, Mapping, Set
from typing import Any
from uuid import uuid4

import msgspec

from gateway.conversation.ends import word_for
from gateway.conversation.parts import Foreign, Part, Refusal, Text, Thinking, ToolCall
from gateway.conversation.signatures import signed_call_id
from gateway.conversation.turn import Choice, Stopped, Turn
from gateway.formats.anthropic_messages.answers.citations import told_citation
from gateway.formats.anthropic_messages.answers.reading_blocks import identified, parts_of
from gateway.formats.anthropic_messages.answers.usage import write_usage
from gateway.formats.anthropic_messages.signing import told_signature
from gateway.formats.anthropic_messages.vocabulary import (
    ENDS,
    NAME,
    REASON_OF_STOP,
    input_of,
)
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.values import ChatCall
from ledger.usage import Usage

_UNDERSTOOD = frozenset(
    {"content", "id", "model", "role", "stop_reason", "stop_sequence", "type", "usage"}
)


def turn_of(document: Mapping[str, Any]) -> Turn:
    """What a provider answered. Raises UnreadableAnswer."""
    content = document.get("content")
    if type(content) is not list:
        raise UnreadableAnswer("the answer has no content")
    parts = parts_of([identified(block) for block in content])
    usage = document.get("usage")
    has_calls = any(isinstance(one, ToolCall) for one in parts)
    stop, word = ENDS.read(document.get("stop_reason"), has_calls)
    choice = Choice(
        parts=parts,
        stop=stop,
        stop_sequence=document.get("stop_sequence") or "",
        stop_word=word,
    )
    return Turn(
        format=NAME,
        id=str(document.get("id") or ""),
        model=str(document.get("model") or ""),
        choices=(choice,),
        service=(usage.get("service_tier") or "") if type(usage) is dict else "",
        foreign={
            name: value
            for name, value in document.items()
            if name not in _UNDERSTOOD and value is not None
        },
    )


def answer_of(call: ChatCall, turn: Turn, usage: Usage) -> bytes:
    """The message as the client reads it, under the model's name that it asked for.

    There is one choice here: a client of this format cannot have asked for more.
    """
    choice = turn.choices[0] if turn.choices else Choice(parts=(), stop="stop")
    document = {
        **(turn.foreign if turn.format == NAME else {}),
        "id": message_id(turn.id),
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": [block for part in choice.parts for block in told_blocks(part)],
        "stop_reason": told_stop(choice, {type(part) for part in choice.parts}),
        "stop_sequence": choice.stop_sequence or None,
        "usage": write_usage(usage),
    }
    return msgspec.json.encode(document)


def message_id(told: str) -> str:
    """An id of this format: the provider's own, or made from it."""
    return told if told.startswith("msg_") else f"msg_{told or uuid4().hex}"


def told_blocks(part: Part) -> Iterator[dict[str, Any]]:
    """The block of a part of an answer; none for what has no words here."""
    match part:
        case Text(text=text) if text:
            citations = told_citations(part)
            yield {"type": "text", "text": text} | ({"citations": citations} if citations else {})
        case Refusal(text=text) if text:
            yield {"type": "text", "text": text}
        case Thinking(text=text, signature=signature, signed_by=signer):
            if part.is_redacted:
                yield {"type": "redacted_thinking", "data": told_signature(signature, signer)}
            else:
                told = told_signature(signature, signer)
                yield {"type": "thinking", "thinking": text, "signature": told}
        case ToolCall(name=name):
            yield {
                "type": "tool_use",
                "id": signed_call_id(part.id, part.signature),
                "name": name,
                "input": input_of(part.arguments, part.is_custom),
            }
        case Foreign(format=format_name, value=value) if format_name == NAME:
            yield dict(value)
        case _:
            return


def told_citations(text: Text) -> list[dict[str, Any]]:
    """The citations of a text in this format's words."""
    told = (told_citation(one, text.citing, text.text) for one in text.citations)
    return [one for one in told if one is not None]


def told_stop(ended: Choice | Stopped, kinds: Set[type[Part]]) -> str:
    """The reason in this format's words: a client only answers calls that it says are there."""
    if ended.stop == "stop" and ToolCall in kinds:
        return "tool_use"
    if ended.stop == "stop" and Refusal in kinds:
        return "refusal"
    return word_for(REASON_OF_STOP, ended.stop, ended.stop_word)
