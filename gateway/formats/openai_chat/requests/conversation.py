"""A chat request as a conversation in no format. The document was checked by `request.py`."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from gateway.conversation.arguments import as_text
from gateway.conversation.parts import (
    Address,
    CacheMark,
    Foreign,
    Inline,
    Media,
    Part,
    Refusal,
    Stored,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import Conversation, Message, Role
from gateway.formats.openai_chat.requests.options import options_of
from gateway.formats.openai_chat.vocabulary import MEDIA_TYPE_OF_AUDIO, NAME, SIGNER_OF_FORMAT
from gateway.formats.values import ChatCall


def conversation_of(call: ChatCall) -> Conversation:
    """What `call` asks for."""
    return options_of(call, tuple(messages_of(call.document["messages"])))


def messages_of(messages: list[dict[str, Any]]) -> Iterator[Message]:
    """The messages in order; answers of tools become parts of a user's message."""
    legacy_calls = 0
    for message in messages:
        role = message["role"]
        name = message.get("name") or ""
        if role == "assistant":
            if (message.get("function_call") or {}).get("name"):
                legacy_calls += 1
            yield Message(
                role="assistant", parts=tuple(assistant_parts(message, legacy_calls)), name=name
            )
        elif role in ("tool", "function"):
            call_id = message.get("tool_call_id") or _legacy_id(legacy_calls)
            content = tuple(_result(part) for part in _content(message.get("content")))
            result = ToolResult(call_id=call_id, name=name, content=content)
            yield Message(role="user", parts=(result,))
        else:
            parts = tuple(_content(message.get("content")))
            yield Message(role=cast("Role", role), parts=parts, name=name)


def assistant_parts(message: Mapping[str, Any], legacy_calls: int | None) -> Iterator[Part]:
    """What an assistant's message holds, in the order in which it is made. A call without an id
    gets one by its place, or `legacy_calls`; None: an answer's, which gets one elsewhere.
    """
    yield from thoughts(message)
    yield from _content(message.get("content"))
    yield from images_among(message.get("images"))
    if message.get("refusal"):
        yield Refusal(text=message["refusal"])
    for position, call in enumerate(message.get("tool_calls") or ()):
        yield tool_call(call, "" if legacy_calls is None else f"call_{position}")
    function = message.get("function_call")
    if function and function.get("name"):
        yield ToolCall(
            id="" if legacy_calls is None else _legacy_id(legacy_calls),
            name=function.get("name") or "",
            arguments=as_text(function.get("arguments")),
        )
    if (message.get("audio") or {}).get("id"):
        yield Foreign(format=NAME, kind="audio", value=message["audio"])


def thoughts(message: Mapping[str, Any]) -> Iterator[Thinking]:
    """The thoughts of a message or a delta, with signatures where the details carry them."""
    details = [each for each in message.get("reasoning_details") or () if type(each) is dict]
    yield from (each for detail in details for each in _thought(detail))
    if not details:
        text = message.get("reasoning_content") or message.get("reasoning")
        if type(text) is str and text:
            yield Thinking(text=text)


def tool_call(call: Mapping[str, Any], made_up_id: str = "") -> ToolCall:
    """A call of a function or of a custom tool; what is no text in it is told as JSON."""
    custom = call.get("custom")
    function = custom or call.get("function") or {}
    extra = (call.get("extra_content") or {}).get("google") or {}
    return ToolCall(
        id=call.get("id") or made_up_id,
        name=function.get("name") or "",
        arguments=as_text(function.get("input") if custom else function.get("arguments")),
        is_custom=custom is not None,
        signature=extra.get("thought_signature") or "",
    )


def cache_mark(holder: Mapping[str, Any]) -> CacheMark | None:
    """OpenRouter's and LiteLLM's way to mark what shall be cached."""
    told = holder.get("cache_control")
    return CacheMark(ttl=told.get("ttl") or "5m") if type(told) is dict else None


def _thought(detail: Mapping[str, Any]) -> Iterator[Thinking]:
    signer = SIGNER_OF_FORMAT.get(detail.get("format") or "", "")
    match detail.get("type"):
        case "reasoning.encrypted":
            yield Thinking(
                text="", signature=detail.get("data") or "", signed_by=signer, is_redacted=True
            )
        case "reasoning.text" | "reasoning.summary":
            signature = detail.get("signature") or ""
            yield Thinking(
                text=detail.get("text") or detail.get("summary") or "",
                signature=signature,
                signed_by=signer if signature else "",
            )
        case _:
            pass


def _content(content: object) -> Iterator[Part]:
    if type(content) is str:
        if content:
            yield Text(text=content)
    elif type(content) is list:
        for part in content:
            yield _part(part)


def _part(part: dict[str, Any]) -> Part:
    cache = cache_mark(part)
    match part["type"]:
        case "text":
            return Text(text=part["text"], cache=cache)
        case "refusal":
            return Refusal(text=part["refusal"])
        case "image_url" | "video_url" as kind:
            told = part[kind]
            url, detail = (told, "") if type(told) is str else (told["url"], told.get("detail"))
            return Media(
                kind="image" if kind == "image_url" else "video",
                source=source_of(url),
                detail=detail or "",
                cache=cache,
            )
        case "input_audio":
            audio = part["input_audio"]
            media_type = MEDIA_TYPE_OF_AUDIO.get(audio.get("format") or "", "")
            return Media(kind="audio", source=Inline(media_type=media_type, data=audio["data"]))
        case "file":
            return _file(part["file"], cache)
        case kind:
            return Foreign(format=NAME, kind=kind, value=part)


def _file(file: Mapping[str, Any], cache: CacheMark | None) -> Media:
    data, file_id = file.get("file_data"), file.get("file_id")
    source = source_of(data) if data else Stored(file_id=file_id or "")
    return Media(
        kind="document",
        source=source,
        title=file.get("filename") or "",
        cache=cache,
    )


def source_of(url: str) -> Inline | Address:
    """A data URL (RFC 2397) is the bytes themselves; bare base64, as some clients send it, too."""
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:"):
        media_type = head.removeprefix("data:").partition(";")[0]
        return Inline(media_type=media_type, data=data)
    if "://" in url[:16]:
        return Address(url=url)
    return Inline(media_type="", data=url)


def images_among(told: object) -> Iterator[Media]:
    """The images of a list that may hold other things."""
    for one in told if type(told) is list else ():
        if type(one) is not dict or one.get("type", "image_url") != "image_url":
            continue
        address = one.get("image_url")
        url = address.get("url") if type(address) is dict else address
        if type(url) is str and url:
            yield Media(kind="image", source=source_of(url))


def _result(part: Part) -> Any:  # noqa: ANN401 - what a tool's result may hold
    return part if isinstance(part, Text | Media) else Text(text=str(getattr(part, "text", "")))


def _legacy_id(number: int) -> str:
    """Function calls of before 2023-11 have no id: they are answered in turn."""
    return f"function_call_{number}"
