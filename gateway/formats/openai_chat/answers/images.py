"""Images that a model made.

Source: https://openrouter.ai/docs/features/multimodal/image-generation (`images` beside the
content, in a message and in a delta); some vendors put them into the content as requests do.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.conversation.parts import Media, Stored
from gateway.formats.openai_chat.requests.conversation import source_of
from gateway.formats.openai_chat.requests.writing import url_of


def images_in(delta: Mapping[str, Any]) -> Iterator[Media]:
    """All images of a delta, wherever they are."""
    yield from _images(delta.get("content"))
    yield from _images(delta.get("images"))


def images_of(holder: Mapping[str, Any]) -> Iterator[Media]:
    """The images beside the content of a message."""
    yield from _images(holder.get("images"))


def tells(media: Media) -> bool:
    """Whether there is a form for it in an answer."""
    return media.kind == "image" and not isinstance(media.source, Stored)


def written_image(media: Media, index: int) -> dict[str, Any]:
    """An image of an answer; SDKs put the deltas of a list together by their `index`."""
    return {"type": "image_url", "image_url": {"url": url_of(media.source)}, "index": index}


def _images(told: object) -> Iterator[Media]:
    for one in told if type(told) is list else ():
        if type(one) is not dict or one.get("type", "image_url") != "image_url":
            continue
        address = one.get("image_url")
        url = address.get("url") if type(address) is dict else address
        if type(url) is str and url:
            yield Media(kind="image", source=source_of(url))
