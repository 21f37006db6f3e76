"""A streamed completion as the events of a turn in no format, and back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.conversation.ends import word_for
from gateway.conversation.parts import Part, Refusal, Text
from gateway.conversation.turn import (
    Begun,
    PartBegun,
    PartEnded,
    Stopped,
    StopReason,
    TextDelta,
    TurnEvent,
)
from gateway.formats.openai_completions.answer import now_s, text_of
from gateway.formats.openai_completions.stream import END_MARKER
from gateway.formats.openai_completions.vocabulary import (
    ENDS,
    FINISH_OF_STOP,
    completion_id,
    logprobs_of,
)
from gateway.formats.shared.openai_usage import write_usage
from gateway.formats.values import ChatCall
from gateway.http.lenient_json import read_object
from ledger.usage import Usage


class CompletionReader:
    """Understands a provider's chunks; see `gateway.formats.contract.EventReader`."""

    def __init__(self) -> None:
        self._stops: dict[int, tuple[StopReason, str]] = {}
        self._has_begun = False

    def read(self, data: bytes) -> list[TurnEvent]:
        """What one chunk tells."""
        return [] if data.strip() == b"[DONE]" else list(self._read(read_object(data)))

    def finish(self) -> list[TurnEvent]:
        """Each choice is one text, and ends here."""
        events: list[TurnEvent] = []
        for index, (stop, word) in self._stops.items():
            stopped = Stopped(choice=index, stop=stop, stop_word=word)
            events += [PartEnded(choice=index, number=0), stopped]
        return events

    def _read(self, chunk: Mapping[str, Any]) -> Iterator[TurnEvent]:
        if not self._has_begun:
            self._has_begun = True
            created = chunk.get("created")
            yield Begun(
                id=str(chunk.get("id") or ""),
                model=str(chunk.get("model") or ""),
                created_s=created if type(created) is int else 0,
            )
        for choice in chunk.get("choices") or ():
            index = choice.get("index") or 0
            if index not in self._stops:
                self._stops[index] = "stop", ""
                yield PartBegun(choice=index, number=0, part=Text(text=""))
            if text_of(choice):
                yield TextDelta(choice=index, number=0, text=text_of(choice))
            if choice.get("finish_reason"):
                self._stops[index] = ENDS.read(choice["finish_reason"], has_calls=False)


class CompletionWriter:
    """Writes chunks to a client; see `gateway.formats.contract.EventWriter`."""

    def __init__(self, call: ChatCall) -> None:
        self._call = call
        self._frame: dict[str, Any] = {
            "id": completion_id(""),
            "object": "text_completion",
            "created": now_s(),
            "model": call.model,
        }
        self._parts: dict[tuple[int, int], Part] = {}
        self._said_characters: dict[int, int] = {}
        self._stops: list[Stopped] = []

    def write(self, events: Sequence[TurnEvent]) -> bytes:
        """The chunks of these events; how a choice ended is held back until the end."""
        return b"".join(chunk for event in events for chunk in self._write(event))

    def closing(self, usage: Usage) -> bytes:
        """Finish reasons, the usage for a client that asked for it, and the end marker."""
        chunks = [
            self._chunk(each.choice, "", None, word_for(FINISH_OF_STOP, each.stop, each.stop_word))
            for each in self._stops or (Stopped(choice=0, stop="stop"),)
        ]
        if self._call.wants_usage:
            chunks.append(_event({**self._frame, "choices": [], "usage": write_usage(usage)}))
        return b"".join(chunks) + END_MARKER

    def _write(self, event: TurnEvent) -> Iterator[bytes]:
        match event:
            case Begun():
                self._frame["id"] = completion_id(event.id)
                self._frame["created"] = event.created_s or self._frame["created"]
            case PartBegun(choice=choice, number=number, part=part):
                self._parts[choice, number] = part
                if isinstance(part, Text | Refusal) and part.text:
                    yield self._text(choice, part.text, None)
            case TextDelta(choice=choice, number=number, text=text):
                if isinstance(self._parts[choice, number], Text | Refusal):
                    yield self._text(choice, text, event.logprobs)
            case Stopped():
                self._stops.append(event)
            case _:
                pass

    def _text(self, choice: int, text: str, logprobs: object) -> bytes:
        offset = self._said_characters.get(choice, 0)
        self._said_characters[choice] = offset + len(text)
        return self._chunk(choice, text, logprobs_of(logprobs, offset), None)

    def _chunk(
        self, choice: int, text: str, logprobs: dict[str, Any] | None, finish_reason: str | None
    ) -> bytes:
        told = {
            "text": text,
            "index": choice,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        return _event({**self._frame, "choices": [told]})


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
