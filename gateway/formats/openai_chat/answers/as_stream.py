"""A whole answer as the stream the client asked for, where a provider cannot or will not stream."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.formats.openai_chat.answers.stream import END_MARKER
from gateway.formats.shared.usage_places import usage_in
from gateway.formats.values import ChatCall
from gateway.http.lenient_json import read_object

_KEPT = ("id", "created", "model", "service_tier", "system_fingerprint")


def as_stream(call: ChatCall, body: bytes) -> bytes:
    """One chunk per choice with everything in its message, its finish reason, usage, the end."""
    document = read_object(body)
    kept = {name: document[name] for name in _KEPT if name in document}
    frame = {**kept, "object": "chat.completion.chunk"}
    events = [
        _event({**frame, "choices": [chunk]})
        for choice in document.get("choices") or ()
        for chunk in _chunks(choice)
    ]
    told_usage = usage_in(document)
    if call.wants_usage and told_usage is not None:
        events.append(_event({**frame, "choices": [], "usage": told_usage}))
    return b"".join(events) + END_MARKER


def _chunks(choice: Mapping[str, Any]) -> list[dict[str, Any]]:
    index = choice.get("index", 0)
    delta = dict(choice.get("message") or {})
    if delta.get("tool_calls"):
        # In a stream each tool call says which one it is.
        delta["tool_calls"] = [
            {"index": number, **tool_call} for number, tool_call in enumerate(delta["tool_calls"])
        ]
    content = {"index": index, "delta": delta, "finish_reason": None}
    if choice.get("logprobs") is not None:
        content["logprobs"] = choice["logprobs"]
    return [
        content,
        {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason", "stop")},
    ]


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
