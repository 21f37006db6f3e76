"""A streamed chat completion as the events of a turn in no format, and back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.conversation.parts import Part, Refusal, Text, Thinking, ToolCall
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
from gateway.formats.openai_chat.answers.turn import (
    annotation,
    completion_id,
    created_s,
    details_of,
    now_s,
)
from gateway.formats.openai_chat.requests.conversation import thoughts, tool_call
from gateway.formats.openai_chat.vocabulary import FINISH_OF_STOP, NAME, STOP_OF_FINISH
from gateway.formats.shared.openai_usage import write_usage
from gateway.formats.values import ChatCall
from gateway.http.lenient_json import read_object
from ledger.usage import Usage

_DONE = b"[DONE]"
_END = b"data: [DONE]\n\n"


@dataclass(slots=True)
class _Open:
    """What is open of one choice: the part of words or thoughts, and calls by their index."""

    begun: int = 0
    words: int | None = None
    kind: type[Part] | None = None
    calls: dict[int, int] = field(default_factory=dict)
    stop: StopReason | None = None


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
            events += self._end_all(index, choice)
            stop = choice.stop or "stop"
            is_calling = stop == "stop" and bool(choice.calls)
            events.append(Stopped(choice=index, stop="tool_calls" if is_calling else stop))
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
            index = told.get("index") or 0
            choice = self._choices.setdefault(index, _Open())
            yield from self._delta(index, choice, told.get("delta") or {}, told.get("logprobs"))
            if told.get("finish_reason"):
                choice.stop = STOP_OF_FINISH.get(told["finish_reason"], "stop")

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

    def _calls(self, index: int, choice: _Open, delta: Mapping[str, Any]) -> Iterator[TurnEvent]:
        told = list(delta.get("tool_calls") or ())
        if any((delta.get("function_call") or {}).values()):
            told.append({"index": 0, "function": delta["function_call"]})
        for position, one in enumerate(told):
            place = one.get("index")
            place = place if type(place) is int else position
            call = tool_call(one, place)
            if place not in choice.calls:
                yield from self._end_words(index, choice)
                choice.calls[place] = choice.begun
                choice.begun += 1
                begun = msgspec.structs.replace(call, arguments="")
                yield PartBegun(choice=index, number=choice.calls[place], part=begun)
            if call.arguments:
                yield TextDelta(choice=index, number=choice.calls[place], text=call.arguments)

    def _end_words(self, index: int, choice: _Open) -> Iterator[TurnEvent]:
        if choice.words is not None:
            yield PartEnded(choice=index, number=choice.words)
        choice.words = choice.kind = None

    def _end_all(self, index: int, choice: _Open) -> Iterator[TurnEvent]:
        yield from self._end_words(index, choice)
        for number in choice.calls.values():
            yield PartEnded(choice=index, number=number)


class ChunkWriter:
    """Writes chunks to a client; see `gateway.formats.contract.EventWriter`."""

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

    def write(self, events: Sequence[TurnEvent]) -> bytes:
        """The chunks of these events; how a choice ended is held back until the end."""
        return b"".join(chunk for event in events for chunk in self._write(event))

    def closing(self, usage: Usage) -> bytes:
        """Finish reasons, the usage for a client that asked for it, and the end marker."""
        chunks = [
            self._chunk(each.choice, {}, finish_reason=FINISH_OF_STOP[each.stop])
            for each in self._stops or (Stopped(choice=0, stop="stop"),)
        ]
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
                    yield self._chunk(choice, {"annotations": [told]})
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
                yield self._chunk(choice, {"reasoning_details": details_of([part])})
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
            yield self._chunk(event.choice, {"reasoning_details": details_of([thought])})

    def _chunk(self, choice: int, delta: dict[str, Any], **members: object) -> bytes:
        if choice not in self._has_role:
            self._has_role.add(choice)
            delta = {"role": "assistant", **delta}
        told = {name: value for name, value in members.items() if value is not None}
        one = {"index": choice, "delta": delta, "finish_reason": None} | told
        return _event({**self._frame, "choices": [one]})


def _texts(content: object) -> Iterator[str]:
    """A string, or parts of text as Mistral streams them."""
    if type(content) is str:
        if content:
            yield content
    elif type(content) is list:
        for part in content:
            if type(part) is dict and type(part.get("text")) is str:
                yield part["text"]


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
