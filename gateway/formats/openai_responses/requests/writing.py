"""A conversation in no format as a Responses request, for a provider of this format."""

from typing import Any

from gateway.conversation.losses import of_document
from gateway.conversation.parts import (
    Address,
    Foreign,
    Inline,
    Media,
    Part,
    PlainDocument,
    Refusal,
    Source,
    Stored,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import Conversation, Message, Written
from gateway.conversation.signatures import carried
from gateway.errors import InvalidRequest
from gateway.formats.openai_responses.requests.writing_options import write_options
from gateway.formats.openai_responses.vocabulary import NAME, unsealed


def request_of(conversation: Conversation, upstream_model: str) -> Written:
    """The request as a provider reads it. Raises InvalidRequest for what it has no words for."""
    if conversation.choices > 1:
        raise inexpressible("More than one choice")
    items = _Items(conversation.format)
    for message in conversation.messages:
        items.add(message)
    document: dict[str, Any] = {"model": upstream_model, "input": items.written}
    losses = items.losses + write_options(document, conversation, upstream_model)
    return Written(document=document, losses=tuple(dict.fromkeys(losses)))


def inexpressible(what: str) -> InvalidRequest:
    """The request would mean something else without it."""
    return InvalidRequest(
        f"{what} cannot be told to the provider of this model.", code="not_expressible"
    )


def item_of(part: Thinking | ToolCall, item_id: str) -> dict[str, Any]:
    """A thought or a call as an item."""
    if isinstance(part, ToolCall):
        kind, word = ("custom_tool_call", "input") if part.is_custom else _FUNCTION
        return {
            "type": kind,
            "id": item_id,
            "call_id": part.id,
            "name": part.name,
            **({"namespace": part.namespace} if part.namespace else {}),
            word: part.arguments,
            "status": "completed",
        }
    encrypted = carried(part.signature, part.signed_by, NAME)
    own_id = ""
    if part.signed_by == NAME:
        own_id, encrypted = unsealed(part.signature)
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    item = {"type": "reasoning", "id": own_id or item_id, "summary": summary}
    return item | ({"encrypted_content": encrypted} if encrypted else {})


_FUNCTION = ("function_call", "arguments")


class _Items:
    """Collects items, and what they lose."""

    def __init__(self, format_name: str) -> None:
        self._is_own = format_name == NAME
        self.written: list[dict[str, Any]] = []
        self.losses: list[str] = []

    def add(self, message: Message) -> None:
        if message.name:
            self.losses.append("name")
        content: list[dict[str, Any]] = []
        for part in message.parts:
            item = self._item(part)
            if item is None:
                written = self._content(part, message.role == "assistant")
                content += [written] if written is not None else []
                continue
            self._flush(message, content)
            content = []
            self.written.append(item)
        self._flush(message, content)

    def _flush(self, message: Message, content: list[dict[str, Any]]) -> None:
        if content:
            self.written.append({"type": "message", "role": message.role, "content": content})

    def _item(self, part: Part) -> dict[str, Any] | None:
        """Parts that are items of their own; None for what stands in a message."""
        match part:
            case ToolCall():
                if part.signature:
                    self.losses.append("tool_calls.signature")
                item = item_of(part, "")
                del item["id"], item["status"]
                return item
            case Thinking(signed_by=signer) if signer == NAME:
                return item_of(part, "")
            case ToolResult():
                return self._result(part)
            case Foreign(format=format_name, value=value) if format_name == NAME:
                return dict(value)
            case _:
                return None

    def _result(self, result: ToolResult) -> dict[str, Any]:
        if result.is_error:
            self.losses.append("tool_result.is_error")
        self._note_cache(result)
        texts_only = all(isinstance(part, Text) for part in result.content)
        output: Any = [
            one for part in result.content if (one := self._content(part, False)) is not None
        ]
        if texts_only:
            output = "\n".join(part["text"] for part in output)
        kind = "custom_tool_call_output" if result.is_custom else "function_call_output"
        return {"type": kind, "call_id": result.call_id, "output": output}

    def _content(self, part: Part, is_assistant: bool) -> dict[str, Any] | None:
        self._note_cache(part)
        match part:
            case Text(text=text):
                if part.citations and part.citing != NAME:
                    self.losses.append("citations")
                return {"type": "output_text" if is_assistant else "input_text", "text": text} | (
                    {"annotations": list(part.citations) if part.citing == NAME else []}
                    if is_assistant
                    else {}
                )
            case PlainDocument(text=text, title=title):
                self.losses += of_document(part)
                return {"type": "input_text", "text": f"{title}\n\n{text}" if title else text}
            case Refusal(text=text):
                return {"type": "refusal", "refusal": text}
            case Media() if is_assistant:
                # A message of the assistant's holds words alone.
                self.losses.append(f"assistant.{part.kind}")
            case Media():
                return self._media(part)
            case Foreign(kind=kind):
                self.losses.append(kind)
            case Thinking():
                self.losses.append("thinking")
            case ToolCall() | ToolResult():
                raise AssertionError("calls and results are items of their own")
        return None

    def _media(self, media: Media) -> dict[str, Any]:
        source = media.source
        self.losses += of_document(media)
        if isinstance(source, Stored) and not self._is_own:
            raise inexpressible("A file that another provider stores")
        if media.kind == "image":
            detail = {"detail": media.detail} if media.detail else {}
            return {"type": "input_image", **_named(source, "image_url"), **detail}
        if media.kind == "document":
            title = {"filename": media.title or "document"} if isinstance(source, Inline) else {}
            word = "file_url" if isinstance(source, Address) else "file_data"
            return {"type": "input_file", **_named(source, word), **title}
        raise inexpressible(f"{media.kind.capitalize()} input")

    def _note_cache(self, part: Part) -> None:
        if getattr(part, "cache", None) is not None:
            self.losses.append("cache_control")


def _named(source: Source, word: str) -> dict[str, str]:
    match source:
        case Inline(media_type=media_type, data=data):
            kind = media_type or "application/octet-stream"
            return {word: f"data:{kind};base64,{data}"}
        case Address(url=url):
            return {word: url}
        case Stored(file_id=file_id):
            return {"file_id": file_id}
