"""A conversation in no format as a chat request, for a provider of this format."""

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.conversation.losses import of_document
from gateway.conversation.parts import (
    Address,
    CacheMark,
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
from gateway.conversation.request import Conversation, Message, Written
from gateway.errors import InvalidRequest
from gateway.formats.openai_chat.requests.writing_options import write_options
from gateway.formats.openai_chat.vocabulary import AUDIO_OF_MEDIA_TYPE, NAME, signs_calls


def request_of(conversation: Conversation, upstream_model: str) -> Written:
    """The request as a provider reads it. Raises InvalidRequest for what it has no words for."""
    messages = _Messages(conversation.format, signs_calls(upstream_model))
    for message in conversation.messages:
        messages.add(message)
    document: dict[str, Any] = {"model": upstream_model, "messages": messages.written}
    losses = messages.losses + write_options(document, conversation, upstream_model)
    return Written(document=document, losses=tuple(dict.fromkeys(losses)))


def inexpressible(what: str) -> InvalidRequest:
    """The request would mean something else without it."""
    return InvalidRequest(
        f"{what} cannot be told to the provider of this model.", code="not_expressible"
    )


_SHOWN_NEXT = "(shown in the next message)"


class _Messages:
    """Collects messages, and what they lose."""

    def __init__(self, format_name: str, signs_calls: bool) -> None:
        self._is_own = format_name == NAME
        self._signs_calls = signs_calls
        self.written: list[dict[str, Any]] = []
        self.losses: list[str] = []

    def add(self, message: Message) -> None:
        named = {"name": message.name} if message.name else {}
        if message.role == "assistant":
            self.written.append({"role": "assistant", **named, **self._assistant(message.parts)})
            return
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        rest: list[Part] = [part for part in message.parts if not isinstance(part, ToolResult)]
        shown: list[Part] = [each for result in results for each in self._result(result)]
        content = self._content([*shown, *rest])
        if content:
            self.written.append({"role": message.role, **named, "content": content})

    def _result(self, result: ToolResult) -> list[Part]:
        """Write a tool's message, which holds text alone; what is to be shown beside it."""
        texts = [part for part in result.content if isinstance(part, Text | PlainDocument)]
        media = [part for part in result.content if isinstance(part, Media)]
        if result.is_error:
            self.losses.append("tool_result.is_error")
        for part in (result, *texts):
            self._cache(part)
        text = "\n".join(part.text for part in texts) or (
            "(shown in the next message)" if media else ""
        )
        self.written.append({"role": "tool", "tool_call_id": result.call_id, "content": text})
        return [Text(text=f"Shown by the tool call {result.call_id}:"), *media] if media else []

    def _assistant(self, parts: Iterable[Part]) -> dict[str, Any]:
        parts = tuple(parts)
        members: dict[str, Any] = {"content": None, **self._thoughts(parts)}
        texts: list[Part] = []
        calls: list[dict[str, Any]] = []
        for part in parts:
            match part:
                case ToolCall():
                    calls.append(self._call(part))
                case Refusal(text=text):
                    members["refusal"] = text
                case Thinking():
                    pass
                case Media():
                    members |= self._made(part, members.get("images", []))
                case Foreign(kind="audio", value=value) if part.format == NAME:
                    members["audio"] = value
                case _:
                    texts.append(part)
        members["content"] = self._content(texts) or None
        if calls:
            members["tool_calls"] = calls
        elif members["content"] is None and not members.keys() & {"refusal", "audio"}:
            members["content"] = ""
        return members

    def _made(self, media: Media, others: list[dict[str, Any]]) -> dict[str, Any]:
        """An image that the model made; only providers that make some know it."""
        if not self._is_own or media.kind != "image":
            self.losses.append(f"assistant.{media.kind}")
            return {}
        image = {"type": "image_url", "image_url": {"url": url_of(media.source)}}
        return {"images": [*others, image]}

    def _thoughts(self, parts: Iterable[Part]) -> dict[str, str]:
        """The words of thoughts that are the provider's own; it reads no others."""
        thoughts = [part for part in parts if isinstance(part, Thinking)]
        own = [thought.text for thought in thoughts if thought.signed_by == NAME]
        if len(own) < len(thoughts):
            self.losses.append("thinking")
        return {"reasoning_content": "".join(own)} if own else {}

    def _call(self, call: ToolCall) -> dict[str, Any]:
        if call.signature and not self._signs_calls:
            self.losses.append("tool_calls.signature")
            call = msgspec.structs.replace(call, signature="")
        return written_call(call)

    def _content(self, parts: list[Part]) -> str | list[dict[str, Any]]:
        written = [
            one | self._cache(part) for part in parts if (one := self._part(part)) is not None
        ]
        if len(written) == 1 and written[0].keys() == {"type", "text"}:
            return str(written[0]["text"])
        return written

    def _part(self, part: Part) -> dict[str, Any] | None:
        match part:
            case Text(text=text):
                if part.citations:
                    self.losses.append("citations")
                return {"type": "text", "text": text}
            case PlainDocument(text=text, title=title):
                self.losses += of_document(part)
                return {"type": "text", "text": f"{title}\n\n{text}" if title else text}
            case Media():
                return self._media(part)
            case Refusal(text=text):
                return {"type": "refusal", "refusal": text}
            case Foreign(format=format_name, kind=kind, value=value):
                if format_name == NAME:
                    return dict(value)
                self.losses.append(kind)
            case Thinking() | ToolCall() | ToolResult():
                self.losses.append(f"{type(part).__name__}_out_of_place")
        return None

    def _media(self, media: Media) -> dict[str, Any]:
        source = media.source
        self.losses += of_document(media)
        if isinstance(source, Stored) and not self._is_own:
            raise inexpressible("A file that another provider stores")
        if media.kind in ("image", "video"):
            told = {"url": url_of(source)} | ({"detail": media.detail} if media.detail else {})
            return {"type": f"{media.kind}_url", f"{media.kind}_url": told}
        if media.kind == "audio":
            if not isinstance(source, Inline) or source.media_type not in AUDIO_OF_MEDIA_TYPE:
                raise inexpressible("Audio by address or of this kind")
            audio = {"data": source.data, "format": AUDIO_OF_MEDIA_TYPE[source.media_type]}
            return {"type": "input_audio", "input_audio": audio}
        if isinstance(source, Address):
            raise inexpressible("A document by its address")
        if isinstance(source, Stored):
            return {"type": "file", "file": {"file_id": source.file_id}}
        name = media.title or "document"
        return {"type": "file", "file": {"filename": name, "file_data": url_of(source)}}

    def _cache(self, part: Part) -> dict[str, Any]:
        """The mark of what shall be cached: only some providers of this format know it."""
        mark: CacheMark | None = getattr(part, "cache", None)
        if mark is None:
            return {}
        if not self._is_own:
            self.losses.append("cache_control")
            return {}
        return {"cache_control": {"type": "ephemeral"} | _lifetime(mark)}


def _lifetime(mark: CacheMark) -> dict[str, str]:
    return {} if mark.ttl == "5m" else {"ttl": mark.ttl}


def written_call(call: ToolCall) -> dict[str, Any]:
    """A call as it stands in a message."""
    kind, word = ("custom", "input") if call.is_custom else ("function", "arguments")
    written: dict[str, Any] = {
        "id": call.id,
        "type": kind,
        kind: {"name": call.name, word: call.arguments},
    }
    if call.signature:
        written["extra_content"] = {"google": {"thought_signature": call.signature}}
    return written


def url_of(source: Inline | Address | Stored) -> str:
    """Media as an address, its bytes within (RFC 2397). Raises InvalidRequest for a stored one."""
    match source:
        case Inline(media_type=media_type, data=data):
            return f"data:{media_type or 'application/octet-stream'};base64,{data}"
        case Address(url=url):
            return url
        case Stored():
            raise inexpressible("A stored image")
