"""Media that a request names by address, where the provider takes bytes alone: found in the
conversation, and put in the place of its address. Pure; what asks for them is in `fetch`.
"""

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from gateway.conversation.parts import Address, Inline, Media, Part, ToolResult
from gateway.conversation.request import Conversation, Message

Takes = Callable[[Media], bool]
"""Whether a provider fetches this media by itself; it is asked of media with an address."""


class MediaNeeded(Exception):
    """A request cannot be written before these media are fetched."""

    def __init__(self, media: tuple[Media, ...]) -> None:
        super().__init__(f"{len(media)} media must be fetched")
        self.media = media


def takes_nothing(media: Media) -> bool:  # noqa: ARG001 - as Takes
    """Of a provider that fetches nothing."""
    return False


def with_bytes(
    conversation: Conversation, fetched: Mapping[str, Inline], takes: Takes
) -> Conversation:
    """The conversation with bytes for every address that the provider does not take.

    `fetched` is by address. Raises MediaNeeded with those that are not there.
    """
    needed = to_fetch(conversation, takes)
    if not needed:
        return conversation
    missing = {_url(media): media for media in needed if _url(media) not in fetched}
    if missing:
        raise MediaNeeded(tuple(missing.values()))
    messages = tuple(
        replace(message, parts=tuple(_filled(part, fetched, takes) for part in message.parts))
        for message in conversation.messages
    )
    return replace(conversation, messages=messages)


def to_fetch(conversation: Conversation, takes: Takes) -> tuple[Media, ...]:
    """Media with addresses that a provider does not take, in their order."""
    return tuple(part for part in _all_parts(conversation.messages) if _is_needed(part, takes))  # type: ignore[misc]  # `_is_needed` lets nothing else through


def _all_parts(messages: Iterable[Message]) -> Iterable[object]:
    for message in messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.content


def _is_needed(part: object, takes: Takes) -> bool:
    return isinstance(part, Media) and isinstance(part.source, Address) and not takes(part)


def _filled(part: Part, fetched: Mapping[str, Inline], takes: Takes) -> Part:
    if isinstance(part, ToolResult):
        content = tuple(_filled(each, fetched, takes) for each in part.content)
        return replace(part, content=content)
    if isinstance(part, Media) and _is_needed(part, takes):
        return replace(part, source=fetched[_url(part)])
    return part


def _url(media: Media) -> str:
    assert isinstance(media.source, Address)
    return media.source.url
