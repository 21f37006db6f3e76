"""Images that a model made, in an answer.

Source: https://openrouter.ai/docs/features/multimodal/image-generation (`images` beside the
content, in a message and in a delta); some vendors put them into the content as requests do.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.conversation.parts import Media, Stored
from gateway.formats.openai_chat.requests.conversation import images_among
from gateway.formats.openai_chat.requests.writing import url_of


def images_in(delta: Mapping[str, Any]) -> Iterator[Media]:
    """All images of a delta, wherever they are."""
    yield from images_among(delta.get("content"))
    yield from images_among(delta.get("images"))


def tells(media: Media) -> bool:
    """Whether there is a form for it in an answer."""
    return media.kind == "image" and not isinstance(media.source, Stored)


def written_image(media: Media, index: int) -> dict[str, Any]:
    """An image of an answer; SDKs put the deltas of a list together by their `index`."""
    return {"type": "image_url", "image_url": {"url": url_of(media.source)}, "index": index}
