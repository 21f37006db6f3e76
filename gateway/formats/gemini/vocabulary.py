"""Words of the format that reading and writing share.

Source: https://ai.google.dev/api/generate-content. The API takes names in camel and in snake case
(protocol buffers in JSON), and clients send both.
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.conversation.turn import StopReason

NAME = "gemini"

STOP_OF_FINISH: dict[str, StopReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "LANGUAGE": "refusal",
}
FINISH_OF_STOP: dict[StopReason, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "pause": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
}

_HUMP = re.compile(r"(?<!^)([A-Z])")


def member(holder: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - decoded JSON
    """A member by its camel-case name, or the same in snake case; None where it has neither."""
    value = holder.get(name)
    return holder.get(_HUMP.sub(r"_\1", name).lower()) if value is None else value


def kind_of_media(media_type: str) -> str:
    """The kind of media a MIME type stands for: image, audio, video or document."""
    kind = media_type.partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "document"
