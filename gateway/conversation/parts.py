"""The parts of a message. Nothing in here knows a format.

A part that only one format can express is `Foreign`: it goes back into its own format as it was,
and is a loss in any other.
"""

from typing import Any, Literal

import msgspec

MediaKind = Literal["image", "audio", "video", "document"]


class CacheMark(msgspec.Struct, frozen=True, kw_only=True):
    """The prompt up to here shall be kept by the provider; `ttl` is "5m" or "1h"."""

    ttl: str = "5m"


class Inline(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes within the request, in base64 as they came. `media_type` may be empty: unknown."""

    media_type: str
    data: str


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the provider is to fetch it."""

    url: str
    media_type: str = ""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A file the provider has already, by its id there."""

    file_id: str


Source = Inline | Address | Stored


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """Words. `citations` are kept as their format wrote them, which `citing` names."""

    text: str
    cache: CacheMark | None = None
    citations: tuple[Any, ...] = ()
    citing: str = ""


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not words. `detail`: how closely an image shall be looked at."""

    kind: MediaKind
    source: Source
    detail: str = ""
    title: str = ""
    context: str = ""
    wants_citations: bool = False
    cache: CacheMark | None = None


class PlainDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is plain text, told apart from the words around it."""

    text: str
    title: str = ""
    context: str = ""
    wants_citations: bool = False
    cache: CacheMark | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """What the model thought. Only the vendor that made a signature can read it: `signed_by`
    names the format. Redacted thinking has no text, and all of it in its signature.
    """

    text: str
    signature: str = ""
    signed_by: str = ""
    is_redacted: bool = False


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """The model calls a tool. `arguments` is JSON text, or plain text for a custom tool."""

    id: str
    name: str
    arguments: str
    is_custom: bool = False
    namespace: str = ""
    signature: str = ""
    cache: CacheMark | None = None


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool answered; `name` where the format tells it."""

    call_id: str
    content: "tuple[Text | Media | PlainDocument, ...]"
    name: str = ""
    is_error: bool = False
    is_custom: bool = False
    cache: CacheMark | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The model declines, in its own words."""

    text: str


class Foreign(msgspec.Struct, frozen=True, kw_only=True):
    """A part that only `format_name` knows, as it came."""

    format: str
    kind: str
    value: Any


Part = Text | Media | PlainDocument | Thinking | ToolCall | ToolResult | Refusal | Foreign
