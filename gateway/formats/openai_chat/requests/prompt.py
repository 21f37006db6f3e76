"""What of a chat request is input, erring upwards: a hold must cover it before anything is sent.

Texts are counted by the caller. What has no text is bounded here; where a provider documents how it
counts, the bound is the most that way can give, else a practical one that is named as such.
"""

from typing import Any

import msgspec

from gateway.formats.openai_chat.tools import tool_calls_of
from gateway.formats.shared.prompt_parts import PromptParts
from gateway.formats.values import ChatCall, Prompt
from gateway.media.image_sizes import Size, size_of_base64, size_of_data_url

# https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken_for_text_completions:
# three tokens a message, one for a name, three to prime the answer.
MESSAGE_TOKENS = 4
NAME_TOKENS = 2
REQUEST_TOKENS = 16
TOOL_TOKENS = 16
TOOLS_PRESENT_TOKENS = 128
"""Instructions some models get once a tool is there: 60 more in recorded gpt-5 calls."""
TOOL_CALL_TOKENS = 12

# https://platform.openai.com/docs/guides/images-vision (calculating costs): at most 8 tiles of 170
# and 85, or 1,536 patches times 2.46; with `original` detail 10,000 patches. Low: one tile's base,
# or 256 patches. gpt-4o-mini counts 5,667 a tile and 2,833 as its base.
IMAGE_TOKENS = 4_000
IMAGE_LOW_TOKENS = 700
IMAGE_ORIGINAL_TOKENS = 25_000
MINI_IMAGE_TOKENS = 48_169
MINI_IMAGE_LOW_TOKENS = 2_833

AUDIO_BYTES_PER_TOKEN = 24
"""At most 32 tokens a second (Gemini; OpenAI has 10), at least 6 kbit/s of compressed speech."""
WAV_BYTES_PER_TOKEN = 240
"""As above, with at least 8,000 samples of one byte a second."""
FILE_BYTES_PER_TOKEN = 2
"""A practical bound: a PDF of dense compressed text comes near it, a scanned one stays far off."""
FILE_LEAST_TOKENS = 4_000
UNSEEN_MEDIA_TOKENS = 50_000
"""A practical bound for what is named by id or address only: a file, a video."""

_JSON_FIELDS = ("tools", "functions", "response_format", "prediction")
_TEXT_FIELDS = ("refusal", "reasoning_content", "reasoning")


def prompt(call: ChatCall) -> Prompt:
    """Texts and fixed tokens of `call`."""
    document = call.document
    found = PromptParts(call.model)
    fixed_tokens = REQUEST_TOKENS
    for message in document["messages"]:
        fixed_tokens += _read_message(message, call.model, found)
    found.texts += [_json(document[name]) for name in _JSON_FIELDS if document.get(name)]
    tools = len(document.get("tools") or ()) + len(document.get("functions") or ())
    if tools:
        fixed_tokens += TOOLS_PRESENT_TOKENS + TOOL_TOKENS * tools
    return found.prompt(fixed_tokens, tool_calls_of(document, call.model))


def _read_message(message: dict[str, Any], model: str, found: PromptParts) -> int:
    """Append the message's texts to `found`; answer its tokens besides them."""
    fixed_tokens = MESSAGE_TOKENS
    content = message.get("content")
    if type(content) is str:
        found.texts.append(content)
    for part in content if type(content) is list else ():
        fixed_tokens += _read_part(part, model, found)
    found.texts += [message[name] for name in _TEXT_FIELDS if type(message.get(name)) is str]
    if message.get("name"):
        found.texts.append(message["name"])
        fixed_tokens += NAME_TOKENS
    if message.get("tool_calls"):
        found.texts.append(_json(message["tool_calls"]))
    if message.get("function_call"):
        found.texts.append(_json(message["function_call"]))
    return fixed_tokens


def _read_part(part: dict[str, Any], model: str, found: PromptParts) -> int:
    kind = part["type"]
    if kind in ("text", "refusal"):
        found.texts.append(part[kind])
        return 0
    if kind == "image_url":
        return _image_tokens(part["image_url"], model, found)
    if kind == "input_audio":
        return found.audio(_audio_tokens(part["input_audio"]))
    if kind == "file":
        return found.file(_file_tokens(part["file"]))
    if kind == "video_url":
        return found.video(UNSEEN_MEDIA_TOKENS)
    found.texts.append(_json(part))
    return 0


def _image_tokens(image: object, model: str, found: PromptParts) -> int:
    told = image if type(image) is dict else {}
    url, detail = told.get("url", image), str(told.get("detail") or "")
    mini = "gpt-4o-mini" in model
    if detail == "low":
        most = MINI_IMAGE_LOW_TOKENS if mini else IMAGE_LOW_TOKENS
    elif mini:
        most = MINI_IMAGE_TOKENS
    else:
        most = IMAGE_ORIGINAL_TOKENS if detail == "original" else IMAGE_TOKENS
    return found.image(_size(url), most, detail)


def _size(url: object) -> Size | None:
    """Of a data URL, or of bare base64 as some clients send it."""
    if type(url) is not str:
        return None
    return size_of_data_url(url) or (None if ":" in url[:16] else size_of_base64(url))


def _audio_tokens(audio: dict[str, Any]) -> int:
    per_token = WAV_BYTES_PER_TOKEN if audio.get("format") == "wav" else AUDIO_BYTES_PER_TOKEN
    return _decoded_bytes(audio["data"]) // per_token + 1


def _file_tokens(file: dict[str, Any]) -> int:
    data = file.get("file_data")
    if not data:
        return UNSEEN_MEDIA_TOKENS
    return max(_decoded_bytes(data) // FILE_BYTES_PER_TOKEN, FILE_LEAST_TOKENS)


def _decoded_bytes(base64_text: str) -> int:
    return len(base64_text) * 3 // 4


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
