"""A streamed generateContent as the events of a turn in no format, and back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

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
from gateway.formats.gemini.answers.citations import citations_of, grounding_of
from gateway.formats.gemini.answers.turn import candidate_of, ended
from gateway.formats.gemini.answers.usage import write_usage
from gateway.formats.gemini.carried_thoughts import is_carried, signed_for
from gateway.formats.gemini.requests.conversation import parts_in
from gateway.formats.gemini.requests.writing import is_cut, written_parts
from gateway.formats.gemini.vocabulary import ENDS, NAME, member
from gateway.formats.values import ChatCall
from gateway.http.lenient_json import read_object
from ledger.usage import Usage


@dataclass(slots=True)
class _Open:
    """What is open of one candidate: words or thoughts that may go on."""

    begun: int = 0
    number: int | None = None
    kind: type[Part] | None = None
    finish: object = None
    has_called: bool = False
    cited: set[str] = field(default_factory=set)
    """Addresses of pages that were told: events tell those of earlier ones again."""


class ContentEventReader:
    """Understands a provider's events; see `gateway.formats.contract.EventReader`."""

    def __init__(self) -> None:
        self._candidates: dict[int, _Open] = {}
        self._has_begun = False
        self._is_blocked = False

    def read(self, data: bytes) -> list[TurnEvent]:
        """What one event tells."""
        return list(self._read(read_object(data)))

    def finish(self) -> list[TurnEvent]:
        """End what is open."""
        events: list[TurnEvent] = []
        if self._is_blocked and not self._candidates:
            return [Stopped(choice=0, stop="content_filter")]
        for index, candidate in self._candidates.items():
            events += self._end(index, candidate)
            stop, word = ENDS.read(candidate.finish, candidate.has_called)
            events.append(Stopped(choice=index, stop=stop, stop_word=word))
        return events

    def _read(self, chunk: Mapping[str, Any]) -> Iterator[TurnEvent]:
        if not self._has_begun:
            self._has_begun = True
            yield Begun(
                id=str(member(chunk, "responseId") or ""),
                model=str(member(chunk, "modelVersion") or ""),
            )
        self._is_blocked |= member(chunk, "promptFeedback") is not None
        for told in chunk.get("candidates") or ():
            index = told.get("index") or 0
            candidate = self._candidates.setdefault(index, _Open())
            for part in parts_in(told.get("content")):
                yield from self._part(index, candidate, part)
            yield from self._cited(index, candidate, told)
            candidate.finish = member(told, "finishReason") or candidate.finish
            ENDS.read(candidate.finish, candidate.has_called)  # a failure is told at once

    def _cited(self, index: int, candidate: _Open, told: Mapping[str, Any]) -> Iterator[TurnEvent]:
        number = candidate.number
        if number is None or candidate.kind is not Text:
            return
        for citation in citations_of(told):
            if citation["url"] not in candidate.cited:
                candidate.cited.add(citation["url"])
                yield CitationDelta(choice=index, number=number, citation=citation, citing=NAME)

    def _part(self, index: int, candidate: _Open, part: Part) -> Iterator[TurnEvent]:
        if isinstance(part, Text):
            yield from self._words(index, candidate, Text(text=""), part.text)
        elif isinstance(part, Thinking) and not part.is_redacted:
            yield from self._words(index, candidate, Thinking(text=""), part.text)
            if part.signature and candidate.number is not None:
                yield SignatureDelta(
                    choice=index,
                    number=candidate.number,
                    signature=part.signature,
                    signed_by=NAME,
                )
        else:
            yield from self._end(index, candidate)
            candidate.has_called |= isinstance(part, ToolCall)
            number = candidate.begun
            candidate.begun += 1
            if isinstance(part, ToolCall):
                begun = msgspec.structs.replace(part, arguments="")
                yield PartBegun(choice=index, number=number, part=begun)
                yield TextDelta(choice=index, number=number, text=part.arguments)
            else:
                yield PartBegun(choice=index, number=number, part=part)
            yield PartEnded(choice=index, number=number)

    def _words(self, index: int, candidate: _Open, part: Part, text: str) -> Iterator[TurnEvent]:
        if candidate.kind is not type(part):
            yield from self._end(index, candidate)
            candidate.number, candidate.kind = candidate.begun, type(part)
            candidate.begun += 1
            yield PartBegun(choice=index, number=candidate.number, part=part)
        if text:
            assert candidate.number is not None
            yield TextDelta(choice=index, number=candidate.number, text=text)

    def _end(self, index: int, candidate: _Open) -> Iterator[TurnEvent]:
        if candidate.number is not None:
            yield PartEnded(choice=index, number=candidate.number)
        candidate.number = candidate.kind = None


