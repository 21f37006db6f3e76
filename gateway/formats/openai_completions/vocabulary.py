"""Words of the format that reading and writing share.

Source: https://platform.openai.com/docs/api-reference/completions/object
"""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.ends import Ends
from gateway.conversation.turn import StopReason
from gateway.errors import InvalidRequest

NAME = "openai_completions"

ENDS = Ends(
    known={
        "stop": "stop",
        "length": "length",
        "content_filter": "content_filter",
        "eos": "stop",
        "eos_token": "stop",
        "stop_sequence": "stop_sequence",
    },
    # https://openrouter.ai/docs/api/reference/overview#finish-reason, DeepSeek's, and vLLM's
    failed=frozenset({"error", "insufficient_system_resource", "abort"}),
)
FINISH_OF_STOP: dict[StopReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "pause": "stop",
    "tool_calls": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}


def inexpressible(what: str, param: str | None = None) -> InvalidRequest:
    """The request would mean something else without it."""
    return InvalidRequest(
        f"{what} cannot be told to the provider of this model.",
        param=param,
        code="not_expressible",
    )


def completion_id(told: str) -> str:
    """An id of this format."""
    return told if told.startswith("cmpl") else f"cmpl-{told}"


def logprobs_of(told: object, offset: int) -> dict[str, Any] | None:
    """Probabilities as chat completions tell them, in this format's rows; None: there are none.

    `offset` is how many characters were said before.
    """
    content = told.get("content") if isinstance(told, Mapping) else None
    if not isinstance(content, list) or not content:
        return None
    rows: dict[str, list[Any]] = {
        "tokens": [],
        "token_logprobs": [],
        "top_logprobs": [],
        "text_offset": [],
    }
    for one in content:
        token = str(one["token"])
        rows["tokens"].append(token)
        rows["token_logprobs"].append(one.get("logprob"))
        top = one.get("top_logprobs") or ()
        rows["top_logprobs"].append({each["token"]: each["logprob"] for each in top})
        rows["text_offset"].append(offset)
        offset += len(token)
    return rows
