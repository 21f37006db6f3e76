"""A streamed message as the events of a turn in no format.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.conversation.arguments import as_text
from gateway.conversation.parts import Foreign, Part, Text, Thinking, ToolCall
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
from gateway.formats.anthropic_messages.answers.reading_blocks import (
    call_of,
    identified,
    text_of,
    thought_of,
)
from gateway.formats.anthropic_messages.signing import read_signature
from gateway.formats.anthropic_messages.vocabulary import ENDS, NAME, arguments_of
from gateway.formats.contract import UnreadableAnswer
from gateway.http.lenient_json import read_object

HELD_MAX_CHARACTERS = 4_000_000
"""Of blocks that no other format knows, which are told when they are whole."""


@dataclass(slots=True)
class _Open:
    """A block that has begun. `number` is None, and `value` the block, while it is held back."""

    part: Part | None
    number: int | None = None
    value: dict[str, Any] | None = None
    held: str = ""
    is_told: bool = False


class EventReader:
    """Understands a provider's events; see `gateway.formats.contract.EventReader`."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._begun = 0
        self._has_begun = False
        self._calls = False
        self._reason: object = None
        self._sequence = ""

    def read(self, data: bytes) -> list[TurnEvent]:
        """What one event tells. Raises UnreadableAnswer, KeyError, TypeError for an odd one."""
        return list(self._read(read_object(data)))

    def finish(self) -> list[TurnEvent]:
        """End what is open, and the message: of several reasons to stop the last one counts."""
        events = [event for index in list(self._open) for event in self._end(index)]
        stop, word = ENDS.read(self._reason, self._calls)
        stopped = Stopped(choice=0, stop=stop, stop_sequence=self._sequence, stop_word=word)
        return [*events, stopped]

    def _read(self, event: dict[str, Any]) -> Iterator[TurnEvent]:
        match event.get("type"):
            case "message_start" if not self._has_begun:  # some gateways tell it twice
                self._has_begun = True
                message = event["message"]
                yield Begun(id=str(message.get("id") or ""), model=str(message.get("model") or ""))
            case "content_block_start":
                yield from self._end(event["index"])
                yield from self._begin(event["index"], event["content_block"])
            case "content_block_delta":
                yield from self._delta_at(event["index"], event["delta"])
            case "content_block_stop":
                yield from self._end(event["index"])
            case "message_delta":
                delta = event.get("delta") or {}
                self._reason = delta.get("stop_reason") or self._reason
                ENDS.read(self._reason, self._calls)  # a failure is told at once
                self._sequence = delta.get("stop_sequence") or self._sequence
            case _:
                return

    def _delta_at(self, index: int, delta: dict[str, Any]) -> Iterator[TurnEvent]:
        if index not in self._open:  # some gateways do not say that it begins
            yield from self._started(index, _begun_by(delta), "")
        yield from self._delta(self._open[index], delta)

    def _begin(self, index: int, block: dict[str, Any]) -> Iterator[TurnEvent]:
        match block["type"]:
            case "text":
                told = text_of(block)
                yield from self._started(index, Text(text=""), told.text)
                yield from (
                    self._citation(self._open[index], citation) for citation in told.citations
                )
            case "thinking":
                thought = thought_of(block)
                yield from self._started(index, Thinking(text=""), thought.text)
                if thought.signature:
                    yield self._signature(self._open[index], block["signature"])
            case "redacted_thinking":
                yield from self._started(index, thought_of(block), "")
            case "tool_use":
                self._calls = True
                call = call_of(identified(block))
                arguments = call.arguments if block.get("input") else ""
                begun = msgspec.structs.replace(call, arguments="")
                yield from self._started(index, begun, arguments)
            case _:
                self._open[index] = _Open(part=None, value=dict(block))

    def _started(self, index: int, part: Part, text: str) -> Iterator[TurnEvent]:
        opened = _Open(part=part, number=self._begun, is_told=bool(text))
        self._open[index] = opened
        self._begun += 1
        assert opened.number is not None
        yield PartBegun(choice=0, number=opened.number, part=part)
        if text:
            yield TextDelta(choice=0, number=opened.number, text=text)

    def _delta(self, block: _Open, delta: dict[str, Any]) -> Iterator[TurnEvent]:
        if block.number is None:
            self._hold(block, delta)
            return
        match delta.get("type"):
            case "text_delta" | "thinking_delta" | "input_json_delta":
                name = {"text_delta": "text", "thinking_delta": "thinking"}
                text = as_text(delta.get(name.get(delta["type"], "partial_json")))
                if text:
                    block.is_told = True
                    yield TextDelta(choice=0, number=block.number, text=text)
            case "signature_delta" if delta.get("signature"):
                yield self._signature(block, delta["signature"])
            case "citations_delta":
                yield self._citation(block, delta["citation"])
            case _:
                return

    def _signature(self, block: _Open, told: str) -> SignatureDelta:
        assert block.number is not None
        signature, signed_by = read_signature(told)
        return SignatureDelta(
            choice=0, number=block.number, signature=signature, signed_by=signed_by
        )

    def _citation(self, block: _Open, citation: object) -> CitationDelta:
        assert block.number is not None
        return CitationDelta(choice=0, number=block.number, citation=citation, citing=NAME)

    def _hold(self, block: _Open, delta: dict[str, Any]) -> None:
        """`compaction_delta` tells its `content`, calls of the provider's own tools JSON."""
        assert block.value is not None
        block.held += delta.get("partial_json") or ""
        content = delta.get("content")
        if type(content) is str:
            block.value["content"] = (block.value.get("content") or "") + content
        if len(block.held) + len(content or "") > HELD_MAX_CHARACTERS:
            raise UnreadableAnswer("a block is too long")

    def _end(self, index: int) -> Iterator[TurnEvent]:
        block = self._open.pop(index, None)
        if block is None:
            return
        if block.value is not None:
            number, self._begun = self._begun, self._begun + 1
            value = dict(block.value)
            if block.held:
                value["input"] = msgspec.json.decode(block.held)
            part = Foreign(format=NAME, kind=value["type"], value=value)
            yield PartBegun(choice=0, number=number, part=part)
            yield PartEnded(choice=0, number=number)
            return
        assert block.number is not None
        if isinstance(block.part, ToolCall) and not block.is_told:
            yield TextDelta(choice=0, number=block.number, text=arguments_of({}))
        yield PartEnded(choice=0, number=block.number)


def _begun_by(delta: dict[str, Any]) -> Part:
    """What begins with a delta. Raises UnreadableAnswer for a call: its name is not known."""
    match delta.get("type"):
        case "text_delta":
            return Text(text="")
        case "thinking_delta":
            return Thinking(text="")
        case _:
            raise UnreadableAnswer("a delta of a block that has not begun")
