"""What a provider says was used, in OpenAI's words, as the ledger's disjoint classes and back.

OpenAI counts cached, cache-written, audio and image tokens within `prompt_tokens`, and reasoning,
audio and image tokens within `completion_tokens`. Providers that speak the format differ, and
their totals tell how:

- xAI, and Gemini behind some gateways: reasoning is not within completion
  (total = prompt + completion + reasoning, or reasoning > completion).
- Mistral: audio is not within prompt (total = prompt + completion + audio).
- Gemini: thoughts appear in the total alone (total > prompt + completion); they are reasoning.
- Grok on Azure: cached exceeds prompt; there cannot have been more than the prompt.
"""

from typing import Any

from ledger.usage import Usage

COUNT_MAX = 1_000_000_000
"""More tokens than this in one call are a provider's mistake."""

CACHED_ABOVE_PROMPT = "cached_above_prompt"
MALFORMED = "usage_malformed"
INCOMPLETE = "usage_incomplete"
TOTAL_BELOW_PARTS = "total_below_parts"


class _Malformed(Exception):
    """A count that is no count."""


def read_usage(told: object) -> tuple[Usage | None, str | None]:
    """The disjoint usage in a decoded `usage` value, and what is wrong with it.

    (None, None) when there is none; (None, anomaly) when it cannot be used; (usage, anomaly) when
    it had to be mended. Counts are tokens; `calls` is not the provider's to say and stays 0.
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
    """`usage` in OpenAI's words."""
    written = usage.cache_write_5m + usage.cache_write_1h
    prompt = usage.input + usage.cache_read + written + usage.audio_in + usage.image_in
    completion = usage.output + usage.reasoning + usage.audio_out + usage.image_out
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
            "audio_tokens": usage.audio_in,
            "image_tokens": usage.image_in,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_out,
            "image_tokens": usage.image_out,
        },
    }


def _read(told: dict[str, Any]) -> tuple[Usage | None, str | None]:
    prompt = _count(told, "prompt_tokens")
    completion = _count(told, "completion_tokens")
    total = _count(told, "total_tokens")
    if completion is None and total is not None and prompt is not None:
        completion = 0  # Gemini leaves a zero out; the total tells whether it was one
    if prompt is None or completion is None:
        return None, INCOMPLETE
    into = _details(told, "prompt_tokens_details")
    out = _details(told, "completion_tokens_details")
    cached = _cached(told, into)
    audio_in = _count(into, "audio_tokens") or 0
    reasoning = _count(out, "reasoning_tokens") or 0
    if total is not None and 0 < total < prompt + completion:
        return None, TOTAL_BELOW_PARTS

    # From here on `prompt` and `completion` include everything of theirs.
    beyond = (total or 0) - prompt - completion
    if audio_in and (audio_in > prompt or beyond in (audio_in, audio_in + reasoning)):
        prompt += audio_in
        beyond -= audio_in
    if reasoning > completion or (reasoning and beyond == reasoning):
        completion += reasoning
        beyond -= reasoning
    if beyond > 0:
        completion += beyond
        reasoning += beyond
    anomaly = CACHED_ABOVE_PROMPT if cached > prompt else None
    return _disjoint(prompt, completion, cached, audio_in, reasoning, into, out), anomaly


def _disjoint(  # noqa: PLR0913 - the parts of one sum
    prompt: int,
    completion: int,
    cached: int,
    audio_in: int,
    reasoning: int,
    into: dict[str, Any],
    out: dict[str, Any],
) -> Usage:
    """Parts taken off their whole one after the other: the sum of classes is always the whole."""
    cache_read, prompt = _take(cached, prompt)
    cache_write, prompt = _take(_count(into, "cache_write_tokens") or 0, prompt)
    audio_in, prompt = _take(audio_in, prompt)
    image_in, prompt = _take(_count(into, "image_tokens") or 0, prompt)
    reasoning, completion = _take(reasoning, completion)
    audio_out, completion = _take(_count(out, "audio_tokens") or 0, completion)
    image_out, completion = _take(_count(out, "image_tokens") or 0, completion)
    return Usage(
        input=prompt,
        cache_read=cache_read,
        cache_write_5m=cache_write,
        audio_in=audio_in,
        image_in=image_in,
        output=completion,
        reasoning=reasoning,
        audio_out=audio_out,
        image_out=image_out,
    )


def _take(part: int, whole: int) -> tuple[int, int]:
    taken = min(part, whole)
    return taken, whole - taken


def _cached(told: dict[str, Any], details: dict[str, Any]) -> int:
    """OpenAI's place first, then DeepSeek's, then Moonshot's."""
    for holder, name in (
        (details, "cached_tokens"),
        (told, "prompt_cache_hit_tokens"),
        (told, "cached_tokens"),
    ):
        count = _count(holder, name)
        if count is not None:
            return count
    return 0


def _details(told: dict[str, Any], name: str) -> dict[str, Any]:
    details = told.get(name)
    if details is None:
        return {}
    if type(details) is not dict:
        raise _Malformed(name)
    return details


def _count(holder: dict[str, Any], name: str) -> int | None:
    """A count, None where it is absent or null; 0 is a count. Raises _Malformed."""
    count = holder.get(name)
    if count is None:
        return None
    if type(count) is not int or not 0 <= count <= COUNT_MAX:
        raise _Malformed(name)
    return count
