"""A whole completion as the stream the client asked for, where a provider did not stream."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.formats.openai_completions.stream import END_MARKER
from gateway.formats.values import ChatCall
from gateway.http.lenient_json import read_object

_KEPT = ("id", "object", "created", "model", "service_tier", "system_fingerprint")


def as_stream(call: ChatCall, body: bytes) -> bytes:
    """One chunk per choice with everything it says, usage, the end."""
    document = read_object(body)
    frame = {name: document[name] for name in _KEPT if name in document}
    events = [
        _event({**frame, "choices": [{"finish_reason": "stop", **choice}]})
        for choice in document.get("choices") or ()
    ]
    if call.wants_usage and document.get("usage") is not None:
        events.append(_event({**frame, "choices": [], "usage": document["usage"]}))
    return b"".join(events) + END_MARKER


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
