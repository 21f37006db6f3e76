"""Words of the format that reading and writing share.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

import hashlib
import re
from typing import Any

import msgspec

from gateway.conversation.turn import StopReason

NAME = "bedrock_converse"

# What the model or its tools wrote wrongly (`malformed_model_output`, `malformed_tool_use`) ends a
# turn like any other end.
STOP_OF_REASON: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}

SERVER_TOOL = "server_tool_use"
"""The `type` of a call that the provider makes and answers by itself."""

RAW = "_raw"
"""Where the arguments of a call stand that are no JSON object: this format knows nothing else, and
a conversation must not break because a model once wrote half an object."""
CUSTOM = "input"
"""Where the plain text for a custom tool stands: here every tool takes an object."""

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_.:-]")
_ID_MAX_CHARACTERS = 64


def input_of(arguments: str, is_custom: bool) -> dict[str, Any]:
    """The arguments of a call as the object that this format wants."""
    if is_custom:
        return {CUSTOM: arguments}
    if not arguments.strip():
        return {}
    try:
        told = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        told = None
    return told if type(told) is dict else {RAW: arguments}


def arguments_of(told: object) -> str:
    """The other way round: the object of a call as JSON text."""
    if type(told) is dict and told.keys() == {RAW} and type(told[RAW]) is str:
        return str(told[RAW])
    return msgspec.json.encode({} if told is None else told).decode()


def provider_call_id(call_id: str) -> str:
    """A call's id as a provider takes it: the same for the call and its result."""
    if call_id and len(call_id) <= _ID_MAX_CHARACTERS and not _NOT_IN_IDS.search(call_id):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_NOT_IN_IDS.sub('_', call_id)[:24]}_{digest[:16]}".lstrip("_")


def stop_of(reason: object, has_calls: bool) -> StopReason:
    """Why the model stopped; where that is not said, its calls of tools say it."""
    if type(reason) is str and reason in STOP_OF_REASON:
        return STOP_OF_REASON[reason]
    return "tool_calls" if has_calls else "stop"
