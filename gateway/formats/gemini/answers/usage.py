"""What Gemini says was used, as the ledger's disjoint classes, and back.

Source: https://ai.google.dev/api/generate-content#UsageMetadata. Cached tokens lie within
`promptTokenCount`; thoughts lie beside `candidatesTokenCount`, and so does what tools read:
total = prompt + candidates + thoughts + toolUsePrompt. In a stream every chunk tells a usage, and
the last one counts as a whole: it may leave out what an earlier one had.
"""

from collections.abc import Mapping
from typing import Any

from gateway.formats.gemini.vocabulary import member
from ledger.usage import Usage

COUNT_MAX = 1_000_000_000
"""More tokens than this in one call are a provider's mistake."""

MALFORMED = "usage_malformed"
CACHED_ABOVE_PROMPT = "cached_above_prompt"


class _Malformed(Exception):
    """A count that is no count."""


def read_usage(told: object) -> tuple[Usage | None, str | None]:
    """The disjoint usage in a decoded `usageMetadata`, and what is wrong with it.

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
    """`usage` in Gemini's words."""
    written = usage.cache_write_5m + usage.cache_write_1h
    prompt = usage.input + usage.cache_read + written + usage.audio_in + usage.image_in
    candidates = usage.output + usage.audio_out + usage.image_out
    told = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": candidates,
        "totalTokenCount": prompt + candidates + usage.reasoning,
    }
    if usage.cache_read:
        told["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        told["thoughtsTokenCount"] = usage.reasoning
    return told


def _read(told: Mapping[str, Any]) -> tuple[Usage | None, str | None]:
    prompt = _count(told, "promptTokenCount")
    if prompt is None:  # blocked before it was read: nothing is told, nothing was used
        return None, None
    candidates = _count(told, "candidatesTokenCount") or 0
    thoughts = _count(told, "thoughtsTokenCount") or 0
    by_tools = _count(told, "toolUsePromptTokenCount") or 0
    cached = _count(told, "cachedContentTokenCount") or 0
    total = _count(told, "totalTokenCount") or 0
    hidden = max(0, total - prompt - candidates - thoughts - by_tools)
    cache_read = min(cached, prompt)
    audio = _modality(told, "promptTokensDetails", "AUDIO")
    audio_cached = _modality(told, "cacheTokensDetails", "AUDIO")
    fresh = prompt - cache_read
    audio_in = min(max(0, audio - audio_cached), fresh)
    image_out = min(_modality(told, "candidatesTokensDetails", "IMAGE"), candidates)
    audio_out = min(_modality(told, "candidatesTokensDetails", "AUDIO"), candidates - image_out)
    return Usage(
        input=fresh - audio_in + by_tools,
        cache_read=cache_read,
        audio_in=audio_in,
        output=candidates - image_out - audio_out,
        reasoning=thoughts + hidden,
        audio_out=audio_out,
        image_out=image_out,
    ), CACHED_ABOVE_PROMPT if cached > prompt else None


def _modality(told: Mapping[str, Any], name: str, modality: str) -> int:
    details = member(told, name)
    if type(details) is not list:
        return 0
    return sum(
        _count(each, "tokenCount") or 0
        for each in details
        if type(each) is dict and each.get("modality") == modality
    )


def _count(holder: Mapping[str, Any], name: str) -> int | None:
    """A count, None where it is absent or null; 0 is a count. Raises _Malformed."""
    count = member(holder, name)
    if count is None:
        return None
    if type(count) is not int or not 0 <= count <= COUNT_MAX:
        raise _Malformed(name)
    return count
