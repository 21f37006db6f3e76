"""The events of a turn in no format as a streamed message.

Blocks follow one another here: a client's accumulator may take every delta as one of the last
block that began. So where calls of tools run side by side, the later ones wait for the earlier.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.conversation.parts import Foreign, Part, Refusal, Text, Thinking, ToolCall
from gateway.conversation.signatures import signed_call_id
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
from gateway.formats.anthropic_messages.answers.citations import told_citation
from gateway.formats.anthropic_messages.answers.stream import END_MARKER
from gateway.formats.anthropic_messages.answers.turn import message_id, told_blocks, told_stop
from gateway.formats.anthropic_messages.answers.usage import write_usage
from gateway.formats.anthropic_messages.signing import told_signature
from gateway.formats.anthropic_messages.vocabulary import input_of, written_event
from gateway.formats.values import ChatCall
from ledger.usage import Usage

WAITING_MAX_CHARACTERS = 1_000_000
"""Of calls that wait for an earlier one; beyond that they no longer wait."""
_CITED_MAX_CHARACTERS = 100_000
"""Of a text that is kept to quote from, where citations name places in it."""

_OfPart = PartBegun | TextDelta | SignatureDelta | CitationDelta | PartEnded


@dataclass(slots=True)
class _Block:
    """A part on its way; `index` is None until the client has been told of it."""

    part: Part
    index: int | None = None
    signature: str = ""
    signed_by: str = ""
    fragments: list[str] = field(default_factory=list)
    said_characters: int = 0


class EventWriter:
    """Writes events to a client; see `gateway.formats.contract.EventWriter`."""

    def __init__(self, call: ChatCall) -> None:
        self._call = call
        self._has_begun = False
        self._blocks: dict[int, _Block] = {}
        self._indexes = 0
        self._current: int | None = None
        self._waiting: deque[_OfPart] = deque()
        self._waiting_characters = 0
        self._waits = True
        self._kinds: set[type[Part]] = set()
        self._stop = Stopped(choice=0, stop="stop")

    def write(self, events: Sequence[TurnEvent]) -> bytes:
        """The events of these events; how the message ended is held back until the end."""
        return b"".join(told for event in events for told in self._take(event))

    def closing(self, usage: Usage) -> bytes:
        """What is left, why the model stopped, the usage, and the end."""
        told = [*self._begin(""), *self._end_all()]
        stopped = {
            "stop_reason": told_stop(self._stop, self._kinds),
            "stop_sequence": self._stop.stop_sequence or None,
        }
        delta = {"delta": stopped, "usage": write_usage(usage)}
        return b"".join([*told, written_event("message_delta", delta)]) + END_MARKER

    def _take(self, event: TurnEvent) -> Iterator[bytes]:
        if isinstance(event, Begun):
            yield from self._begin(event.id)
        elif event.choice != 0:
            return  # a client of this format cannot have asked for another
        elif isinstance(event, Stopped):
            self._stop = event
        else:
            yield from self._begin("")
            if self._waits and self._current not in (None, event.number):
                self._wait(event)
            else:
                yield from self._tell(event)
            yield from self._resume()

    def _wait(self, event: _OfPart) -> None:
        self._waiting.append(event)
        self._waiting_characters += len(event.text) if isinstance(event, TextDelta) else 64
        if self._waiting_characters > WAITING_MAX_CHARACTERS:
            self._waits = False

    def _resume(self) -> Iterator[bytes]:
        """Tell what waited, as far as it may be told now."""
        while self._waiting and not (self._waits and self._current is not None):
            waiting, self._waiting = self._waiting, deque()
            self._waiting_characters = 0
            for event in waiting:
                if self._waits and self._current not in (None, event.number):
                    self._wait(event)
                else:
                    yield from self._tell(event)

    def _tell(self, event: _OfPart) -> Iterator[bytes]:
        if isinstance(event, PartBegun):
            self._current = event.number
            yield from self._part(event.number, event.part)
            return
        block = self._blocks.get(event.number)
        if block is None:
            return
        match event:
            case TextDelta(text=text):
                yield from self._text(block, text)
            case SignatureDelta(signature=signature, signed_by=signed_by):
                block.signature += signature
                block.signed_by = signed_by
            case CitationDelta():
                yield from self._citation(block, event)
            case PartEnded(number=number):
                yield from self._end(number)

    def _part(self, number: int, part: Part) -> Iterator[bytes]:
        self._kinds.add(type(part))
        block = self._blocks[number] = _Block(part)
        if isinstance(part, Thinking):
            block.signature, block.signed_by = part.signature, part.signed_by
        match part:
            case ToolCall(arguments=arguments):
                yield from self._start(block)
                if arguments:
                    yield from self._text(block, arguments)
            case Text(text=text) | Refusal(text=text) | Thinking(text=text) if text:
                yield from self._text(block, text)
            case Foreign():
                for told in told_blocks(part):
                    yield from self._start(block, told)
            case _:
                return  # told of when it says something

    def _text(self, block: _Block, text: str) -> Iterator[bytes]:
        if not text:
            return
        match block.part:
            case Text() | Refusal():
                delta = {"type": "text_delta", "text": text}
                if block.said_characters < _CITED_MAX_CHARACTERS:
                    block.fragments.append(text)
                    block.said_characters += len(text)
            case Thinking():
                delta = {"type": "thinking_delta", "thinking": text}
            case ToolCall(is_custom=False):
                delta = {"type": "input_json_delta", "partial_json": text}
            case ToolCall():
                block.fragments.append(text)  # an object can only be made of the whole
                return
            case _:
                return
        yield from self._delta(block, delta)

    def _citation(self, block: _Block, event: CitationDelta) -> Iterator[bytes]:
        told = told_citation(event.citation, event.citing, "".join(block.fragments))
        if told is not None and isinstance(block.part, Text):
            yield from self._delta(block, {"type": "citations_delta", "citation": told})

    def _end(self, number: int) -> Iterator[bytes]:
        block = self._blocks.pop(number)
        if self._current == number:
            self._current = None
        if isinstance(block.part, Thinking):
            yield from self._end_thought(block, block.part)
        elif isinstance(block.part, ToolCall) and block.part.is_custom:
            told = msgspec.json.encode(input_of("".join(block.fragments), is_custom=True)).decode()
            yield from self._delta(block, {"type": "input_json_delta", "partial_json": told})
        if block.index is not None:
            yield written_event("content_block_stop", {"index": block.index})

    def _end_thought(self, block: _Block, part: Thinking) -> Iterator[bytes]:
        """The signature at once and last: accumulators put the newest in place of the former."""
        signature = told_signature(block.signature, block.signed_by)
        if part.is_redacted:
            yield from self._start(block, {"type": "redacted_thinking", "data": signature})
        elif block.index is not None or block.signature:
            yield from self._delta(block, {"type": "signature_delta", "signature": signature})

    def _end_all(self) -> Iterator[bytes]:
        self._waits = False
        yield from self._resume()
        for number in list(self._blocks):
            yield from self._end(number)

    def _begin(self, told_id: str) -> Iterator[bytes]:
        """The usage is not known yet: what `message_delta` says of it counts."""
        if self._has_begun:
            return
        self._has_begun = True
        message: dict[str, Any] = {
            "id": message_id(told_id),
            "type": "message",
            "role": "assistant",
            "model": self._call.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(Usage()),
        }
        yield written_event("message_start", {"message": message})

    def _start(self, block: _Block, whole: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        if block.index is not None:
            return
        block.index, self._indexes = self._indexes, self._indexes + 1
        begun = whole if whole is not None else _begun(block.part)
        yield written_event("content_block_start", {"index": block.index, "content_block": begun})

    def _delta(self, block: _Block, delta: Mapping[str, Any]) -> Iterator[bytes]:
        yield from self._start(block)
        yield written_event("content_block_delta", {"index": block.index, "delta": delta})


def _begun(part: Part) -> dict[str, Any]:
    match part:
        case ToolCall(name=name):
            call_id = signed_call_id(part.id, part.signature)
            return {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        case Thinking():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case _:
            return {"type": "text", "text": ""}