class ContentEventWriter:
    """Writes events to a client; see `gateway.formats.contract.EventWriter`.

    Calls are told whole, as the format has no deltas for their arguments.
    """

    def __init__(self, call: ChatCall) -> None:
        self._call = call
        self._id = ""
        self._parts: dict[tuple[int, int], Part] = {}
        self._stops: list[Stopped] = []
        self._citations: dict[int, list[Any]] = {}
        self._cut: dict[int, list[Part]] = {}
        self._thoughts: dict[int, list[Thinking]] = {}

    def write(self, events: Sequence[TurnEvent]) -> bytes:
        """The format's events; how a candidate ended is held back until the end."""
        return b"".join(told for event in events for told in self._write(event))

    def closing(self, usage: Usage) -> bytes:
        """The last event: finish reasons, pages that were cited, and usage."""
        stops = self._stops or [Stopped(choice=0, stop="stop")]
        candidates = [
            candidate_of(each.choice, [])
            | ended(each, self._cut.get(each.choice, ()))
            | grounding_of(self._citations.get(each.choice, ()))
            for each in stops
        ]
        return self._event(candidates, usageMetadata=write_usage(usage))

    def _write(self, event: TurnEvent) -> Iterator[bytes]:
        match event:
            case Begun(id=told):
                self._id = told
            case PartBegun(choice=choice, number=number, part=part):
                self._parts[choice, number] = part
                if isinstance(part, Text | Thinking):
                    yield self._chunk_of(choice, part)
            case TextDelta(choice=choice, number=number, text=text):
                yield from self._delta(choice, number, text)
            case SignatureDelta():
                yield from self._signed(event)
            case PartEnded(choice=choice, number=number):
                yield from self._end(choice, self._parts.pop((choice, number)))
            case CitationDelta(choice=choice, citation=citation):
                self._citations.setdefault(choice, []).append(citation)
            case Stopped():
                self._stops.append(event)

    def _end(self, choice: int, part: Part) -> Iterator[bytes]:
        if is_cut(part):
            self._cut.setdefault(choice, []).append(part)
        elif isinstance(part, Thinking):
            if is_carried(part):
                self._thoughts.setdefault(choice, []).append(part)
        elif isinstance(part, ToolCall):
            yield self._chunk_of(choice, signed_for(part, self._thoughts.pop(choice, ())))
        elif not isinstance(part, Text):
            yield self._chunk_of(choice, part)

    def _signed(self, delta: SignatureDelta) -> Iterator[bytes]:
        """A signature of this format's vendor is told as it comes; others wait for a call."""
        if delta.signed_by == NAME:
            thought = Thinking(text="", signature=delta.signature, signed_by=NAME)
            yield self._chunk_of(delta.choice, thought)
            return
        part = self._parts[delta.choice, delta.number]
        if isinstance(part, Thinking):
            self._parts[delta.choice, delta.number] = msgspec.structs.replace(
                part, signature=part.signature + delta.signature, signed_by=delta.signed_by
            )

    def _delta(self, choice: int, number: int, text: str) -> Iterator[bytes]:
        part = self._parts[choice, number]
        if isinstance(part, ToolCall):
            self._parts[choice, number] = msgspec.structs.replace(
                part, arguments=part.arguments + text
            )
        elif isinstance(part, Thinking):
            self._parts[choice, number] = msgspec.structs.replace(part, text=part.text + text)
            yield self._chunk_of(choice, Thinking(text=text))
        else:
            yield self._chunk_of(choice, Text(text=text))

    def _chunk_of(self, choice: int, part: Part) -> bytes:
        parts = written_parts([part])
        return self._event([candidate_of(choice, parts)]) if parts else b""

    def _event(self, candidates: list[dict[str, Any]], **members: object) -> bytes:
        told = {
            "candidates": candidates,
            **members,
            "modelVersion": self._call.model,
            "responseId": self._id,
        }
        return b"data: " + msgspec.json.encode(told) + b"\n\n"
