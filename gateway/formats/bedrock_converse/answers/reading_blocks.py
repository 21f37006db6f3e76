"""Blocks of an answer as parts in no format.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.conversation.parts import Foreign, Part, Text, Thinking, ToolCall
from gateway.formats.bedrock_converse.vocabulary import NAME, SERVER_TOOL, arguments_of


def parts_of(content: list[Any]) -> tuple[Part, ...]:
    """The parts of a content. Raises AttributeError, KeyError, TypeError for odd blocks."""
    return tuple(part for block in content for part in _parts(block))


def call_of(told: dict[str, Any], arguments: str) -> ToolCall:
    """A call of a tool of the client's, whole or just begun."""
    return ToolCall(id=told.get("toolUseId") or "", name=told["name"], arguments=arguments)


def is_by_provider(told: dict[str, Any]) -> bool:
    """Whether the provider itself answers a call: our clients have no part in it."""
    return told.get("type") == SERVER_TOOL


def redacted(data: str) -> Thinking:
    """Thoughts that nobody may read; `data` in base64."""
    return Thinking(text="", signature=data, signed_by=NAME, is_redacted=True)


def citation_of(told: dict[str, Any]) -> dict[str, Any]:
    """A citation; one of a page with its address where other formats look for it."""
    page = (told.get("location") or {}).get("web") or {}
    if type(page.get("url")) is not str:
        return told
    return {"url": page["url"], "title": told.get("title") or page.get("domain") or ""}


def generated_texts(block: object) -> list[str]:
    """What was generated in a block: text, thoughts, and calls of tools."""
    if type(block) is not dict:
        return []
    texts = [block.get("text")]
    thought, call = block.get("reasoningContent"), block.get("toolUse")
    if type(thought) is dict and type(thought.get("reasoningText")) is dict:
        texts.append(thought["reasoningText"].get("text"))
    if type(call) is dict:
        texts.append(call.get("name"))
        if call.get("input"):
            texts.append(msgspec.json.encode(call["input"]).decode())
    cited = block.get("citationsContent")
    if type(cited) is dict and type(cited.get("content")) is list:
        texts += [each.get("text") for each in cited["content"] if type(each) is dict]
    return [text for text in texts if type(text) is str and text]


def _parts(block: dict[str, Any]) -> Iterator[Part]:
    match block:
        case {"text": str(text)}:
            yield Text(text=text)
        case {"reasoningContent": dict(thought)}:
            yield from _thought(thought)
        case {"toolUse": dict(call)} if not is_by_provider(call):
            yield call_of(call, arguments_of(call.get("input")))
        case {"citationsContent": dict(cited)}:
            citations = tuple(citation_of(each) for each in cited.get("citations") or ())
            text = "".join(each.get("text") or "" for each in cited.get("content") or ())
            yield Text(text=text, citations=citations, citing=NAME if citations else "")
        case dict():
            yield from (Foreign(format=NAME, kind=kind, value=block) for kind in list(block)[:1])
        case _:
            raise TypeError("a block that is no object")


def _thought(told: dict[str, Any]) -> Iterator[Thinking]:
    if "redactedContent" in told:
        yield redacted(told["redactedContent"])
        return
    text = told["reasoningText"]
    signature = text.get("signature") or ""
    yield Thinking(
        text=text.get("text") or "", signature=signature, signed_by=NAME if signature else ""
    )
