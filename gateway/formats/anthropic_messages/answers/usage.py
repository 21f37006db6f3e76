"""What Anthropic says was used, as the ledger's disjoint classes, and back.

Source: https://docs.anthropic.com/en/api/messages (usage). `input_tokens` excludes what was read
from and written to the cache. Two traps, both seen in recorded traffic:

- In a stream `message_delta` carries cumulative counts that win over those of `message_start`,
  field by field: some deltas tell output alone. The total of cache writes may grow there while
  its split by lifetime stays in the start.
- `iterations` lists every model call behind one message. The totals beside it leave out
  compaction, advisors and the failed leg of a fallback, which are charged all the same.
"""

from functools import partial
from typing import Any

from gateway.formats.shared import usage_reader
from gateway.formats.shared.usage_reader import Malformed, Read, usage_of
from gateway.formats.shared.usage_table import (
    MALFORMED,
    PARTS_ABOVE_WHOLE,
    Row,
    UsageTable,
    path,
    paths,
)
from ledger.usage import Usage

OTHER_MODELS = "usage_of_other_models"

TABLE = UsageTable(
    wholes={"input": paths("input_tokens"), "output": paths("output_tokens")},
    rows=(
        Row(kind="cache_read", paths=paths("cache_read_input_tokens")),
        Row(kind="cache_write_1h", paths=paths("cache_creation.ephemeral_1h_input_tokens")),
        Row(kind="cache_write_5m", paths=paths("cache_creation.ephemeral_5m_input_tokens")),
        Row(
            kind="cache_write_5m",
            paths=paths("cache_creation_input_tokens"),
            less=path("cache_creation.ephemeral_1h_input_tokens"),
        ),
        Row(
            kind="reasoning",
            within="output",
            paths=paths("output_tokens_details.thinking_tokens"),
            above=PARTS_ABOVE_WHOLE,
        ),
    ),
)

METRICS = UsageTable(
    wholes={"input": paths("inputTokenCount"), "output": paths("outputTokenCount")},
    rows=(
        Row(kind="cache_read", paths=paths("cacheReadInputTokenCount")),
        Row(kind="cache_write_5m", paths=paths("cacheWriteInputTokenCount")),
    ),
)
"""https://docs.aws.amazon.com/bedrock/latest/userguide/inference-invoke.html: what Bedrock adds to
the last event of a stream."""

read_metrics = partial(usage_reader.read_usage, METRICS)
"""The usage in Bedrock's metrics of a stream, for one that tells none itself."""

_PROMPT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_BY_OTHERS = ("advisor_message", "fallback_message")
_THINKING = path("output_tokens_details.thinking_tokens")


def merged(start: object, delta: object) -> object:
    """The usage of a stream: the start's fields, replaced by those that a delta tells."""
    if type(start) is not dict:
        return delta
    if type(delta) is not dict:
        return start
    return {**start, **{name: value for name, value in delta.items() if value is not None}}


def read_usage(told: object) -> Read:
    """The disjoint usage in a decoded `usage` value, and what is wrong with it. A usage of which a
    part is another model's counts, and is told of.
    """
    iterations = told.get("iterations") if type(told) is dict else None
    if type(told) is not dict or type(iterations) is not list or not iterations:
        return usage_reader.read_usage(TABLE, told)
    try:
        return _summed(told, iterations)
    except Malformed:
        return None, MALFORMED


def write_usage(usage: Usage) -> dict[str, Any]:
    """`usage` in Anthropic's words; classes it has no word for are input and output."""
    searched = {
        "server_tool_use": {"web_search_requests": usage.web_search, "web_fetch_requests": 0}
    }
    return {
        "input_tokens": usage.input + usage.audio_in + usage.image_in,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output + usage.reasoning + usage.audio_out + usage.image_out,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        **(searched if usage.web_search else {}),
    }


def tells_output(told: object) -> bool:
    """Whether a usage counts the output: that of a stream's start knows of the prompt alone."""
    return type(told) is dict and told.get("output_tokens") is not None


def tells_prompt(told: object) -> bool:
    """Whether a usage counts the prompt. Zeros alone mean that the end will tell."""
    return type(told) is dict and any(told.get(name) for name in _PROMPT)


def _summed(told: dict[str, Any], iterations: list[Any]) -> Read:
    parts = []
    for one in iterations:
        part = usage_reader.read_members(TABLE, one)[0] if type(one) is dict else None
        if part is None:
            raise Malformed
        parts.append(part)
    # Thinking is mostly told for the message as a whole, and lies within its output.
    output = sum(part.output + part.reasoning for part in parts)
    told_thinking = usage_reader.count_at(TABLE, told, _THINKING)
    thinking = min(max(told_thinking, sum(part.reasoning for part in parts)), output)
    sums = {
        kind: sum(getattr(part, kind) for part in parts)
        for kind in ("input", "cache_read", "cache_write_5m", "cache_write_1h")
    }
    usage, implausible = usage_of({**sums, "output": output - thinking, "reasoning": thinking})
    return usage, implausible or (OTHER_MODELS if _are_mixed(iterations) else None)


def _are_mixed(iterations: list[dict[str, Any]]) -> bool:
    models = {one["model"] for one in iterations if type(one.get("model")) is str}
    return len(models) > 1 or any(one.get("type") in _BY_OTHERS for one in iterations)
