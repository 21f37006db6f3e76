"""Words of the format that reading and writing share.

Source: https://docs.anthropic.com/en/api/messages
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.conversation.arguments import as_object, as_text
from gateway.conversation.ends import Ends
from gateway.conversation.parts import CacheMark
from gateway.conversation.turn import StopReason

NAME = "anthropic_messages"

ENDS = Ends(
    known={
        "end_turn": "stop",
        "stop_sequence": "stop_sequence",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "pause_turn": "pause",
        "compaction": "pause",
        "refusal": "refusal",
        # What gateways let through of OpenAI's
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "content_filter": "content_filter",
    },
    failed=frozenset({"error"}),
)
"""https://docs.anthropic.com/en/api/handling-stop-reasons"""
REASON_OF_STOP: dict[StopReason, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
}

RAW = "_raw"
"""Where the arguments of a call stand that are no JSON object: this format knows nothing else, and
a conversation must not break because a model once wrote half an object."""
CUSTOM = "input"
"""Where the plain text for a custom tool stands: here every tool takes an object."""


def input_of(arguments: str, is_custom: bool) -> dict[str, Any]:
    """The arguments of a call as the object that this format wants."""
    if is_custom:
        return {CUSTOM: arguments}
    told = as_object(arguments)
    return {RAW: arguments} if told is None else told


def arguments_of(told: object) -> str:
    """The other way round: the object of a call as JSON text."""
    if type(told) is dict and told.keys() == {RAW} and type(told[RAW]) is str:
        return str(told[RAW])
    return as_text(told or {})


def cache_mark(holder: dict[str, Any]) -> CacheMark | None:
    """The mark on a block or a tool."""
    told = holder.get("cache_control")
    return CacheMark(ttl=told.get("ttl") or "5m") if type(told) is dict else None


def cache_control(mark: CacheMark | None) -> dict[str, Any]:
    """The member that says `mark`; none for none."""
    if mark is None:
        return {}
    lifetime = {} if mark.ttl == "5m" else {"ttl": mark.ttl}
    return {"cache_control": {"type": "ephemeral"} | lifetime}


def written_event(name: str, told: Mapping[str, Any]) -> bytes:
    """One event of a stream."""
    data = msgspec.json.encode({"type": name, **told})
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
