"""What of a Responses request is input, erring upwards: a hold must cover it first.

Texts are counted by the caller; what has no text is bounded here, as for chat completions.
"""

from typing import Any

import msgspec

from gateway.formats.openai_responses.tools import tool_calls_of
from gateway.formats.shared.prompt_parts import PromptParts
from gateway.formats.values import ChatCall, Prompt
from gateway.media.image_sizes import size_of_data_url

ITEM_TOKENS = 8
REQUEST_TOKENS = 16
TOOL_TOKENS = 16
TOOLS_PRESENT_TOKENS = 128
HOSTED_TOOL_TOKENS = 4_000
"""A practical bound: what a provider's own tools add, results of one search among it."""
# https://platform.openai.com/docs/guides/images-vision (calculating costs)
IMAGE_TOKENS = 25_000
FILE_BYTES_PER_TOKEN = 2
FILE_LEAST_TOKENS = 4_000
UNSEEN_MEDIA_TOKENS = 50_000
"""A practical bound for what is named by id or address only."""
SEALED_BYTES_PER_TOKEN = 4
"""Thoughts come back sealed, in base64; the seal takes more bytes than the thought."""

_OWN_TOOLS = frozenset({"function", "custom"})


def prompt(call: ChatCall) -> Prompt:
    """Texts and fixed tokens of `call`.

    What a call goes on from is read again, and billed again: all that went into it and came out
    of it, as its own usage told. The provider may leave some of it out (thoughts), and adds
    nothing; where another model's tokenizer makes more of it, the settlement extends the hold.
    """
    document = call.document
    found = PromptParts(call.model)
    fixed_tokens = REQUEST_TOKENS + call.earlier_tokens
    if type(document.get("instructions")) is str:
        found.texts.append(document["instructions"])
        fixed_tokens += ITEM_TOKENS
    given = document.get("input") or ()  # a compaction of what is kept may have none
    if type(given) is str:
        found.texts.append(given)
    else:
        fixed_tokens += sum(_read_item(item, found) for item in given)
    tools = document.get("tools") or ()
    if tools:
        found.texts.append(_json(tools))
        hosted = sum(1 for tool in tools if tool["type"] not in _OWN_TOOLS)
        fixed_tokens += TOOLS_PRESENT_TOKENS + TOOL_TOKENS * len(tools)
        fixed_tokens += HOSTED_TOOL_TOKENS * hosted
    if document.get("text"):
        found.texts.append(_json(document["text"]))
    return found.prompt(fixed_tokens, tool_calls_of(document))


def _read_item(item: dict[str, Any], found: PromptParts) -> int:
    """Append the item's texts to `found`; answer its tokens besides them."""
    match item.get("type", "message"):
        case "message":
            return ITEM_TOKENS + _read_content(item["content"], found)
        case "function_call_output" | "custom_tool_call_output":
            return ITEM_TOKENS + _read_content(item.get("output"), found)
        case "reasoning":
            sealed = item.get("encrypted_content") or ""
            found.texts.append(_json(item.get("summary") or []))
            return ITEM_TOKENS + len(str(sealed)) // SEALED_BYTES_PER_TOKEN
        case "item_reference":
            return ITEM_TOKENS  # what it stands for is in the call's `earlier_tokens`
        case _:
            found.texts.append(_json(item))
            return ITEM_TOKENS


def _read_content(content: object, found: PromptParts) -> int:
    if type(content) is str:
        found.texts.append(content)
        return 0
    if type(content) is not list:
        return 0
    return sum(_read_part(part, found) for part in content if type(part) is dict)


def _read_part(part: dict[str, Any], found: PromptParts) -> int:
    match part.get("type"):
        case "input_text" | "output_text" if type(part.get("text")) is str:
            found.texts.append(part["text"])
            return 0
        case "input_image":
            url = str(part.get("image_url") or "")
            return found.image(size_of_data_url(url), IMAGE_TOKENS, str(part.get("detail") or ""))
        case "input_file":
            data = part.get("file_data")
            if type(data) is not str:
                return found.file(UNSEEN_MEDIA_TOKENS)
            size_bytes = len(data) * 3 // 4
            return found.file(max(size_bytes // FILE_BYTES_PER_TOKEN, FILE_LEAST_TOKENS))
        case _:
            found.texts.append(_json(part))
            return 0


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
