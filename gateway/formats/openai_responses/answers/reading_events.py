"""A streamed response as the events of a turn in no format."""

from collections.abc import Iterator, Mapping
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
from gateway.formats.openai_responses.answers.turn import created_s, stop_of
from gateway.formats.openai_responses.requests.conversation import output_part
from gateway.formats.openai_responses.vocabulary import NAME
from gateway.http.lenient_json import read_object

_TEXT_DELTAS = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
    }
)
_THOUGHTS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})


class ResponseEventReader:
    """Understands a provider's events; see `gateway.formats.contract.EventReader`."""

    def __init__(self) -> None:
        self._begun = 0
        self._open: dict[tuple[int, int], int] = {}
        """Numbers of open parts, by the places of their item and of their content."""
        self._told: set[int] = set()
        """Numbers of thoughts of which something was told."""
        self._parts: list[Part] = []
        self._stop: StopReason | None = None

    def read(self, data: bytes) -> list[TurnEvent]:
        """What one event tells."""
        told = read_object(data)
        return list(self._read(str(told.get("type") or ""), told))

    def finish(self) -> list[TurnEvent]:
        """End what is open."""
        ended: list[TurnEvent] = [
            PartEnded(choice=0, number=number) for number in self._open.values()
        ]
        self._open.clear()
        stop = self._stop or stop_of({}, self._parts)
        return [*ended, Stopped(choice=0, stop=stop)]

    def _read(self, kind: str, told: Mapping[str, Any]) -> Iterator[TurnEvent]:
        place = (told.get("output_index") or 0, told.get("content_index") or 0)
        match kind:
            case "response.created":
                yield _begun(told.get("response") or {})
            case "response.output_item.added":
                yield from self._item_added(place[0], told.get("item") or {})
            case "response.content_part.added":
                yield from self._part_added(place, told.get("part") or {})
            case "response.content_part.done":
                yield from self._ended(place)
            case "response.output_text.annotation.added" if place in self._open:
                yield CitationDelta(
                    choice=0,
                    number=self._open[place],
                    citation=told.get("annotation"),
                    citing=NAME,
                )
            case "response.reasoning_summary_part.added" if told.get("summary_index"):
                yield from self._delta(kind, (place[0], 0), "\n\n")
            case "response.output_item.done":
                yield from self._item_done(place[0], told.get("item") or {})
            case "response.completed" | "response.incomplete":
                self._stop = stop_of(told.get("response") or {}, self._parts)
            case _ if kind in _TEXT_DELTAS:
                in_item = (place[0], 0) if kind in _THOUGHTS else place
                yield from self._delta(kind, in_item, told.get("delta") or "")
            case _:
                pass

    def _item_added(self, index: int, item: Mapping[str, Any]) -> Iterator[TurnEvent]:
        if item.get("type") in ("function_call", "custom_tool_call", "reasoning"):
            (part,) = output_part(item)
            if isinstance(part, ToolCall):
                yield self._begin((index, 0), msgspec.structs.replace(part, arguments=""))
            else:
                yield self._begin((index, 0), Thinking(text=""))

    def _part_added(self, place: tuple[int, int], part: Mapping[str, Any]) -> Iterator[TurnEvent]:
        if part.get("type") == "output_text":
            yield self._begin(place, Text(text=""))
        elif part.get("type") == "refusal":
            yield self._begin(place, Refusal(text=""))

    def _item_done(self, index: int, item: Mapping[str, Any]) -> Iterator[TurnEvent]:
        """What is known only now: the seal of a thought, and items that were not streamed."""
        kind = item.get("type")
        if kind == "reasoning":
            (part,) = output_part(item)
            number = self._open.get((index, 0))
            if isinstance(part, Thinking) and number is not None:
                if part.text and number not in self._told:
                    yield TextDelta(choice=0, number=number, text=part.text)
                if part.signature:
                    yield SignatureDelta(
                        choice=0,
                        number=number,
                        signature=part.signature,
                        signed_by=part.signed_by,
                    )
        elif kind not in ("message", "function_call", "custom_tool_call"):
            for part in output_part(item):
                yield self._begin((index, 0), part)
        for place in [place for place in self._open if place[0] == index]:
            yield from self._ended(place)

    def _begin(self, place: tuple[int, int], part: Part) -> PartBegun:
        self._open[place] = self._begun
        self._begun += 1
        self._parts.append(part)
        return PartBegun(choice=0, number=self._open[place], part=part)

    def _delta(self, kind: str, place: tuple[int, int], text: str) -> Iterator[TurnEvent]:
        number = self._open.get(place)
        if number is None or not text:
            return
        if kind.startswith("response.reasoning"):
            self._told.add(number)
        yield TextDelta(choice=0, number=number, text=text)

    def _ended(self, place: tuple[int, int]) -> Iterator[TurnEvent]:
        number = self._open.pop(place, None)
        if number is not None:
            yield PartEnded(choice=0, number=number)


def _begun(response: Mapping[str, Any]) -> Begun:
    return Begun(
        id=str(response.get("id") or ""),
        model=str(response.get("model") or ""),
        created_s=created_s(response),
    )
