"""Thoughts told as part of the text, between `<think>` marks: for clients that know no others."""

from collections.abc import Iterable

import msgspec

from gateway.conversation.parts import Part, Text, Thinking
from gateway.conversation.turn import (
    Choice,
    PartBegun,
    PartEnded,
    SignatureDelta,
    TextDelta,
    Turn,
    TurnEvent,
)

_BEGIN, _END = "<think>\n", "\n</think>\n"


def turn_with_thoughts_as_text(turn: Turn) -> Turn:
    """A whole turn; thoughts nobody can read are left out."""
    return msgspec.structs.replace(turn, choices=tuple(_choice(each) for each in turn.choices))


def _choice(choice: Choice) -> Choice:
    parts = tuple(_part(part) for part in choice.parts if not _is_hidden(part))
    return msgspec.structs.replace(choice, parts=parts)


def _part(part: Part) -> Part:
    return Text(text=f"{_BEGIN}{part.text}{_END}") if isinstance(part, Thinking) else part


def _is_hidden(part: Part) -> bool:
    return isinstance(part, Thinking) and not part.text


class ThoughtsAsText:
    """The same for a stream, event by event; it remembers which parts are thoughts."""

    def __init__(self) -> None:
        self._thoughts: dict[tuple[int, int], bool] = {}

    def told(self, events: Iterable[TurnEvent]) -> list[TurnEvent]:
        """The events as they are told; a thought begins with its first words."""
        return [told for event in events for told in self._event(event)]

    def _event(self, event: TurnEvent) -> list[TurnEvent]:
        match event:
            case PartBegun(part=Thinking(text=text)):
                self._thoughts[event.choice, event.number] = False
                return self._words(event.choice, event.number, text) if text else []
            case TextDelta() if (event.choice, event.number) in self._thoughts:
                return self._words(event.choice, event.number, event.text)
            case SignatureDelta() if (event.choice, event.number) in self._thoughts:
                return []
            case PartEnded() if (event.choice, event.number) in self._thoughts:
                has_begun = self._thoughts.pop((event.choice, event.number))
                end = TextDelta(choice=event.choice, number=event.number, text=_END)
                return [end, event] if has_begun else []
            case _:
                return [event]

    def _words(self, choice: int, number: int, text: str) -> list[TurnEvent]:
        begins: list[TurnEvent] = []
        if not self._thoughts[choice, number]:
            self._thoughts[choice, number] = True
            begins = [
                PartBegun(choice=choice, number=number, part=Text(text="")),
                TextDelta(choice=choice, number=number, text=_BEGIN),
            ]
        return [*begins, TextDelta(choice=choice, number=number, text=text)]
