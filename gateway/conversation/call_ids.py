"""Ids for calls of tools whose provider gives none, or the same to several."""

import secrets
from collections.abc import Sequence

from msgspec.structs import replace

from gateway.conversation.parts import Part, ToolCall
from gateway.conversation.turn import Choice, PartBegun, Turn, TurnEvent


class CallIds:
    """Gives ids that no other answer of a conversation has: clients name calls by them."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def turn(self, told: Turn) -> Turn:
        """A whole turn."""
        return replace(told, choices=tuple(self._choice(choice) for choice in told.choices))

    def told(self, events: Sequence[TurnEvent]) -> list[TurnEvent]:
        """Events."""
        return [self._event(event) for event in events]

    def _choice(self, choice: Choice) -> Choice:
        return replace(choice, parts=tuple(self._part(part) for part in choice.parts))

    def _event(self, event: TurnEvent) -> TurnEvent:
        if isinstance(event, PartBegun) and isinstance(event.part, ToolCall):
            return replace(event, part=self._part(event.part))
        return event

    def _part(self, part: Part) -> Part:
        if not isinstance(part, ToolCall):
            return part
        own_id = part.id
        if not own_id or own_id in self._given:
            own_id = f"call_{secrets.token_hex(12)}"
        self._given.add(own_id)
        return replace(part, id=own_id)
