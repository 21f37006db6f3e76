"""A generateContent request as a conversation in no format; it was checked by `request.py`."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.conversation.arguments import as_text
from gateway.conversation.parts import (
    Address,
    Foreign,
    Inline,
    Media,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import Conversation, Message
from gateway.formats.gemini.carried_thoughts import placed, restored
from gateway.formats.gemini.requests.contents import contents_of, parts_of, system_of
from gateway.formats.gemini.requests.options import options_of
from gateway.formats.gemini.vocabulary import NAME, kind_of_media, member
from gateway.formats.values import ChatCall

_PLAIN_BASE64 = str.maketrans("-_", "+/")
"""Google's SDK writes bytes in the alphabet for addresses, which only Google reads."""
_ANSWERED_TEXT = ("output", "result", "error")


def conversation_of(call: ChatCall) -> Conversation:
    """What `call` asks for. Calls without an id are answered in their order, by name."""
    ids = _CallIds()
    messages = []
    system = tuple(part for told in system_of(call.document) for part in read_part(told, ids))
    if system:
        messages.append(Message(role="system", parts=system))
    for content in contents_of(call.document):
        is_model = content.get("role") == "model"
        parts = tuple(_parts_of_turn(content, ids))
        messages.append(Message(role="assistant" if is_model else "user", parts=parts))
    return options_of(call, tuple(messages))


def _parts_of_turn(content: Mapping[str, Any], ids: "_CallIds") -> list[Part]:
    """The parts of a content, with the thoughts that stand in the signatures of its calls."""
    parts: list[Part] = []
    for told in parts_of(content):
        thoughts = restored(member(told, "thoughtSignature"))
        if thoughts:
            parts = placed(parts, thoughts)
            told = {name: value for name, value in told.items() if "ignature" not in name}
        parts += read_part(told, ids)
    return parts


class _CallIds:
    """Ids for calls that have none, and which call a result without an id answers."""

    def __init__(self) -> None:
        self._made = 0
        self._waiting: dict[str, list[str]] = {}

    def of_call(self, name: str, told: str) -> str:
        if not told:
            self._made += 1
        call_id = told or f"call_{self._made}"
        self._waiting.setdefault(name, []).append(call_id)
        return call_id

    def of_result(self, name: str, told: str) -> str:
        waiting = self._waiting.get(name) or []
        if told in waiting:
            waiting.remove(told)
        return told or (waiting.pop(0) if waiting else f"call_{name}")


def read_part(part: Mapping[str, Any], ids: _CallIds | None = None) -> list[Part]:
    """The parts that one part of a content is; a signature may stand beside anything."""
    ids = ids or _CallIds()
    signature = member(part, "thoughtSignature") or ""
    call, result = member(part, "functionCall"), member(part, "functionResponse")
    if type(call) is dict:
        name = str(call.get("name") or "")
        return [
            ToolCall(
                id=ids.of_call(name, str(call.get("id") or "")),
                name=name,
                arguments=as_text(call.get("args") or {}),
                signature=signature,
            )
        ]
    if type(result) is dict:
        return [_result(result, ids)]
    if type(part.get("text")) is str:
        return _words(part["text"], bool(part.get("thought")), signature)
    media = _media(part)
    if media is not None:
        return [media]
    if signature and not set(part) - {"thoughtSignature", "thought_signature", "thought"}:
        return [_sealed(signature)]
    kind = next((name for name in part if "ignature" not in name), "part")
    return [Foreign(format=NAME, kind=kind, value=dict(part))]


def _words(text: str, is_thought: bool, signature: str) -> list[Part]:
    signer = NAME if signature else ""
    if is_thought:
        return [Thinking(text=text, signature=signature, signed_by=signer)]
    words: list[Part] = [Text(text=text)] if text else []
    return [_sealed(signature), *words] if signature else words


def _sealed(signature: str) -> Thinking:
    """A signature beside words: what was thought before them, unseen."""
    return Thinking(text="", signature=signature, signed_by=NAME, is_redacted=True)


def _result(result: Mapping[str, Any], ids: _CallIds) -> ToolResult:
    name = str(result.get("name") or "")
    response = result.get("response")
    content: list[Any] = []
    is_error = False
    if type(response) is dict and len(response) == 1:
        (word,) = response
        is_error = word == "error"
        if word in _ANSWERED_TEXT and type(response[word]) is str:
            content.append(Text(text=response[word]))
    if not content and response is not None:
        content.append(Text(text=_json(response)))
    content += [media for part in result.get("parts") or () if (media := _media(part)) is not None]
    return ToolResult(
        call_id=ids.of_result(name, str(result.get("id") or "")),
        name=name,
        content=tuple(content),
        is_error=is_error,
    )


def _media(part: Mapping[str, Any]) -> Media | None:
    inline, file = member(part, "inlineData"), member(part, "fileData")
    if type(inline) is dict:
        media_type = str(member(inline, "mimeType") or "")
        data = str(inline.get("data") or "").translate(_PLAIN_BASE64)
        source: Inline | Address = Inline(media_type=media_type, data=data)
        title = str(member(inline, "displayName") or "")
    elif type(file) is dict:
        media_type = str(member(file, "mimeType") or "")
        source = Address(url=str(member(file, "fileUri") or ""), media_type=media_type)
        title = str(member(file, "displayName") or "")
    else:
        return None
    return Media(kind=_kind(media_type), source=source, title=title)


def _kind(media_type: str) -> Any:  # noqa: ANN401 - one of the literal kinds
    return kind_of_media(media_type)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


class _GivenIds(_CallIds):
    """An answer's: what has no id gets one elsewhere."""

    def of_call(self, name: str, told: str) -> str:  # noqa: ARG002 - as its base
        return told


def parts_in(content: object) -> Iterator[Part]:
    """The parts of a candidate's content."""
    ids = _GivenIds()
    for told in parts_of(content):
        yield from read_part(told, ids)
