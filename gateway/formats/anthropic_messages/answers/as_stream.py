"""A whole message as the stream the client asked for, where a provider did not stream."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.formats.anthropic_messages.answers.stream import END_MARKER
from gateway.formats.anthropic_messages.vocabulary import written_event
from gateway.http.lenient_json import read_object

_DELTAS = {"text": "text_delta", "thinking": "thinking_delta"}


def as_stream(body: bytes) -> bytes:
    """The events of a message, its end included."""
    return b"".join(_events(read_object(body))) + END_MARKER


def _events(message: Mapping[str, Any]) -> Iterator[bytes]:
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    yield written_event("message_start", {"message": begun})
    for index, block in enumerate(message["content"]):
        start, deltas = _divided(block)
        yield written_event("content_block_start", {"index": index, "content_block": start})
        for delta in deltas:
            yield written_event("content_block_delta", {"index": index, "delta": delta})
        yield written_event("content_block_stop", {"index": index})
    stopped = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    yield written_event("message_delta", {"delta": stopped, "usage": message.get("usage") or {}})


def _divided(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How a block begins, and the deltas that fill it; what has no deltas begins whole."""
    kind = block["type"]
    start = dict(block)
    deltas: list[dict[str, Any]] = []
    if kind in _DELTAS:
        start[kind] = ""
        deltas.append({"type": _DELTAS[kind], kind: block[kind]})
        citations = start.pop("citations", None) or ()
        deltas += [{"type": "citations_delta", "citation": citation} for citation in citations]
        if start.get("signature"):
            deltas.append({"type": "signature_delta", "signature": start.pop("signature")})
            start["signature"] = ""
    elif kind in ("tool_use", "server_tool_use"):
        start["input"] = {}
        arguments = msgspec.json.encode(block["input"]).decode()
        deltas.append({"type": "input_json_delta", "partial_json": arguments})
    return start, deltas
