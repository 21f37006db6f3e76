"""Turns and their events as what they say they are: what comes from a provider is not believed.

Whoever writes a turn may rely on the types of its members, however odd the answer was that it was
read from. What only one format knows (`Foreign`, citations, probabilities) is any value all the
same.
"""

from collections.abc import Iterable
from functools import cache
from typing import get_args, get_type_hints

import msgspec

from gateway.conversation.parts import Media, Part
from gateway.conversation.turn import (
    Choice,
    PartBegun,
    Stopped,
    StopReason,
    Turn,
    TurnEvent,
)

_STOPS = frozenset(get_args(StopReason))
_PLAIN = (str, int)


def checked_turn(turn: Turn) -> Turn:
    """The turn as it is. Raises TypeError where a member is not of its type."""
    _check(turn)
    for choice in turn.choices:
        _check(choice)
        _check_stop(choice)
        for part in choice.parts:
            _check_part(part)
    return turn


def checked_events(events: Iterable[TurnEvent]) -> list[TurnEvent]:
    """The events as they are. Raises TypeError where a member is not of its type."""
    told = list(events)
    for event in told:
        _check(event)
        if isinstance(event, PartBegun):
            _check_part(event.part)
        elif isinstance(event, Stopped):
            _check_stop(event)
    return told


def _check_part(part: Part) -> None:
    _check(part)
    if isinstance(part, Media):
        _check(part.source)


def _check_stop(ended: Choice | Stopped) -> None:
    if ended.stop not in _STOPS:
        raise TypeError(f"nothing ends with {ended.stop!r}")


def _check(told: msgspec.Struct) -> None:
    for name, kind in _members(type(told)):
        if type(getattr(told, name)) is not kind:
            raise TypeError(f"{type(told).__name__}.{name} is no {kind.__name__}")


@cache
def _members(kind: type[msgspec.Struct]) -> tuple[tuple[str, type], ...]:
    """The members of a struct that are words or numbers."""
    hints = get_type_hints(kind)
    return tuple((name, hint) for name, hint in hints.items() if hint in _PLAIN)
