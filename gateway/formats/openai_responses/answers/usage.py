"""What a provider says was used, in the words of Responses, as the ledger's classes and back.

Source: https://platform.openai.com/docs/api-reference/responses/object (usage). Cached and
cache-written tokens lie within `input_tokens`, reasoning within `output_tokens`.
"""

from collections.abc import Mapping
from typing import Any

from ledger.usage import Usage

COUNT_MAX = 1_000_000_000
"""More tokens than this in one call are a provider's mistake."""

MALFORMED = "usage_malformed"
INCOMPLETE = "usage_incomplete"
PARTS_ABOVE_WHOLE = "parts_above_whole"


class _Malformed(Exception):
    """A count that is no count."""


def read_usage(told: object) -> tuple[Usage | None, str | None]:
    """The disjoint usage in a decoded `usage` value, and what is wrong with it.

    (None, None) when there is none; (None, anomaly) when it cannot be used; (usage, anomaly) when
    it had to be mended. `calls` is not the provider's to say.
    """
    if told is None:
        return None, None
    if type(told) is not dict:
        return None, MALFORMED
    try:
        return _read(told)
    except _Malformed:
        return None, MALFORMED


def write_usage(usage: Usage) -> dict[str, Any]:
    """`usage` in the words of Responses."""
    written = usage.cache_write_5m + usage.cache_write_1h
    given = usage.input + usage.cache_read + written + usage.audio_in + usage.image_in
    made = usage.output + usage.reasoning + usage.audio_out + usage.image_out
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": given + made,
    }


def _read(told: Mapping[str, Any]) -> tuple[Usage | None, str | None]:
    given, made = _count(told, "input_tokens"), _count(told, "output_tokens")
    if given is None or made is None:
        return None, INCOMPLETE
    into, out = _details(told, "input_tokens_details"), _details(told, "output_tokens_details")
    cached = _count(into, "cached_tokens") or 0
    written = _count(into, "cache_write_tokens") or 0
    reasoning = _count(out, "reasoning_tokens") or 0
    is_odd = cached + written > given or reasoning > made
    cache_read = min(cached, given)
    cache_write = min(written, given - cache_read)
    thought = min(reasoning, made)
    return Usage(
        input=given - cache_read - cache_write,
        cache_read=cache_read,
        cache_write_5m=cache_write,
        output=made - thought,
        reasoning=thought,
    ), PARTS_ABOVE_WHOLE if is_odd else None


def _details(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    details = told.get(name)
    if details is None:
        return {}
    if type(details) is not dict:
        raise _Malformed(name)
    return details


def _count(holder: Mapping[str, Any], name: str) -> int | None:
    """A count, None where it is absent or null; 0 is a count. Raises _Malformed."""
    count = holder.get(name)
    if count is None:
        return None
    if type(count) is not int or not 0 <= count <= COUNT_MAX:
        raise _Malformed(name)
    return count
