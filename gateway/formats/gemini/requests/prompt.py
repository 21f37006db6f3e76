"""What of a generateContent request is input, erring upwards: a hold must cover it first.

Texts are counted by the caller. What has no text is bounded here after
https://ai.google.dev/gemini-api/docs/tokens, else by a practical bound that is named as such.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.formats.gemini.carried_thoughts import restored
from gateway.formats.gemini.requests.contents import contents_of, parts_of, system_of
from gateway.formats.gemini.tools import tool_calls_of
from gateway.formats.gemini.vocabulary import kind_of_media, member
from gateway.formats.shared.prompt_parts import PromptParts
from gateway.formats.values import ChatCall, Prompt
from gateway.media.image_sizes import size_of_base64

CONTENT_TOKENS = 8
REQUEST_TOKENS = 16
TOOL_TOKENS = 16
TOOLS_PRESENT_TOKENS = 256
HOSTED_TOOL_TOKENS = 4_000
"""A practical bound: what results of one search or one page add."""
IMAGE_TOKENS = 7_000
"""258 a tile of 768 x 768; 24 tiles are a practical bound, above any fixed media resolution."""
AUDIO_BYTES_PER_TOKEN = 24
"""32 tokens a second, at least 6 kbit/s of compressed speech."""
VIDEO_BYTES_PER_TOKEN = 40
FILE_BYTES_PER_TOKEN = 2
MEDIA_LEAST_TOKENS = 4_000
UNSEEN_MEDIA_TOKENS = 50_000
"""A practical bound for what is named by address only."""

_HOSTED = ("googleSearch", "googleSearchRetrieval", "urlContext", "codeExecution", "googleMaps")


def prompt(call: ChatCall) -> Prompt:
    """Texts and fixed tokens of `call`."""
    document = call.document
    found = PromptParts(call.model)
    fixed_tokens = REQUEST_TOKENS
    for content in contents_of(document):
        fixed_tokens += CONTENT_TOKENS + sum(_read(part, found) for part in parts_of(content))
    fixed_tokens += sum(_read(part, found) for part in system_of(document))
    tools = document.get("tools") or ()
    if tools:
        found.texts.append(_json(tools))
        hosted = sum(1 for tool in tools for name in _HOSTED if member(tool, name) is not None)
        fixed_tokens += TOOLS_PRESENT_TOKENS + TOOL_TOKENS * len(tools)
        fixed_tokens += HOSTED_TOOL_TOKENS * hosted
    settings = member(document, "generationConfig") or {}
    for name in ("responseSchema", "responseJsonSchema"):
        if member(settings, name):
            found.texts.append(_json(member(settings, name)))
    return found.prompt(fixed_tokens, tool_calls_of(document, call.model))


def _read(part: Mapping[str, Any], found: PromptParts) -> int:
    """Append the part's texts to `found`; answer its tokens besides them."""
    if type(part.get("text")) is str:
        found.texts.append(part["text"])
        return 0
    inline = member(part, "inlineData")
    if type(inline) is dict:
        return _media_tokens(inline, found)
    if member(part, "fileData"):
        return found.file(UNSEEN_MEDIA_TOKENS)
    told = {name: value for name, value in part.items() if "ignature" not in name}
    found.texts.append(_json(told))
    found.texts += [thought.text for thought in restored(member(part, "thoughtSignature"))]
    return CONTENT_TOKENS


def _media_tokens(inline: Mapping[str, Any], found: PromptParts) -> int:
    data = str(inline.get("data") or "")
    size_bytes = len(data) * 3 // 4
    match kind_of_media(str(member(inline, "mimeType") or "")):
        case "image":
            return found.image(size_of_base64(data), IMAGE_TOKENS)
        case "audio":
            return found.audio(size_bytes // AUDIO_BYTES_PER_TOKEN + 1)
        case "video":
            return found.video(max(size_bytes // VIDEO_BYTES_PER_TOKEN, MEDIA_LEAST_TOKENS))
        case _:
            return found.file(max(size_bytes // FILE_BYTES_PER_TOKEN, MEDIA_LEAST_TOKENS))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
