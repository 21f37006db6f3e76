"""What Converse says was used, as the ledger's disjoint classes.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html and
.../userguide/prompt-caching.html. `inputTokens` excludes what was read from and written to the
cache; `cacheDetails` divides what was written by its lifetime. What was thought lies within
`outputTokens`, and how much of them it is is not told.
"""

from collections.abc import Mapping
from typing import Any

from ledger.usage import Usage

COUNT_MAX = 1_000_000_000
"""More tokens than this in one call are a provider's mistake."""

MALFORMED = "usage_malformed"
INCOMPLETE = "usage_incomplete"

_HOUR, _MINUTES = "1h", "5m"


class _Malformed(Exception):
    """A count that is no count."""


def read_usage(told: object) -> tuple[Usage | None, str | None]:
    """The disjoint usage in a decoded `usage` value, and what is wrong with it.

    (None, None) when there is none; (None, anomaly) when it cannot be used. `calls` is not the
    provider's to say.
    """
    if told is None:
        return None, None
    if type(told) is not dict:
        return None, MALFORMED
    try:
        usage = _read(told)
    except _Malformed:
        return None, MALFORMED
    return usage, None if usage is not None else INCOMPLETE


def _read(told: Mapping[str, Any]) -> Usage | None:
    fresh, output = _count(told, "inputTokens"), _count(told, "outputTokens")
    if fresh is None or output is None:
        return None
    by_lifetime = _by_lifetime(told.get("cacheDetails"))
    written = max(_count(told, "cacheWriteInputTokens") or 0, sum(by_lifetime.values()))
    return Usage(
        input=fresh,
        cache_read=_count(told, "cacheReadInputTokens") or 0,
        cache_write_5m=written - by_lifetime[_HOUR],
        cache_write_1h=by_lifetime[_HOUR],
        output=output,
    )


def _by_lifetime(details: object) -> dict[str, int]:
    counts = {_HOUR: 0, _MINUTES: 0}
    if details is None:
        return counts
    if type(details) is not list or any(type(each) is not dict for each in details):
        raise _Malformed("cacheDetails")
    for each in details:
        lifetime = _HOUR if each.get("ttl") == _HOUR else _MINUTES
        counts[lifetime] += _count(each, "inputTokens") or 0
    return counts


def _count(holder: Mapping[str, Any], name: str) -> int | None:
    """A count, None where it is absent or null; 0 is a count. Raises _Malformed."""
    count = holder.get(name)
    if count is None:
        return None
    if type(count) is not int or not 0 <= count <= COUNT_MAX:
        raise _Malformed(name)
    return count
