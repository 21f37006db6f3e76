"""A streamed chat completion as the events of a turn in no format.

Providers divide a call of a tool as they like: by its index, by its id where they count none, or
with its name in a later chunk. A call begins for the client once its name is known to be whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from gateway.conversation.arguments import as_object
from gateway.conversation.parts import Media, Part, Refusal, Text, Thinking, ToolCall
from gateway.conversation.turn import (
    Begun,
    CitationDelta,
    PartBegun,
    PartEnded,
    SignatureDelta,
    Stopped,
    StopReason,
    TextDelta,
    TurnEvent,
)
from gateway.formats.openai_chat.answers.images import images_in
from gateway.formats.openai_chat.answers.turn import created_s
from gateway.formats.openai_chat.requests.conversation import thoughts, tool_call
from gateway.formats.openai_chat.vocabulary import ENDS, NAME
from gateway.http.lenient_json import read_object

_DONE = b"[DONE]"
_COMPARED_MAX_CHARACTERS = 64 * 1024
"""Of a call's arguments, kept to see whether they are whole when a name comes after them."""


@dataclass(slots=True)
class _Call:
    """A call; `number` is None until the client is told of it."""

    part: ToolCall
    number: int | None = None
    arguments: str = ""
    held: str = ""

    def take(self, more: ToolCall) -> None:
        """What another chunk tells of it. Some tell all of its name in each."""
        part = self.part
        if self.number is None and more.name != part.name:
            part = replace(part, name=part.name + more.name)
        self.part = replace(part, id=part.id or more.id, signature=part.signature or more.signature)
        self.held += more.arguments
        if len(self.arguments) < _COMPARED_MAX_CHARACTERS:
            self.arguments += more.arguments

    def is_another(self, more: ToolCall) -> bool:
        """Whether a chunk is of another call in this one's place."""
        if more.id and self.part.id:
            return more.id != self.part.id
        if not (more.name and self.part.name and self.arguments):
            return False
        return more.name != self.part.name or as_object(self.arguments) is not None


@dataclass(slots=True)
class _Open:
    """What is open of one choice: the part of words or thoughts, and calls by their index."""

    begun: int = 0
    words: int | None = None
    kind: type[Part] | None = None
    calls: dict[int, _Call] = field(default_factory=dict)
    has_called: bool = False
    stop: StopReason = "stop"
    stop_word: str = ""


