"""Blocks of content, of a request or an answer, as parts in no format."""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.conversation.parts import (
    Address,
    Foreign,
    Inline,
    Media,
    Part,
    PlainDocument,
    Source,
    Stored,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.signatures import read_call_id
from gateway.formats.anthropic_messages.signing import read_signature
from gateway.formats.anthropic_messages.vocabulary import NAME, arguments_of, cache_mark


def parts_of(content: object) -> tuple[Part, ...]:
    """The parts of a content: a string, or blocks. Raises KeyError, TypeError for odd blocks."""
    if type(content) is str:
        return (Text(text=content),) if content else ()
    if type(content) is not list:
        return ()
    return tuple(part for block in content for part in _parts(block))


def text_of(block: dict[str, Any]) -> Text:
    """A block of text."""
    citations = tuple(block.get("citations") or ())
    return Text(
        text=block["text"],
        cache=cache_mark(block),
        citations=citations,
        citing=NAME if citations else "",
    )


def thought_of(block: dict[str, Any]) -> Thinking:
    """A block of thinking, whoever thought it."""
    is_redacted = block["type"] == "redacted_thinking"
    signature, signed_by = read_signature(block.get("data" if is_redacted else "signature"))
    return Thinking(
        text="" if is_redacted else block.get("thinking") or "",
        signature=signature,
        signed_by=signed_by,
        is_redacted=is_redacted,
    )


def call_of(block: dict[str, Any]) -> ToolCall:
    """A block that calls a tool of the client's."""
    call_id, signature = read_call_id(block["id"])
    return ToolCall(
        id=call_id,
        name=block["name"],
        arguments=arguments_of(block.get("input")),
        signature=signature,
        cache=cache_mark(block),
    )


def identified(block: Any) -> Any:  # noqa: ANN401 - decoded JSON
    """A block of an answer; where it is a call without an id, it gets one elsewhere."""
    is_call = type(block) is dict and block.get("type") == "tool_use"
    return {**block, "id": block.get("id") or ""} if is_call else block


def _parts(block: dict[str, Any]) -> Iterator[Part]:
    match block["type"]:
        case "text":
            yield text_of(block)
        case "image":
            yield Media(kind="image", source=_source(block["source"]), cache=cache_mark(block))
        case "document":
            yield from _document(block)
        case "search_result":
            yield _search_result(block)
        case "thinking" | "redacted_thinking":
            yield thought_of(block)
        case "tool_use":
            yield call_of(block)
        case "tool_result":
            yield _result(block)
        case kind:
            yield Foreign(format=NAME, kind=kind, value=block)


def _source(source: dict[str, Any]) -> Source:
    match source["type"]:
        case "base64":
            return Inline(media_type=source.get("media_type") or "", data=source["data"])
        case "url":
            return Address(url=source["url"])
        case "file":
            return Stored(file_id=source["file_id"])
        case kind:
            raise TypeError(f"a source of the kind {kind}")


def _document(block: dict[str, Any]) -> Iterator[Media | PlainDocument]:
    source = block["source"]
    about: dict[str, Any] = {
        "title": block.get("title") or "",
        "context": block.get("context") or "",
        "wants_citations": bool((block.get("citations") or {}).get("enabled")),
        "cache": cache_mark(block),
    }
    if source["type"] == "text":
        yield PlainDocument(text=source["data"], **about)
    elif source["type"] == "content":
        yield from _document_of_blocks(source["content"], about)
    else:
        yield Media(kind="document", source=_source(source), **about)


def _document_of_blocks(content: object, about: dict[str, Any]) -> Iterator[Media | PlainDocument]:
    """The words together; the images, which no other format has within a document, after them."""
    parts = parts_of(content)
    yield PlainDocument(
        text="\n\n".join(part.text for part in parts if isinstance(part, Text)), **about
    )
    yield from (part for part in parts if isinstance(part, Media))


def _search_result(block: dict[str, Any]) -> PlainDocument:
    """What a client's own search found is a document to every other format."""
    found = parts_of(block.get("content"))
    return PlainDocument(
        text="\n\n".join(part.text for part in found if isinstance(part, Text)),
        title=block.get("title") or "",
        context=block.get("source") or "",
        wants_citations=bool((block.get("citations") or {}).get("enabled")),
        cache=cache_mark(block),
    )


def _result(block: dict[str, Any]) -> ToolResult:
    call_id, _ = read_call_id(block["tool_use_id"])
    return ToolResult(
        call_id=call_id,
        content=tuple(_shown(part) for part in parts_of(block.get("content"))),
        is_error=block.get("is_error") or False,
        cache=cache_mark(block),
    )


def _shown(part: Part) -> Text | Media | PlainDocument:
    """Within a tool's result, what only this format knows is at least told in words."""
    if isinstance(part, Text | Media | PlainDocument):
        return part
    value = part.value if isinstance(part, Foreign) else part
    return Text(text=msgspec.json.encode(value).decode())
