"""Images and sounds that a model made, for clients whose format has no form for them: told in words
where they stood, so that nobody wonders what was paid for.
"""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from gateway.conversation.parts import Address, Inline, Media, Part, Text
from gateway.conversation.turn import Choice, PartBegun, Turn, TurnEvent

Tells = Callable[[Media], bool]
"""Whether a format has a form for some media in an answer."""


class MediaInWords:
    """A turn without what the client's format cannot say, whole or event by event."""

    def __init__(self, tells: Tells) -> None:
        self._tells = tells

    def turn(self, told: Turn) -> Turn:
        """A whole turn."""
        return replace(told, choices=tuple(self._choice(choice) for choice in told.choices))

    def told(self, events: Sequence[TurnEvent]) -> list[TurnEvent]:
        """Events; the words come as the part begins."""
        return [
            replace(event, part=self._part(event.part)) if isinstance(event, PartBegun) else event
            for event in events
        ]

    def _choice(self, choice: Choice) -> Choice:
        return replace(choice, parts=tuple(self._part(part) for part in choice.parts))

    def _part(self, part: Part) -> Part:
        if not isinstance(part, Media) or self._tells(part):
            return part
        return Text(text=_words(part))


def _words(media: Media) -> str:
    match media.source:
        case Address(url=url):
            return f"![{media.kind}]({url})"
        case Inline(media_type=media_type):
            kind = media_type or media.kind
            return f"[The model made something ({kind}) that this API cannot carry.]"
        case _:
            return f"[The model made something ({media.kind}) that this API cannot carry.]"
