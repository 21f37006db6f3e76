"""Ends an answer at the client's stop sequences, where the provider was not told of all of them.

A provider that was told ends before them itself, so that nothing of this is ever seen of it.
"""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from gateway.conversation.parts import Part, Text
from gateway.conversation.turn import (
    Choice,
    PartBegun,
    PartEnded,
    Stopped,
    TextDelta,
    Turn,
    TurnEvent,
)


class StopSequences:
    """A turn up to the first of some sequences, whole or event by event."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._open: dict[int, dict[int, Part]] = {}
        self._held: dict[tuple[int, int], str] = {}
        self._ended: set[int] = set()

    def turn(self, told: Turn) -> Turn:
        """A whole turn."""
        return replace(told, choices=tuple(self._choice(choice) for choice in told.choices))

    def told(self, events: Sequence[TurnEvent]) -> list[TurnEvent]:
        """Events; words that may begin a sequence are held back until that is known."""
        if not self._stops:
            return list(events)
        return [told for event in events for told in self._event(event)]

    def _choice(self, choice: Choice) -> Choice:
        for place, part in enumerate(choice.parts):
            if isinstance(part, Text) and (found := self._found(part.text)) is not None:
                at, stop = found
                parts = (*choice.parts[:place], replace(part, text=part.text[:at]))
                return replace(choice, parts=parts, stop="stop_sequence", stop_sequence=stop)
        return choice

    def _found(self, text: str) -> tuple[int, str] | None:
        places = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        return min(places, default=None)

    def _event(self, event: TurnEvent) -> Iterator[TurnEvent]:
        choice = getattr(event, "choice", None)
        if choice is None or choice in self._ended:
            if choice is None:
                yield event
            return
        opened = self._open.setdefault(choice, {})
        match event:
            case PartBegun(number=number, part=part):
                opened[number] = part
                yield event
            case TextDelta(number=number) if isinstance(opened.get(number), Text):
                yield from self._words(event)
            case PartEnded(number=number):
                opened.pop(number, None)
                left = self._held.pop((choice, number), "")
                if left:
                    yield TextDelta(choice=choice, number=number, text=left)
                yield event
            case _:
                yield event

    def _words(self, event: TextDelta) -> Iterator[TurnEvent]:
        place = (event.choice, event.number)
        held = self._held.pop(place, "")
        text = held + event.text
        found = self._found(text)
        if found is not None:
            at, stop = found
            yield from [replace(event, text=text[:at])] if at else []
            for number in self._open.pop(event.choice):
                yield PartEnded(choice=event.choice, number=number)
            self._ended.add(event.choice)
            yield Stopped(choice=event.choice, stop="stop_sequence", stop_sequence=stop)
            return
        kept = self._may_begin(text)
        if kept:
            self._held[place] = text[-kept:]
        told = text[: len(text) - kept]
        if told:
            yield replace(event, text=told)

    def _may_begin(self, text: str) -> int:
        """How many of the last characters may be the beginning of a sequence."""
        longest = max(map(len, self._stops)) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
