"""Parts in no format as blocks of a request; what cannot be said is refused or named as a loss.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.conversation.losses import of_document
from gateway.conversation.parts import (
    CacheMark,
    Foreign,
    Inline,
    Media,
    Part,
    PlainDocument,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import Role
from gateway.errors import InvalidRequest
from gateway.formats.bedrock_converse.models import Traits
from gateway.formats.bedrock_converse.requests.media import DocumentNames, format_of
from gateway.formats.bedrock_converse.vocabulary import NAME, input_of, provider_call_id

Block = dict[str, Any]
Group = list[Block]
"""A block, and behind it the mark that the prompt is cached up to there."""

_PLAIN_DETAIL = ("", "auto")
_SYSTEM = ("system", "developer")


def inexpressible(what: str, param: str | None = None) -> InvalidRequest:
    """The request would mean something else without it."""
    return InvalidRequest(
        f"{what} cannot be told to the provider of this model.",
        code="not_expressible",
        param=param,
    )


def cache_point(mark: CacheMark, has_hours: bool) -> tuple[Block, list[str]]:
    """The block that says `mark`, and what of it is lost."""
    point = {"type": "default"}
    if mark.ttl == "5m":
        return {"cachePoint": point}, []
    if has_hours:
        return {"cachePoint": point | {"ttl": mark.ttl}}, []
    return {"cachePoint": point}, ["cache_control.ttl"]


class BlockWriter:
    """Writes the blocks of messages, and collects what they lose."""

    def __init__(self, traits: Traits) -> None:
        self._traits = traits
        self._names = DocumentNames()
        self.losses: list[str] = []

    def groups(self, role: Role, parts: Iterable[Part]) -> list[Group]:
        """The blocks of a message. Raises InvalidRequest."""
        written = []
        for part in parts:
            group = self._part(role, part)
            if group:
                group += self._mark(part)
                written.append(group)
        return written

    def _part(self, role: Role, part: Part) -> Group:
        match part:
            case Text(text=text) | Refusal(text=text):
                if isinstance(part, Text) and part.citations:
                    self.losses.append("citations")
                return _text_block(text)
            case Foreign(kind=kind):
                self.losses.append(kind)
            case PlainDocument(text=text) if role in _SYSTEM:
                return _text_block(text)
            case Media() | PlainDocument() if role == "user":
                return self._shown(part)
            case ToolResult() if role == "user":
                return self._result(part)
            case Thinking() if role == "assistant":
                return self._thought(part)
            case ToolCall() if role == "assistant":
                return self._call(part)
            case _:
                word = part.kind if isinstance(part, Media) else type(part).__name__.lower()
                self.losses.append(f"{role}.{word}")
        return []

    def _shown(self, part: Media | PlainDocument) -> Group:
        if isinstance(part, PlainDocument):
            data = base64.b64encode(part.text.encode("utf-8", "replace")).decode("ascii")
            return self._document(part, "txt", data) if part.text else []
        if not isinstance(part.source, Inline):
            raise inexpressible("Media that is not sent as bytes", "messages")
        data = part.source.data
        told = format_of(part, part.source.media_type, data)
        if not told:
            what = part.source.media_type or "unknown"
            raise inexpressible(f"A part ({part.kind}) of the type {what[:60]}", "messages")
        if part.detail not in _PLAIN_DETAIL:
            self.losses.append("image.detail")
        if part.kind == "document":
            return self._document(part, told, data)
        return [{part.kind: {"format": told, "source": {"bytes": data}}}]

    def _document(self, part: Media | PlainDocument, told: str, data: str) -> Group:
        name = self._names.of(part.title)
        if part.title and name != part.title:
            self.losses.append("document.title")
        document: Block = {"format": told, "name": name, "source": {"bytes": data}}
        if not self._traits.cites:
            self.losses += of_document(part)
            return [{"document": document}]
        if part.context:
            document["context"] = part.context
        if part.wants_citations:
            document["citations"] = {"enabled": True}
        return [{"document": document}]

    def _result(self, result: ToolResult) -> Group:
        inside: Group = []
        after: Group = []
        for part in result.content:
            is_shown = isinstance(part, Media) and part.kind != "document"
            kept = inside if self._traits.shows_results or not is_shown else after
            kept += self._part("user", part)
        if after:
            after.insert(0, {"text": f"Shown by the tool call {result.call_id}:"})
        told: Block = {
            "toolUseId": provider_call_id(result.call_id),
            "content": inside or [{"json": {}}],
        }
        if result.is_error and self._traits.shows_results:
            told["status"] = "error"
        elif result.is_error:
            self.losses.append("tool_result.is_error")
        marks = [mark for part in result.content for mark in self._mark(part)]
        return [{"toolResult": told}, *after, *marks[:1]]

    def _thought(self, thought: Thinking) -> Group:
        """Models take back what they signed themselves; several refuse any other thought."""
        if thought.signed_by != NAME or not thought.signature:
            self.losses.append("thinking")
            return []
        if thought.is_redacted:
            return [{"reasoningContent": {"redactedContent": thought.signature}}]
        told = {"text": thought.text, "signature": thought.signature}
        return [{"reasoningContent": {"reasoningText": told}}]

    def _call(self, call: ToolCall) -> Group:
        if call.signature:
            self.losses.append("tool_calls.signature")
        told = {
            "toolUseId": provider_call_id(call.id),
            "name": call.name,
            "input": input_of(call.arguments, call.is_custom),
        }
        return [{"toolUse": told}]

    def _mark(self, part: Part) -> Group:
        mark: CacheMark | None = getattr(part, "cache", None)
        if mark is None:
            return []
        if not self._traits.caches:
            self.losses.append("cache_control")
            return []
        point, lost = cache_point(mark, self._traits.caches_for_an_hour)
        self.losses += lost
        return [point]


def flattened(groups: Sequence[Group]) -> list[Block]:
    """The blocks of groups, results of tools first."""
    ordered = sorted(groups, key=lambda group: "toolResult" not in group[0])
    return [block for group in ordered for block in group]


def _text_block(text: str) -> Group:
    """Texts of nothing, and of blanks alone, are refused."""
    return [{"text": text}] if text.strip() else []
