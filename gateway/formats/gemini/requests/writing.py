"""A conversation in no format as a generateContent request, for a provider of this format."""

import json
import mimetypes
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from gateway.conversation.arguments import as_object
from gateway.conversation.losses import of_document
from gateway.conversation.parts import (
    Address,
    Foreign,
    Inline,
    Media,
    MediaKind,
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
from gateway.formats.gemini.carried_thoughts import UNSIGNED
from gateway.formats.gemini.requests.writing_options import write_options
from gateway.formats.gemini.vocabulary import NAME, kind_of_media
from gateway.formats.shared.vendors.accepted import accepted

_SYSTEM = ("system", "developer")
_USUAL_TYPES: dict[MediaKind, str] = {
    "image": "image/jpeg",
    "audio": "audio/mpeg",
    "video": "video/mp4",
    "document": "application/pdf",
}


def request_of(conversation: Conversation, upstream_model: str) -> Written:
    """The request as a provider reads it. Raises InvalidRequest for what it has no words for."""
    contents = _Contents(conversation)
    for message in conversation.messages:
        contents.add(message)
    if conversation.format != NAME and accepted("", NAME, upstream_model).signs_calls:
        _sign_calls(contents.written)
    document: dict[str, Any] = {"contents": contents.written}
    if contents.system:
        document["systemInstruction"] = {"parts": contents.system}
    losses = contents.losses + write_options(document, conversation, upstream_model)
    return Written(document=document, losses=tuple(dict.fromkeys(losses)))


def inexpressible(what: str) -> InvalidRequest:
    """The request would mean something else without it."""
    return InvalidRequest(
        f"{what} cannot be told to the provider of this model.", code="not_expressible"
    )


def written_parts(parts: Iterable[Part], lacks_cut: bool = False) -> list[dict[str, Any]]:
    """What a model said, as the parts of its content; without calls that were cut where it is told
    to somebody who would carry them out.
    """
    told = (part for part in parts if not (lacks_cut and is_cut(part)))
    return [one for part in told for one in _spoken(part)]


def is_cut(part: Part) -> bool:
    """Whether a part is a call whose arguments are no object: they were cut, or made up wrongly."""
    if not isinstance(part, ToolCall) or part.is_custom:
        return False
    return as_object(part.arguments) is None


def call_of(call: ToolCall) -> dict[str, Any]:
    """A call as a part; arguments that are no object stand under one name."""
    told: dict[str, Any] = {"name": call.name, "args": _arguments(call.arguments)}
    if call.id:
        told["id"] = call.id
    signed = {"thoughtSignature": call.signature} if call.signature else {}
    return {"functionCall": told, **signed}


class _Contents:
    """Collects contents; those of one side in a row are one."""

    def __init__(self, conversation: Conversation) -> None:
        self._is_own = conversation.format == NAME
        self._names = {
            part.id: part.name
            for message in conversation.messages
            for part in message.parts
            if isinstance(part, ToolCall)
        }
        self.system: list[dict[str, Any]] = []
        self.written: list[dict[str, Any]] = []
        self.losses: list[str] = []

    def add(self, message: Message) -> None:
        if message.name:
            self.losses.append("name")
        parts = [one for part in message.parts for one in self._part(part)]
        if message.role in _SYSTEM:
            if self.written:
                self.losses.append("system_position")
            self.system += parts
            return
        role = "model" if message.role == "assistant" else "user"
        if self._joins(role, message):
            self.written[-1]["parts"] += parts
        elif parts:
            self.written.append({"role": role, "parts": parts})

    def _joins(self, role: str, message: Message) -> bool:
        """Contents of one side in a row are one; but beside results nothing is shown."""
        if not self.written or self.written[-1]["role"] != role:
            return False
        shows = any(isinstance(part, Media) for part in message.parts)
        return not (shows and any("functionResponse" in each for each in self.written[-1]["parts"]))

    def _part(self, part: Part) -> list[dict[str, Any]]:
        self._note_cache(part)
        match part:
            case ToolResult():
                return [self._result(part)]
            case Media():
                return [self._media(part)]
            case PlainDocument(text=text, title=title):
                self.losses += of_document(part)
                return [{"text": f"{title}\n\n{text}" if title else text}]
            case Foreign(format=format_name, kind=kind) if format_name != NAME:
                self.losses.append(kind)
                return []
            case Thinking(signed_by=signer) if signer != NAME and not self._is_own:
                self.losses.append("thinking")
                return []
            case Text(citations=citations) if citations:
                self.losses.append("citations")
        return list(_spoken(part))

    def _note_cache(self, part: Part) -> None:
        if getattr(part, "cache", None) is not None:
            self.losses.append("cache_control")

    def _result(self, result: ToolResult) -> dict[str, Any]:
        for part in result.content:
            self._note_cache(part)
        texts = [part.text for part in result.content if isinstance(part, Text | PlainDocument)]
        text = "\n".join(texts)
        told: dict[str, Any] = {"id": result.call_id} if result.call_id else {}
        told |= {
            "name": result.name or self._names.get(result.call_id, "tool"),
            "response": {"error": text} if result.is_error else _response(text),
        }
        media = [self._media(part) for part in result.content if isinstance(part, Media)]
        if media:
            told["parts"] = media
        return {"functionResponse": told}

    def _media(self, media: Media) -> dict[str, Any]:
        self.losses += of_document(media)
        if media.detail not in ("", "auto"):
            self.losses.append("image.detail")
        match media.source:
            case Inline(media_type=media_type, data=data):
                kind = media_type or "application/octet-stream"
                return {"inlineData": {"mimeType": kind, "data": data}}
            case Address(url=url, media_type=media_type):
                kind = media_type or _media_type_of(url, media.kind)
                return {"fileData": {"mimeType": kind, "fileUri": url}}
            case Stored():
                raise inexpressible("A file that another provider stores")


def _sign_calls(contents: Iterable[dict[str, Any]]) -> None:
    """Of calls side by side the first one bears the signature."""
    for content in contents:
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls:
            calls[0].setdefault("thoughtSignature", UNSIGNED)


def _spoken(part: Part) -> Iterable[dict[str, Any]]:
    match part:
        case Text(text=text) | Refusal(text=text):
            return [{"text": text}] if text else []
        case Thinking(text=text, signature=signature, signed_by=signer):
            signed = {"thoughtSignature": signature} if signer == NAME and signature else {}
            told = {"text": text, "thought": True} if text else {}
            return [told | signed] if told or signed else []
        case ToolCall():
            return [call_of(part)]
        case Foreign(format=format_name, value=value) if format_name == NAME:
            return [dict(value)]
        case Media(source=Inline(media_type=media_type, data=data)):
            return [{"inlineData": {"mimeType": media_type, "data": data}}]
        case Media(kind=kind, source=Address(url=url, media_type=media_type)):
            told_type = media_type or _media_type_of(url, kind)
            return [{"fileData": {"mimeType": told_type, "fileUri": url}}]
        case _:
            return []


def _media_type_of(url: str, kind: MediaKind) -> str:
    """What an address ends like; this format wants to know before it looks."""
    told = mimetypes.guess_type(urlsplit(url).path)[0]
    return told if told and kind_of_media(told) == kind else _USUAL_TYPES[kind]


def _arguments(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text or "{}")
    except ValueError:
        told = text
    return told if type(told) is dict else {"input": told}


def _response(text: str) -> dict[str, Any]:
    """An object is told as it is, everything else as the output."""
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    return told if type(told) is dict and told else {"output": text}
