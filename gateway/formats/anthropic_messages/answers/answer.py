"""A whole message as a provider answers it."""

from typing import Any

import msgspec

from gateway.formats.anthropic_messages.answers.usage import read_usage
from gateway.formats.anthropic_messages.errors import failure_in_answer
from gateway.formats.anthropic_messages.tools import ToolCount
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.values import Answer
from gateway.http.lenient_json import read_object


def read_answer(body: bytes) -> Answer:
    """The answer that `body` is. Raises UnreadableAnswer for what is none."""
    document = read_object(body)
    content = document.get("content")
    is_error = document.get("type") == "error" or type(content) is not list
    error = (document.get("error") or None) if is_error else None
    if error is None and type(content) is not list:
        raise UnreadableAnswer("the answer has no content")
    told_usage = document.get("usage")
    usage, anomaly = read_usage(told_usage)
    blocks = content if type(content) is list else []
    calls = ToolCount()
    for block in blocks:
        calls.add(block)
    return Answer(
        usage=usage,
        anomaly=anomaly,
        error=None if error is None else failure_in_answer(error),
        output_texts=tuple(text for block in blocks for text in generated_texts(block)),
        service=service_in(told_usage),
        tools=calls.tools(told_usage),
    )


def service_in(told_usage: object) -> str | None:
    """The service that answered: here it is told with the usage."""
    return service_of(told_usage.get("service_tier")) if type(told_usage) is dict else None


def generated_texts(block: Any) -> list[str]:  # noqa: ANN401 - decoded JSON
    """What was generated in a content block: text, thinking, and calls of tools."""
    if type(block) is not dict:
        return []
    texts = [block[name] for name in ("text", "thinking", "name") if type(block.get(name)) is str]
    if block.get("input"):
        texts.append(msgspec.json.encode(block["input"]).decode())
    return [text for text in texts if text]
