"""Parts in no format as blocks of a request; what cannot be said is refused or named as a loss."""

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from gateway.conversation.parts import (
    Address,
    Foreign,
    Inline,
    Media,
    Part,
    PlainDocument,
    Refusal,
    Stored,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import Role
from gateway.errors import InvalidRequest
from gateway.formats.anthropic_messages.signing import provider_call_id
from gateway.formats.anthropic_messages.vocabulary import NAME, cache_control, input_of

Block = dict[str, Any]

_PDF = "application/pdf"
# The first bytes of each kind, in base64.
_BEGINNINGS = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "JVBERi0": _PDF,
}
_SAME_TYPE = {"image/jpg": "image/jpeg"}
_NOT_PLAIN_DETAIL = ("low", "high", "original")


def inexpressible(what: str, param: str | None = None) -> InvalidRequest:
    """The request would mean something else without it."""
    return InvalidRequest(
        f"{what} cannot be told to the provider of this model.",
        code="not_expressible",
        param=param,
    )


class BlockWriter:
    """Writes the blocks of messages, and collects what they lose."""

    def __init__(self, format_name: str) -> None:
        self._is_own = format_name == NAME
        self.losses: list[str] = []

    def blocks(self, role: Role, parts: Iterable[Part]) -> list[Block]:
        """The blocks of a message. Raises InvalidRequest."""
        written = []
        for part in parts:
            block = self._part(role, part)
            if block is not None:
                written.append(block | self._mark(part))
        return written

    def _part(self, role: Role, part: Part) -> Block | None:
        match part:
            case Text() | Refusal():
                return self._text(role, part)
            case Foreign(format=format_name, kind=kind, value=value):
                if format_name == NAME:
                    return dict(value)
                self.losses.append(kind)
            case Media() | PlainDocument() if role == "user":
                return self._shown(part)
            case ToolResult() if role == "user":
                return self._result(part)
            case Thinking() if role == "assistant":
                return self._thought(part)
            case ToolCall() if role == "assistant":
                return self._call(part)
            case PlainDocument(text=text):
                return {"type": "text", "text": text} if text.strip() else None
            case _:
                self.losses.append(f"{role}.{_word_for(part)}")
        return None

    def _text(self, role: Role, part: Text | Refusal) -> Block | None:
        if not part.text.strip():  # this format refuses texts of nothing, and of blanks alone
            return None
        block: Block = {"type": "text", "text": part.text}
        if isinstance(part, Text) and part.citations:
            # An answer of this format's providers takes its own citations back, and no others.
            is_own = role == "assistant" and part.citing == NAME
            citations = [one for one in part.citations if is_own and _is_verbatim(one)]
            if citations:
                block["citations"] = citations
            if len(citations) < len(part.citations):
                self.losses.append("citations")
        return block

    def _shown(self, part: Media | PlainDocument) -> Block:
        if isinstance(part, PlainDocument):
            source: Block = {"type": "text", "media_type": "text/plain", "data": part.text}
            return {"type": "document", "source": source} | _about(part)
        if part.kind == "image":
            if part.detail in _NOT_PLAIN_DETAIL:
                self.losses.append("image.detail")
            return {"type": "image", "source": self._source(part)}
        if part.kind == "document":
            return {"type": "document", "source": self._source(part)} | _about(part)
        raise inexpressible(f"A part of the kind {part.kind}", "messages")

    def _source(self, media: Media) -> Block:
        match media.source:
            case Inline(media_type=told, data=data):
                return _inline(media.kind, _SAME_TYPE.get(told, told) or _seen(data), data)
            case Address(url=url):
                return {"type": "url", "url": url}
            case Stored(file_id=file_id):
                if not self._is_own:
                    raise inexpressible("A file that another provider stores", "messages")
                return {"type": "file", "file_id": file_id}

    def _result(self, result: ToolResult) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": provider_call_id(result.call_id)}
        content = self.blocks("user", result.content)
        if len(content) == 1 and content[0].keys() == {"type", "text"}:
            block["content"] = content[0]["text"]
        elif content:
            block["content"] = content
        return block | ({"is_error": True} if result.is_error else {})

    def _thought(self, thought: Thinking) -> Block | None:
        """Thoughts that this format's models did not sign are refused by them."""
        if thought.signed_by != NAME:
            self.losses.append("thinking")
            return None
        if thought.is_redacted:
            return {"type": "redacted_thinking", "data": thought.signature}
        return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}

    def _call(self, call: ToolCall) -> Block:
        if call.signature:
            self.losses.append("tool_calls.signature")
        return {
            "type": "tool_use",
            "id": provider_call_id(call.id),
            "name": call.name,
            "input": input_of(call.arguments, call.is_custom),
        }

    def _mark(self, part: Part) -> Block:
        return cache_control(getattr(part, "cache", None))


def _about(part: Media | PlainDocument) -> Block:
    about: Block = {name: value for name in ("title", "context") if (value := getattr(part, name))}
    return about | ({"citations": {"enabled": True}} if part.wants_citations else {})


def _inline(kind: str, media_type: str, data: str) -> Block:
    """Images of any kind, for the provider to judge; documents as PDF or as plain text."""
    if kind == "image" or media_type == _PDF:
        return {"type": "base64", "media_type": media_type or "image/png", "data": data}
    if media_type and not media_type.startswith("text/"):
        raise inexpressible(f"A document of the type {media_type}", "messages")
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise inexpressible("A document that is neither PDF nor text", "messages") from error
    return {"type": "text", "media_type": "text/plain", "data": text}


def _seen(data: str) -> str:
    """The type that the first bytes tell, empty where they tell none."""
    found = (kind for beginning, kind in _BEGINNINGS.items() if data.startswith(beginning))
    return next(found, "")


def _is_verbatim(citation: object) -> bool:
    """Whether a provider of this format made it: those of searches carry an index of theirs."""
    return type(citation) is dict and citation.get("encrypted_index", True) != ""


def _word_for(part: Part) -> str:
    return part.kind if isinstance(part, Media) else type(part).__name__.lower()
