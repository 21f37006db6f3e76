"""The events of a turn in no format as a streamed response.

The format's last event repeats the whole output, so the parts are kept until then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.conversation.parts import Foreign, Media, Part, Refusal, Text, Thinking, ToolCall
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
from gateway.formats.openai_responses.answers.turn import (
    annotation,
    content_of,
    id_of,
    image_item,
    item_id,
    message_item,
    response_of,
    written_item,
)
from gateway.formats.openai_responses.vocabulary import NAME
from gateway.formats.values import ChatCall
from ledger import clock
from ledger.usage import Usage


@dataclass(slots=True)
class _Making:
    """A part while it is made, and the place of its item in the output."""

    part: Part
    own_id: str
    index: int
    texts: list[str] = field(default_factory=list)
    citations: list[Any] = field(default_factory=list)

    def made(self) -> Part:
        """The part with everything that was said of it."""
        text = "".join(self.texts)
        if isinstance(self.part, ToolCall):
            return msgspec.structs.replace(self.part, arguments=self.part.arguments + text)
        if isinstance(self.part, Text):
            citations = (*self.part.citations, *self.citations)
            return msgspec.structs.replace(
                self.part, text=self.part.text + text, citations=citations
            )
        if isinstance(self.part, Thinking | Refusal):
            return msgspec.structs.replace(self.part, text=self.part.text + text)
        return self.part


class ResponseEventWriter:
    """Writes events to a client; see `gateway.formats.contract.EventWriter`."""

    def __init__(self, call: ChatCall) -> None:
        self._call = call
        self._id = ""
        self._created_s = clock.now_us() // 1_000_000
        self._sequence = 0
        self._making: dict[int, _Making] = {}
        self._output: dict[int, dict[str, Any]] = {}
        self._items = 0
        self._stop = Stopped(choice=0, stop="stop")

    def write(self, events: Sequence[TurnEvent]) -> bytes:
        """The format's events; the last one is held back."""
        return b"".join(told for event in events for told in self._write(event))

    def closing(self, usage: Usage) -> bytes:
        """The last event, with the whole response."""
        output = [self._output[index] for index in sorted(self._output)]
        response = response_of(self._call, self._id, self._created_s, output, (self._stop, usage))
        return b"".join(self._begin("")) + self._event(
            f"response.{response['status']}", {"response": response}
        )

    def _write(self, event: TurnEvent) -> Iterator[bytes]:
        match event:
            case Begun():
                self._created_s = event.created_s or self._created_s
                yield from self._begin(event.id)
            case PartBegun(number=number, part=part):
                yield from self._begin("")
                yield from self._part_begun(number, part)
            case TextDelta(number=number, text=text):
                yield from self._delta(self._making[number], text)
            case SignatureDelta(number=number):
                self._sign(self._making[number], event)
            case CitationDelta(number=number):
                yield from self._cite(self._making[number], event)
            case PartEnded(number=number):
                yield from self._part_ended(self._making.pop(number))
            case Stopped():
                self._stop = event

    def _begin(self, told_id: str) -> Iterator[bytes]:
        if self._id:
            return
        self._id = id_of(told_id or f"{clock.now_us():x}")
        response = response_of(self._call, self._id, self._created_s, [])
        yield self._event("response.created", {"response": response})
        yield self._event("response.in_progress", {"response": response})

    def _part_begun(self, number: int, part: Part) -> Iterator[bytes]:
        index = self._items
        self._items += 1
        making = _Making(part, item_id(self._id, index, part), index)
        self._making[number] = making
        match part:
            case Text() | Refusal():
                item = message_item(making.own_id, [], "in_progress")
                yield self._event("response.output_item.added", _at(making, item=item))
                empty = msgspec.structs.replace(part, text="")
                told = _in_item(making) | {"content_index": 0, "part": content_of(empty)}
                yield self._event("response.content_part.added", told)
            case ToolCall():
                begun = msgspec.structs.replace(part, arguments="")
                item = (written_item(begun, making.own_id) or {}) | {"status": "in_progress"}
                yield self._event("response.output_item.added", _at(making, item=item))
            case Thinking():
                item = {"type": "reasoning", "id": making.own_id, "summary": []}
                yield self._event("response.output_item.added", _at(making, item=item))
            case Media():
                item = image_item(making.own_id, "in_progress")
                yield self._event("response.output_item.added", _at(making, item=item))
                told = _in_item(making)
                yield self._event("response.image_generation_call.in_progress", told)
                return
            case _:
                return
        whole = part.arguments if isinstance(part, ToolCall) else part.text
        if whole:
            yield from self._delta(making, whole, is_repeated=True)

    def _delta(self, making: _Making, text: str, is_repeated: bool = False) -> Iterator[bytes]:
        if not text:
            return
        if isinstance(making.part, Thinking) and not making.texts:
            told = _in_item(making) | {"summary_index": 0}
            empty = {"type": "summary_text", "text": ""}
            yield self._event("response.reasoning_summary_part.added", told | {"part": empty})
        if not is_repeated or isinstance(making.part, Thinking):
            making.texts.append("" if is_repeated else text)
        kind, place = _delta_of(making.part)
        yield self._event(f"response.{kind}.delta", _in_item(making) | place | {"delta": text})

    def _sign(self, making: _Making, event: SignatureDelta) -> None:
        if isinstance(making.part, Thinking):
            making.part = msgspec.structs.replace(
                making.part,
                signature=making.part.signature + event.signature,
                signed_by=event.signed_by,
            )

    def _cite(self, making: _Making, event: CitationDelta) -> Iterator[bytes]:
        length = sum(map(len, making.texts))
        told = annotation(event.citation, event.citing, length)
        if told is not None and isinstance(making.part, Text):
            place = {"content_index": 0, "annotation_index": len(making.citations)}
            making.citations.append(told)
            making.part = msgspec.structs.replace(making.part, citing=NAME)
            yield self._event(
                "response.output_text.annotation.added",
                _in_item(making) | place | {"annotation": told},
            )

    def _part_ended(self, making: _Making) -> Iterator[bytes]:
        part = making.made()
        item = written_item(part, making.own_id)
        if item is None:
            return
        match part:
            case Text() | Refusal():
                place = _in_item(making) | {"content_index": 0}
                content = content_of(part)
                word = "refusal" if isinstance(part, Refusal) else "text"
                done = "refusal" if isinstance(part, Refusal) else "output_text"
                yield self._event(f"response.{done}.done", place | {word: part.text})
                yield self._event("response.content_part.done", place | {"part": content})
            case ToolCall():
                kind, _ = _delta_of(part)
                word = "input" if part.is_custom else "arguments"
                told = _in_item(making) | {word: part.arguments, "name": part.name}
                yield self._event(f"response.{kind}.done", told)
            case Thinking(text=text) if text:
                place = _in_item(making) | {"summary_index": 0}
                summary = {"type": "summary_text", "text": text}
                yield self._event("response.reasoning_summary_text.done", place | {"text": text})
                yield self._event("response.reasoning_summary_part.done", place | {"part": summary})
            case Media():
                told = _in_item(making)
                yield self._event("response.image_generation_call.completed", told)
            case Foreign():
                yield self._event("response.output_item.added", _at(making, item=item))
            case _:
                pass
        self._output[making.index] = item
        yield self._event("response.output_item.done", _at(making, item=item))

    def _event(self, kind: str, told: Mapping[str, Any]) -> bytes:
        data = msgspec.json.encode({"type": kind, "sequence_number": self._sequence, **told})
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def _delta_of(part: Part) -> tuple[str, dict[str, int]]:
    """The name of a part's deltas, and their place in its item."""
    match part:
        case Refusal():
            return "refusal", {"content_index": 0}
        case Thinking():
            return "reasoning_summary_text", {"summary_index": 0}
        case ToolCall(is_custom=is_custom):
            return "custom_tool_call_input" if is_custom else "function_call_arguments", {}
        case _:
            return "output_text", {"content_index": 0}


def _at(making: _Making, **members: object) -> dict[str, Any]:
    return {"output_index": making.index, **members}


def _in_item(making: _Making) -> dict[str, Any]:
    return {"item_id": making.own_id, "output_index": making.index}
