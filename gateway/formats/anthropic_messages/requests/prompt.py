"""What of a Messages request is input, erring upwards: a hold must cover it first.

Texts are counted by the caller. What has no text is bounded here; where Anthropic documents how it
counts, the bound is the most that way can give, else a practical one that is named as such.
"""

from typing import Any

import msgspec

from gateway.formats.anthropic_messages.tools import tool_calls_of
from gateway.formats.shared.prompt_parts import PromptParts
from gateway.formats.values import ChatCall, Prompt
from gateway.media.image_sizes import Size, size_of_base64

MESSAGE_TOKENS = 8
REQUEST_TOKENS = 32
# https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview (pricing): at most 804
# tokens of instructions once a tool is there, and up to 735 for one of Anthropic's own.
TOOLS_PRESENT_TOKENS = 804
TOOL_TOKENS = 16
OWN_TOOL_TOKENS = 1_000
# https://docs.anthropic.com/en/docs/build-with-claude/vision: width x height / 750, at most 1,568
# tokens; 4,784 for models of high resolution.
IMAGE_TOKENS = 5_000
FILE_BYTES_PER_TOKEN = 2
"""A practical bound: a PDF of dense compressed text comes near it."""
FILE_LEAST_TOKENS = 4_000
UNSEEN_MEDIA_TOKENS = 50_000
"""A practical bound for what is named by id or address only."""

_TEXT_FIELDS = ("text", "thinking", "title", "context", "data")


def prompt(call: ChatCall) -> Prompt:
    """Texts and fixed tokens of `call`."""
    document = call.document
    found = PromptParts(call.model)
    fixed_tokens = REQUEST_TOKENS + _read(document.get("system"), found)
    for message in document["messages"]:
        fixed_tokens += MESSAGE_TOKENS + _read(message["content"], found)
    tools = document.get("tools") or ()
    if tools:
        found.texts.append(_json(tools))
        own = sum(1 for tool in tools if tool.get("type") not in (None, "custom"))
        fixed_tokens += TOOLS_PRESENT_TOKENS + TOOL_TOKENS * len(tools) + OWN_TOOL_TOKENS * own
    if document.get("output_config"):
        found.texts.append(_json(document["output_config"]))
    return found.prompt(fixed_tokens, tool_calls_of(document))


def _read(content: object, found: PromptParts) -> int:
    """Append the content's texts to `found`; answer its tokens besides them."""
    if type(content) is str:
        found.texts.append(content)
    return sum(_read_block(block, found) for block in content) if type(content) is list else 0


def _read_block(block: dict[str, Any], found: PromptParts) -> int:
    match block["type"]:
        case "image":
            return found.image(_size(block.get("source")), IMAGE_TOKENS)
        case "document":
            return _read_document(block, found)
        case "tool_result":
            return MESSAGE_TOKENS + _read(block.get("content"), found)
        case "text" | "thinking" | "redacted_thinking":
            found.texts += [block[name] for name in _TEXT_FIELDS if type(block.get(name)) is str]
            return 0
        case _:
            found.texts.append(_json(block))
            return MESSAGE_TOKENS


def _read_document(block: dict[str, Any], found: PromptParts) -> int:
    found.texts += [block[name] for name in ("title", "context") if type(block.get(name)) is str]
    source = block.get("source")
    told = source if type(source) is dict else {}
    data = told.get("data")
    if told.get("type") == "text" and type(data) is str:
        found.texts.append(data)
        return 0
    if type(data) is str:
        size_bytes = len(data) * 3 // 4
        return found.file(max(size_bytes // FILE_BYTES_PER_TOKEN, FILE_LEAST_TOKENS))
    if told.get("type") == "content":
        content = told.get("content")
        if _is_blocks(content):
            return _read(content, found)
    return found.file(UNSEEN_MEDIA_TOKENS)


def _size(source: object) -> Size | None:
    data = source.get("data") if type(source) is dict else None
    return size_of_base64(data) if type(data) is str else None


def _is_blocks(content: object) -> bool:
    if type(content) is str:
        return True
    return type(content) is list and all(
        type(block) is dict and type(block.get("type")) is str for block in content
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
