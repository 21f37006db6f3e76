"""A Responses request as a conversation in no format. The document was checked by `request.py`."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from gateway.conversation.arguments import as_text
from gateway.conversation.parts import (
    Address,
    Foreign,
    Inline,
    Media,
    Part,
    Refusal,
    Source,
    Stored,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import Conversation, Message, Role
from gateway.conversation.signatures import read_call_id, restored
from gateway.errors import InvalidRequest
from gateway.formats.openai_responses.requests.options import options_of
from gateway.formats.openai_responses.vocabulary import NAME, sealed
from gateway.formats.values import ChatCall

_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})


def conversation_of(call: ChatCall) -> Conversation:
    """What `call` asks for. Raises InvalidRequest for what only its own providers know."""
    if call.continues:
        raise _only_here("An earlier response", "previous_response_id")
    if call.refers_to:
        raise _only_here("An item that is named by its id", "input")
    if call.variant:
        raise _only_here("A compaction", None)
    messages = list(_messages(call.document["input"]))
    instructions = call.document.get("instructions")
    if instructions:
        messages.insert(0, Message(role="system", parts=(Text(text=instructions),)))
    return options_of(call, tuple(messages))


def _only_here(what: str, param: str | None) -> InvalidRequest:
    return InvalidRequest(
        f"{what} cannot be told to the provider of this model.",
        param=param,
        code="not_expressible",
    )


def output_part(item: Mapping[str, Any]) -> list[Part]:
    """The parts of an item that the model made."""
    kind = item.get("type", "message")
    if kind == "message":
        return list(_content(item.get("content")))
    if kind in _CALLS:
        call_id, signature = read_call_id(item.get("call_id") or item.get("id") or "")
        return [
            ToolCall(
                id=call_id,
                name=item.get("name") or "",
                arguments=as_text(item.get(_CALLS[kind])),
                is_custom=kind == "custom_tool_call",
                namespace=item.get("namespace") or "",
                signature=signature,
            )
        ]
    if kind == "reasoning":
        return [_thinking(item)]
    return [Foreign(format=NAME, kind=kind, value=dict(item))]


def _messages(given: str | list[dict[str, Any]]) -> Iterator[Message]:
    """Items in order; those of one turn make one message, as do the results that follow it."""
    if type(given) is str:
        yield Message(role="user", parts=(Text(text=given),))
        return
    role: Role | None = None
    parts: list[Part] = []
    for item in cast("list[dict[str, Any]]", given):
        item_role, item_parts = _item(item)
        if role is not None and (item_role != role or not _continues(item, role)):
            yield Message(role=role, parts=tuple(parts))
            parts = []
        role = item_role
        parts += item_parts
    if role is not None:
        yield Message(role=role, parts=tuple(parts))


def _continues(item: Mapping[str, Any], role: Role) -> bool:
    """Whether an item belongs to the message before it, of the same role."""
    return role == "assistant" or item.get("type") in _RESULTS


def _item(item: dict[str, Any]) -> tuple[Role, list[Part]]:
    kind = item.get("type", "message")
    if kind in _RESULTS:
        return "user", [
            ToolResult(
                call_id=read_call_id(item.get("call_id") or "")[0],
                content=tuple(_result(part) for part in _content(item.get("output"))),
                is_custom=kind == "custom_tool_call_output",
            )
        ]
    if kind == "message":
        role = item["role"]
        known = role if role in ("system", "developer", "assistant") else "user"
        return cast("Role", known), list(_content(item["content"]))
    return "assistant", output_part(item)


def _thinking(item: Mapping[str, Any]) -> Thinking:
    told = [*(item.get("summary") or ()), *(item.get("content") or ())]
    texts = [part["text"] for part in told if type(part) is dict and part.get("text")]
    encrypted, signer = restored(item.get("encrypted_content") or "", NAME)
    signature = sealed(item.get("id") or "", encrypted) if signer == NAME else encrypted
    return Thinking(
        text="\n\n".join(texts),
        signature=signature,
        signed_by=signer,
        is_redacted=not texts and bool(signature),
    )


def _content(content: object) -> Iterator[Part]:
    if type(content) is str:
        if content:
            yield Text(text=content)
    elif type(content) is list:
        for part in content:
            if type(part) is dict:
                yield _part(part)


def _part(part: dict[str, Any]) -> Part:
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            annotations = tuple(part.get("annotations") or ())
            return Text(
                text=part.get("text") or "",
                citations=annotations,
                citing=NAME if annotations else "",
            )
        case "refusal":
            return Refusal(text=part.get("refusal") or "")
        case "input_image":
            source = _source(part.get("image_url"), part.get("file_id"))
            return Media(kind="image", source=source, detail=part.get("detail") or "")
        case "input_file":
            source = _source(part.get("file_data") or part.get("file_url"), part.get("file_id"))
            return Media(kind="document", source=source, title=part.get("filename") or "")
        case "input_audio" if type(part.get("input_audio")) is dict:
            audio = part["input_audio"]
            media_type = f"audio/{'mpeg' if audio.get('format') == 'mp3' else audio.get('format')}"
            source = Inline(media_type=media_type, data=audio.get("data") or "")
            return Media(kind="audio", source=source)
        case kind:
            return Foreign(format=NAME, kind=str(kind), value=part)


def _source(url: object, file_id: object) -> Source:
    if type(url) is not str or not url:
        return Stored(file_id=str(file_id or ""))
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:"):
        return Inline(media_type=head.removeprefix("data:").partition(";")[0], data=data)
    if "://" in url[:16]:
        return Address(url=url)
    return Inline(media_type="", data=url)


def _result(part: Part) -> Any:  # noqa: ANN401 - what a tool's result may hold
    return part if isinstance(part, Text | Media) else Text(text=str(getattr(part, "text", "")))
