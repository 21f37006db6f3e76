"""The events of a turn in no format as a streamed chat completion."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.conversation.ends import word_for
from gateway.conversation.parts import Media, Part, Refusal, Text, Thinking, ToolCall
from gateway.conversation.turn import (
    Begun,
    CitationDelta,
    PartBegun,
    PartEnded,
    SignatureDelta,
    Stopped,
    TextDelta,
    TurnEvent,
)
from gateway.formats.openai_chat.answers.images import written_image
from gateway.formats.openai_chat.answers.turn import annotation, completion_id, details_of, now_s
from gateway.formats.openai_chat.vocabulary import FINISH_OF_STOP
from gateway.formats.shared.openai_usage import write_usage
from gateway.formats.values import ChatCall
from ledger.usage import Usage

_END = b"data: [DONE]\n\n"


class ChunkWriter:
    """Writes chunks to a client; see `gateway.formats.contract.EventWriter`.

    SDKs put chunks together: of a list that comes in several, each entry needs an index, and
    annotations have none. So those of a choice come in one chunk, as OpenAI sends them.
    """

    def __init__(self, call: ChatCall) -> None:
        self._call = call
        self._frame: dict[str, Any] = {
            "id": completion_id(""),
            "object": "chat.completion.chunk",
            "created": now_s(),
            "model": call.model,
        }
        self._parts: dict[tuple[int, int], Part] = {}
        self._calls: dict[tuple[int, int], int] = {}
        self._has_role: set[int] = set()
        self._told_characters: dict[int, int] = {}
        self._stops: list[Stopped] = []
        self._annotations: dict[int, list[dict[str, Any]]] = {}
        self._listed: dict[tuple[int, str], int] = {}
        """How many entries of a list a choice was told."""

    def write(self, events: Sequence[TurnEvent]) -> bytes:
        """The chunks of these events; how a choice ended is held back until the end."""
        return b"".join(chunk for event in events for chunk in self._write(event))

    def closing(self, usage: Usage) -> bytes:
        """Annotations, finish reasons, the usage for a client that asked for it, the end marker."""
        chunks = [
            self._chunk(choice, {"annotations": told}) for choice, told in self._annotations.items()
        ]
        for each in self._stops or (Stopped(choice=0, stop="stop"),):
            word = word_for(FINISH_OF_STOP, each.stop, each.stop_word)
            chunks.append(self._chunk(each.choice, {}, finish_reason=word))
        if self._call.wants_usage:
            told = {**self._frame, "choices": [], "usage": write_usage(usage)}
            chunks.append(_event(told))
        return b"".join(chunks) + _END

    def _write(self, event: TurnEvent) -> Iterator[bytes]:
        match event:
            case Begun():
                self._frame["id"] = completion_id(event.id)
                self._frame["created"] = event.created_s or self._frame["created"]
            case PartBegun(choice=choice, number=number, part=part):
                self._parts[choice, number] = part
                yield from self._begun(choice, number, part)
            case TextDelta(choice=choice, number=number, text=text):
                part = self._parts[choice, number]
                yield from self._text(choice, number, part, text, event.logprobs)
            case SignatureDelta(choice=choice):
                yield from self._signed(event)
            case CitationDelta(choice=choice, citation=citation):
                told = annotation(citation, self._told_characters.get(choice, 0))
                if told is not None:
                    self._annotations.setdefault(choice, []).append(told)
            case PartEnded():
                pass
            case Stopped():
                self._stops.append(event)

    def _begun(self, choice: int, number: int, part: Part) -> Iterator[bytes]:
        match part:
            case ToolCall():
                place = sum(1 for owner, _ in self._calls if owner == choice)
                self._calls[choice, number] = place
                kind, word = ("custom", "input") if part.is_custom else ("function", "arguments")
                call: dict[str, Any] = {
                    "index": place,
                    "id": part.id,
                    "type": kind,
                    kind: {"name": part.name, word: part.arguments},
                }
                if part.signature:
                    call["extra_content"] = {"google": {"thought_signature": part.signature}}
                yield self._chunk(choice, {"tool_calls": [call]})
            case Thinking(is_redacted=True):
                yield self._details(choice, part)
            case Media():
                image = written_image(part, self._place(choice, "images"))
                yield self._chunk(choice, {"images": [image]})
            case Text(text=text) | Thinking(text=text) | Refusal(text=text) if text:
                yield from self._text(choice, number, part, text, None)
            case _:
                pass

    def _text(
        self, choice: int, number: int, part: Part, text: str, logprobs: object
    ) -> Iterator[bytes]:
        match part:
            case Text():
                self._told_characters[choice] = self._told_characters.get(choice, 0) + len(text)
                yield self._chunk(choice, {"content": text}, logprobs=logprobs)
            case Thinking():
                yield self._chunk(choice, {"reasoning_content": text})
            case Refusal():
                yield self._chunk(choice, {"refusal": text})
            case ToolCall():
                kind, word = ("custom", "input") if part.is_custom else ("function", "arguments")
                call = {"index": self._calls[choice, number], kind: {word: text}}
                yield self._chunk(choice, {"tool_calls": [call]})
            case _:
                pass

    def _signed(self, event: SignatureDelta) -> Iterator[bytes]:
        part = self._parts.get((event.choice, event.number))
        if isinstance(part, Thinking):
            thought = Thinking(text="", signature=event.signature, signed_by=event.signed_by)
            yield self._details(event.choice, thought)

    def _details(self, choice: int, thought: Thinking) -> bytes:
        index = {"index": self._place(choice, "reasoning_details")}
        told = [detail | index for detail in details_of([thought])]
        return self._chunk(choice, {"reasoning_details": told})

    def _place(self, choice: int, name: str) -> int:
        """The index of the next entry of a list."""
        place = self._listed.get((choice, name), 0)
        self._listed[choice, name] = place + 1
        return place

    def _chunk(self, choice: int, delta: dict[str, Any], **members: object) -> bytes:
        if choice not in self._has_role:
            self._has_role.add(choice)
            delta = {"role": "assistant", **delta}
        told = {name: value for name, value in members.items() if value is not None}
        one = {"index": choice, "delta": delta, "finish_reason": None} | told
        return _event({**self._frame, "choices": [one]})


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
