"""What of a chat request is input, erring upwards: a hold must cover it before anything is sent.

Texts are counted by the caller. What has no text is bounded here; where a provider documents how it
counts, the bound is the most that way can give, else a practical one that is named as such.
"""

from typing import Any

import msgspec

from gateway.formats.contract import ChatCall, Prompt
from gateway.formats.openai_chat.tools import tool_calls_of

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
    texts: list[str] = []
    fixed_tokens = REQUEST_TOKENS
    for message in document["messages"]:
        fixed_tokens += _read_message(message, call.model, texts)
    texts += [_json(document[name]) for name in _JSON_FIELDS if document.get(name)]
    tools = len(document.get("tools") or ()) + len(document.get("functions") or ())
    if tools:
        fixed_tokens += TOOLS_PRESENT_TOKENS + TOOL_TOKENS * tools
    return Prompt(tuple(texts), fixed_tokens, tool_calls_of(document, call.model))


def _read_message(message: dict[str, Any], model: str, texts: list[str]) -> int:
    """Append the message's texts to `texts`; answer its tokens besides them."""
    fixed_tokens = MESSAGE_TOKENS
    content = message.get("content")
    if type(content) is str:
        texts.append(content)
    for part in content if type(content) is list else ():
        fixed_tokens += _read_part(part, model, texts)
    texts += [message[name] for name in _TEXT_FIELDS if type(message.get(name)) is str]
    if message.get("name"):
        texts.append(message["name"])
        fixed_tokens += NAME_TOKENS
    if message.get("tool_calls"):
        texts.append(_json(message["tool_calls"]))
    if message.get("function_call"):
        texts.append(_json(message["function_call"]))
    return fixed_tokens


def _read_part(part: dict[str, Any], model: str, texts: list[str]) -> int:
    kind = part["type"]
    if kind in ("text", "refusal"):
        texts.append(part[kind])
        return 0
    if kind == "image_url":
        return _image_tokens(part["image_url"], model)
    if kind == "input_audio":
        return _audio_tokens(part["input_audio"])
    if kind == "file":
        return _file_tokens(part["file"])
    if kind == "video_url":
        return UNSEEN_MEDIA_TOKENS
    texts.append(_json(part))
    return 0


def _image_tokens(image: object, model: str) -> int:
    detail = image.get("detail") if type(image) is dict else None
    mini = "gpt-4o-mini" in model
    if detail == "low":
        return MINI_IMAGE_LOW_TOKENS if mini else IMAGE_LOW_TOKENS
    if mini:
        return MINI_IMAGE_TOKENS
    return IMAGE_ORIGINAL_TOKENS if detail == "original" else IMAGE_TOKENS


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
