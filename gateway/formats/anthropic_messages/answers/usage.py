"""What Anthropic says was used, as the ledger's disjoint classes, and back.

Source: https://docs.anthropic.com/en/api/messages (usage). `input_tokens` excludes what was read
from and written to the cache. Two traps, both seen in recorded traffic:

- In a stream `message_delta` carries cumulative counts that win over those of `message_start`,
  field by field: some deltas tell output alone. The total of cache writes may grow there while
  its split by lifetime stays in the start.
- `iterations` lists every model call behind one message. The totals beside it leave out
  compaction, advisors and the failed leg of a fallback, which are charged all the same.
"""

from collections.abc import Mapping
from typing import Any

from ledger.usage import Usage

COUNT_MAX = 1_000_000_000
"""More tokens than this in one call are a provider's mistake."""

MALFORMED = "usage_malformed"
INCOMPLETE = "usage_incomplete"
OTHER_MODELS = "usage_of_other_models"

_PROMPT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_BY_OTHERS = ("advisor_message", "fallback_message")


class _Malformed(Exception):
    """A count that is no count."""


def merged(start: object, delta: object) -> object:
    """The usage of a stream: the start's fields, replaced by those that a delta tells."""
    if type(start) is not dict:
        return delta
    if type(delta) is not dict:
        return start
    return {**start, **{name: value for name, value in delta.items() if value is not None}}


def read_usage(told: object) -> tuple[Usage | None, str | None]:
    """The disjoint usage in a decoded `usage` value, and what is wrong with it.

    (None, None) when there is none; (None, anomaly) when it cannot be used; (usage, anomaly) when
    it counts, and part of it is another model's. `calls` is not the provider's to say.
    """
    if told is None:
        return None, None
    if type(told) is not dict:
        return None, MALFORMED
    try:
        iterations = told.get("iterations")
        if type(iterations) is list and iterations:
            return _summed(told, iterations)
        usage = _read(told)
    except _Malformed:
        return None, MALFORMED
    return usage, None if usage is not None else INCOMPLETE


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


def _summed(told: Mapping[str, Any], iterations: list[Any]) -> tuple[Usage | None, str | None]:
    parts = []
    for one in iterations:
        part = _read(one) if type(one) is dict else None
        if part is None:
            raise _Malformed
        parts.append(part)
    # Thinking is mostly told for the message as a whole, and lies within its output.
    output = sum(part.output + part.reasoning for part in parts)
    thinking = min(max(_thinking(told), sum(part.reasoning for part in parts)), output)
    return Usage(
        input=sum(part.input for part in parts),
        cache_read=sum(part.cache_read for part in parts),
        cache_write_5m=sum(part.cache_write_5m for part in parts),
        cache_write_1h=sum(part.cache_write_1h for part in parts),
        output=output - thinking,
        reasoning=thinking,
    ), OTHER_MODELS if _are_mixed(iterations) else None


def _are_mixed(iterations: list[dict[str, Any]]) -> bool:
    models = {one["model"] for one in iterations if type(one.get("model")) is str}
    return len(models) > 1 or any(one.get("type") in _BY_OTHERS for one in iterations)


def _read(told: Mapping[str, Any]) -> Usage | None:
    fresh, output = _count(told, "input_tokens"), _count(told, "output_tokens")
    if fresh is None or output is None:
        return None
    written = _count(told, "cache_creation_input_tokens") or 0
    for_an_hour = _count(_members(told, "cache_creation"), "ephemeral_1h_input_tokens") or 0
    for_minutes = _count(_members(told, "cache_creation"), "ephemeral_5m_input_tokens") or 0
    written = max(written, for_an_hour + for_minutes)
    thinking = min(_thinking(told), output)
    return Usage(
        input=fresh,
        cache_read=_count(told, "cache_read_input_tokens") or 0,
        cache_write_5m=written - for_an_hour,
        cache_write_1h=for_an_hour,
        output=output - thinking,
        reasoning=thinking,
    )


def _thinking(told: Mapping[str, Any]) -> int:
    return _count(_members(told, "output_tokens_details"), "thinking_tokens") or 0


def _members(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    members = told.get(name)
    if members is None:
        return {}
    if type(members) is not dict:
        raise _Malformed(name)
    return members


def _count(holder: Mapping[str, Any], name: str) -> int | None:
    """A count, None where it is absent or null; 0 is a count. Raises _Malformed."""
    count = holder.get(name)
    if count is None:
        return None
    if type(count) is not int or not 0 <= count <= COUNT_MAX:
        raise _Malformed(name)
    return count
