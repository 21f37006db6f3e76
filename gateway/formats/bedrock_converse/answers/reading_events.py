"""A streamed answer as the events of a turn in no format.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlockDelta.html.
Only calls of tools are told when they begin; words and thoughts begin with their first delta.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.conversation.arguments import as_text
from gateway.conversation.parts import Part, Text, Thinking, ToolCall
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
from gateway.formats.bedrock_converse.answers.answer import made_up_id
from gateway.formats.bedrock_converse.answers.events import read_event
from gateway.formats.bedrock_converse.answers.reading_blocks import (
    call_of,
    citation_of,
    is_by_provider,
    redacted,
)
from gateway.formats.bedrock_converse.vocabulary import ENDS, NAME, arguments_of
from gateway.formats.contract import UnreadableAnswer

HELD_MAX_BYTES = 4_000_000
"""Of redacted thoughts, which are told when they are whole."""


@dataclass(slots=True)
class _Open:
    """A block that has begun. `number` is None while nothing of it is told: redacted thoughts,
    which are `held`, and what only this format knows.
    """

    part: Part | None
    number: int | None = None
    held: bytes = b""
    is_told: bool = False


class ConverseEventReader:
    """Understands a provider's events; see `gateway.formats.contract.EventReader`."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._numbered = 0
        self._has_begun = False
        self._calls = False
        self._reason: object = None

    def read(self, data: bytes) -> list[TurnEvent]:
        """What one event tells. Raises UnreadableAnswer, KeyError, TypeError for an odd one."""
        name, told = read_event(data)
        return list(self._read(name, told))

    def finish(self) -> list[TurnEvent]:
        """End what is open, and the message."""
        events = [event for index in list(self._open) for event in self._end(index)]
        stop, word = ENDS.read(self._reason, self._calls)
        return [*events, Stopped(choice=0, stop=stop, stop_word=word)]

    def _read(self, name: str, told: dict[str, Any]) -> Iterator[TurnEvent]:
        match name:
            case "messageStart" if not self._has_begun:
                self._has_begun = True
                yield Begun(id=made_up_id(), model="")
            case "contentBlockStart":
                yield from self._begin(told["contentBlockIndex"], told["start"])
            case "contentBlockDelta":
                yield from self._delta(told["contentBlockIndex"], told["delta"])
            case "contentBlockStop":
                yield from self._end(told["contentBlockIndex"])
            case "messageStop":
                self._reason = told.get("stopReason")
                ENDS.read(self._reason, self._calls)  # a failure is told at once
            case _:
                return

    def _begin(self, index: int, start: dict[str, Any]) -> Iterator[TurnEvent]:
        yield from self._end(index)
        call = start.get("toolUse")
        if call is None or is_by_provider(call):
            self._open[index] = _Open(part=None)
            return
        self._calls = True
        yield from self._started(index, call_of(call, ""))

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[TurnEvent]:
        match delta:
            case {"text": str(text)}:
                yield from self._words(index, Text(text=""), text)
            case {"citation": dict(citation)}:
                yield from self._words(index, Text(text=""), "")
                yield CitationDelta(
                    choice=0,
                    number=self._number(index),
                    citation=citation_of(citation),
                    citing=NAME,
                )
            case {"reasoningContent": dict(thought)}:
                yield from self._thought(index, thought)
            case {"toolUse": {"input": told}}:
                text = as_text(told)
                block = self._open.get(index)
                if block is None:
                    raise UnreadableAnswer("a delta of a call that has not begun")
                if text and block.number is not None:
                    block.is_told = True
                    yield TextDelta(choice=0, number=block.number, text=text)
            case _:
                return

    def _thought(self, index: int, told: dict[str, Any]) -> Iterator[TurnEvent]:
        if "redactedContent" in told:
            yield from self._hold(index, told["redactedContent"])
            return
        yield from self._words(index, Thinking(text=""), told.get("text") or "")
        if told.get("signature"):
            yield SignatureDelta(
                choice=0,
                number=self._number(index),
                signature=told["signature"],
                signed_by=NAME,
            )

    def _hold(self, index: int, data: str) -> Iterator[TurnEvent]:
        block = self._open.get(index)
        if block is None or block.number is not None:
            yield from self._end(index)
            block = self._open[index] = _Open(part=redacted(""))
        block.held += base64.b64decode(data)
        if len(block.held) > HELD_MAX_BYTES:
            raise UnreadableAnswer("a block is too long")

    def _words(self, index: int, begun: Part, text: str) -> Iterator[TurnEvent]:
        """More of words or thoughts; a block that was of another kind until now ends."""
        block = self._open.get(index)
        if block is None or type(block.part) is not type(begun) or block.number is None:
            yield from self._end(index)
            yield from self._started(index, begun)
        if text:
            yield TextDelta(choice=0, number=self._number(index), text=text)

    def _started(self, index: int, part: Part) -> Iterator[TurnEvent]:
        number, self._numbered = self._numbered, self._numbered + 1
        self._open[index] = _Open(part=part, number=number)
        yield PartBegun(choice=0, number=number, part=part)

    def _number(self, index: int) -> int:
        number = self._open[index].number
        assert number is not None
        return number

    def _end(self, index: int) -> Iterator[TurnEvent]:
        block = self._open.pop(index, None)
        if block is None or block.part is None:
            return
        number = block.number
        if number is None:
            number, self._numbered = self._numbered, self._numbered + 1
            whole = redacted(base64.b64encode(block.held).decode("ascii"))
            yield PartBegun(choice=0, number=number, part=whole)
        elif isinstance(block.part, ToolCall) and not block.is_told:
            yield TextDelta(choice=0, number=number, text=arguments_of({}))
        yield PartEnded(choice=0, number=number)
