"""Words of the format that reading and writing share.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

import hashlib
import re
from typing import Any

from gateway.conversation.arguments import as_object, as_text
from gateway.conversation.ends import Ends

NAME = "bedrock_converse"

ENDS = Ends(
    known={
        "end_turn": "stop",
        "stop_sequence": "stop_sequence",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "guardrail_intervened": "content_filter",
        "content_filtered": "content_filter",
    },
    failed=frozenset({"malformed_model_output", "malformed_tool_use"}),
)

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
    told = as_object(arguments)
    return {RAW: arguments} if told is None else told


def arguments_of(told: object) -> str:
    """The other way round: the object of a call as JSON text."""
    if type(told) is dict and told.keys() == {RAW} and type(told[RAW]) is str:
        return str(told[RAW])
    return as_text({} if told is None else told)


def provider_call_id(call_id: str) -> str:
    """A call's id as a provider takes it: the same for the call and its result."""
    if call_id and len(call_id) <= _ID_MAX_CHARACTERS and not _NOT_IN_IDS.search(call_id):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_NOT_IN_IDS.sub('_', call_id)[:24]}_{digest[:16]}".lstrip("_")
