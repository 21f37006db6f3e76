"""The generated text in a message or a delta, whatever shape a provider gives it.

Reads decoded JSON and trusts nothing about it; the stream's typed fast path gives way to this.
"""

from typing import Any

from gateway.conversation.arguments import as_text


def generated_texts(message: object) -> list[str]:
    """Texts that were generated: content, reasoning, refusal, tool names and arguments."""
    if type(message) is not dict:
        return []
    texts = _content(message.get("content"))
    # Several providers repeat one field under the other name.
    texts += _strings(message, "reasoning_content") or _strings(message, "reasoning")
    texts += _strings(message, "refusal")
    audio = message.get("audio")
    if type(audio) is dict:
        texts += _strings(audio, "transcript")
    for call in _list(message.get("tool_calls")):
        if type(call) is dict:
            texts += _called(call.get("function")) + _called(call.get("custom"))
    return texts + _called(message.get("function_call"))


def _content(content: object) -> list[str]:
    """A string, or parts of text and thinking (Mistral nests the latter once more)."""
    if type(content) is str:
        return [content] if content else []
    texts: list[str] = []
    for part in _list(content):
        if type(part) is dict:
            texts += _strings(part, "text")
            thinking = part.get("thinking")
            for nested in [part] if type(thinking) is str else _list(thinking):
                if type(nested) is dict:
                    texts += _strings(nested, "thinking") or _strings(nested, "text")
    return texts


def _called(function: object) -> list[str]:
    if type(function) is not dict:
        return []
    told = (as_text(function.get(name)) for name in ("name", "arguments", "input"))
    return [text for text in told if text]


def _strings(holder: dict[str, Any], name: str) -> list[str]:
    value = holder.get(name)
    return [value] if type(value) is str and value else []


def _list(value: object) -> list[Any]:
    return value if type(value) is list else []