class ChunkReader:
    """Understands a provider's chunks; see `gateway.formats.contract.EventReader`."""

    def __init__(self) -> None:
        self._choices: dict[int, _Open] = {}
        self._has_begun = False

    def read(self, data: bytes) -> list[TurnEvent]:
        """What one chunk tells."""
        return [] if data.strip() == _DONE else list(self._read(read_object(data)))

    def finish(self) -> list[TurnEvent]:
        """End what is open. A choice stops here at the earliest: its last words may come late."""
        events: list[TurnEvent] = []
        for index, choice in self._choices.items():
            events += self._end_words(index, choice)
            for call in choice.calls.values():
                events += self._end_call(index, choice, call)
            is_calling = choice.stop == "stop" and choice.has_called
            stop: StopReason = "tool_calls" if is_calling else choice.stop
            events.append(Stopped(choice=index, stop=stop, stop_word=choice.stop_word))
        return events

    def _read(self, chunk: Mapping[str, Any]) -> Iterator[TurnEvent]:
        if not self._has_begun:
            self._has_begun = True
            yield Begun(
                id=str(chunk.get("id") or ""),
                model=str(chunk.get("model") or ""),
                created_s=created_s(chunk),
            )
        for told in chunk.get("choices") or ():
            place = told.get("index")
            index = place if type(place) is int else 0
            choice = self._choices.setdefault(index, _Open())
            delta = told.get("delta") or {}
            if not delta and not choice.begun and not choice.calls:
                delta = told.get("message") or {}  # some tell the whole where a delta belongs
            yield from self._delta(index, choice, delta, told.get("logprobs"))
            if told.get("finish_reason"):
                choice.stop, choice.stop_word = ENDS.read(told["finish_reason"], has_calls=False)

    def _delta(
        self, index: int, choice: _Open, delta: Mapping[str, Any], logprobs: object
    ) -> Iterator[TurnEvent]:
        for thought in thoughts(delta):
            yield from self._words(index, choice, Thinking(text=""), thought.text)
            if thought.signature and choice.words is not None:
                yield SignatureDelta(
                    choice=index,
                    number=choice.words,
                    signature=thought.signature,
                    signed_by=thought.signed_by,
                )
        for text in _texts(delta.get("content")):
            yield from self._words(index, choice, Text(text=""), text, logprobs)
        for image in images_in(delta):
            yield from self._image(index, choice, image)
        for citation in delta.get("annotations") or ():
            if choice.kind is Text and choice.words is not None:
                yield CitationDelta(
                    choice=index, number=choice.words, citation=citation, citing=NAME
                )
        if delta.get("refusal"):
            yield from self._words(index, choice, Refusal(text=""), delta["refusal"])
        yield from self._calls(index, choice, delta)

    def _words(
        self, index: int, choice: _Open, part: Part, text: str, logprobs: object = None
    ) -> Iterator[TurnEvent]:
        if choice.kind is not type(part):
            yield from self._end_words(index, choice)
            choice.words, choice.kind = choice.begun, type(part)
            choice.begun += 1
            yield PartBegun(choice=index, number=choice.words, part=part)
        if text:
            assert choice.words is not None
            yield TextDelta(choice=index, number=choice.words, text=text, logprobs=logprobs)

    def _image(self, index: int, choice: _Open, image: Media) -> Iterator[TurnEvent]:
        yield from self._end_words(index, choice)
        number, choice.begun = choice.begun, choice.begun + 1
        yield PartBegun(choice=index, number=number, part=image)
        yield PartEnded(choice=index, number=number)

    def _calls(self, index: int, choice: _Open, delta: Mapping[str, Any]) -> Iterator[TurnEvent]:
        told = list(delta.get("tool_calls") or ())
        if any((delta.get("function_call") or {}).values()):
            told.append({"index": 0, "function": delta["function_call"]})
        for position, one in enumerate(told):
            place = one.get("index")
            place = place if type(place) is int else position
            more, call = tool_call(one), choice.calls.get(place)
            if call is not None and call.is_another(more):
                yield from self._end_call(index, choice, call)
                call = None
            if call is None:
                choice.has_called = True
                call = choice.calls[place] = _Call(replace(more, name="", arguments=""))
            call.take(more)
            if call.arguments and call.part.name:
                yield from self._tell_call(index, choice, call)

    def _tell_call(self, index: int, choice: _Open, call: _Call) -> Iterator[TurnEvent]:
        if call.number is None:
            yield from self._end_words(index, choice)
            call.number, choice.begun = choice.begun, choice.begun + 1
            yield PartBegun(choice=index, number=call.number, part=call.part)
        if call.held:
            yield TextDelta(choice=index, number=call.number, text=call.held)
            call.held = ""

    def _end_call(self, index: int, choice: _Open, call: _Call) -> Iterator[TurnEvent]:
        yield from self._tell_call(index, choice, call)
        assert call.number is not None
        yield PartEnded(choice=index, number=call.number)

    def _end_words(self, index: int, choice: _Open) -> Iterator[TurnEvent]:
        if choice.words is not None:
            yield PartEnded(choice=index, number=choice.words)
        choice.words = choice.kind = None


def _texts(content: object) -> Iterator[str]:
    """A string, or parts of text as Mistral streams them."""
    if type(content) is str:
        if content:
            yield content
    elif type(content) is list:
        for part in content:
            if type(part) is dict and type(part.get("text")) is str:
                yield part["text"]
