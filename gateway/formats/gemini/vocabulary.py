"""Words of the format that reading and writing share.

Source: https://ai.google.dev/api/generate-content. The API takes names in camel and in snake case
(protocol buffers in JSON), and clients send both.
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.conversation.ends import Ends
from gateway.conversation.turn import StopReason

NAME = "gemini"

# https://ai.google.dev/api/generate-content#FinishReason, and for Vertex
# https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/FinishReason. What is not
# listed (OTHER, NO_IMAGE, IMAGE_OTHER, PUP_LIMITED_DISABLED, CONTINUATION) is told by its own word.
ENDS = Ends(
    known={
        "stop": "stop",
        "max_tokens": "length",
        "safety": "content_filter",
        "recitation": "content_filter",
        "blocklist": "content_filter",
        "prohibited_content": "content_filter",
        "spii": "content_filter",
        "image_safety": "content_filter",
        "image_prohibited_content": "content_filter",
        "image_recitation": "content_filter",
        "model_armor": "content_filter",
        "escalation": "content_filter",
        "language": "refusal",
    },
    failed=frozenset(
        {
            "malformed_function_call",
            "malformed_response",
            "missing_thought_signature",
            "too_many_tool_calls",
            "unexpected_tool_call",
        }
    ),
)
FINISH_OF_STOP: dict[StopReason, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "pause": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "other": "OTHER",
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
