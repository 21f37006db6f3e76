"""For how long a provider wants to be left alone, in every way in which that is said. Pure.

Sources: RFC 9110 10.2.3 (`retry-after`: seconds, or a date); `retry-after-ms` of OpenAI and Azure;
`x-ratelimit-reset-requests: 6m0s` of https://platform.openai.com/docs/guides/rate-limits, in
seconds at Cerebras and Together, as a moment at OpenRouter; RFC 3339 in
https://docs.anthropic.com/en/api/rate-limits; google.rpc.RetryInfo; the words of OpenAI, Groq,
Azure and Gemini.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

WAIT_MAX_S = 86_400.0
"""A day: limits by the day are the longest that pass by themselves."""
_BELIEVED_MAX_S = 31 * 86_400.0
"""What is longer is a mistake of units, or nobody's word at all."""
_VALUE_MAX_CHARACTERS = 64
_NUMBER = re.compile(r"\d{1,16}(\.\d{1,9})?")
_DURATION = re.compile(
    r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?"
    r"(?:(\d{1,9}(?:\.\d{1,9})?)ms)?"
)
_SECONDS_OF = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
_IN_WORDS = re.compile(
    r"(?:try again|retry)(?: again)? (?:in|after) ([0-9][0-9.a-z]{0,24})(?: (seconds?|minutes?))?",
    re.IGNORECASE,
)
_MOMENT_S, _MOMENT_MS = 1e9, 1e12
"""Numbers as large as these are moments since 1970, in seconds or milliseconds."""
_RESET = re.compile(r"(x-ratelimit-reset.*|(anthropic|x)-ratelimit-.+-reset)")


def told_wait_s(
    headers: Mapping[str, str],
    message: str,
    retry_delay: object,
    now_s: float,
    *,
    is_limited: bool = True,
) -> float | None:
    """Seconds, at most WAIT_MAX_S; None where nothing is told, or nothing that can be believed.

    `headers` by lower-case name, `retry_delay` of a RetryInfo, `now_s` since 1970. A provider's
    moments are taken by its own clock, where it tells what that is. `is_limited`: whether a limit
    was met; resets stand beside every answer, and say nothing of another failure.
    """
    now_s = _moment_s(headers.get("date", "")) or now_s
    for wait_s in (
        _scaled(_number(headers.get("retry-after-ms", "")), 0.001),
        _value_s(headers.get("retry-after", ""), now_s),
        _value_s(retry_delay, now_s) if isinstance(retry_delay, str) else None,
        _reset_s(headers, now_s) if is_limited else None,
        _words_s(message),
    ):
        if wait_s is not None and 0 < wait_s <= _BELIEVED_MAX_S:
            return min(wait_s, WAIT_MAX_S)
    return None


def _reset_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Until what is used up is there again; where it is not told what is, the soonest of all."""
    used_up: list[float] = []
    others: list[float] = []
    for name, value in headers.items():
        if not _RESET.fullmatch(name):
            continue
        wait_s = _value_s(value, now_s)
        if wait_s is not None:
            remaining = headers.get(name.replace("reset", "remaining"), "").strip()
            (used_up if remaining == "0" else others).append(wait_s)
    if used_up:
        return max(used_up)
    return min(others, default=None)


def _words_s(message: str) -> float | None:
    found = _IN_WORDS.search(message)
    if found is None:
        return None
    value, unit = found[1].rstrip("."), (found[2] or "").lower()
    number = _number(value)
    if number is None:
        return _duration_s(value)
    if not unit:
        return None
    return number * (60.0 if unit.startswith("minute") else 1.0)


def _value_s(value: str, now_s: float) -> float | None:
    """Seconds, a duration, or a moment in any of its spellings."""
    value = value.strip()
    if not value or len(value) > _VALUE_MAX_CHARACTERS:
        return None
    number = _number(value)
    if number is None:
        duration_s = _duration_s(value)
        if duration_s is not None:
            return duration_s
        moment_s = _moment_s(value)
        return None if moment_s is None else moment_s - now_s
    if number >= _MOMENT_MS:
        return number / 1_000 - now_s
    return number - now_s if number >= _MOMENT_S else number


def _number(value: str) -> float | None:
    value = value.strip()
    return float(value) if value.isascii() and _NUMBER.fullmatch(value) else None


def _scaled(number: float | None, by: float) -> float | None:
    return None if number is None else number * by


def _duration_s(value: str) -> float | None:
    """As `6m0s`, `1s`, `20ms`, `1h2m`."""
    found = _DURATION.fullmatch(value) if value.isascii() and value else None
    if found is None:
        return None
    return math.fsum(
        float(part) * seconds
        for part, seconds in zip(found.groups(), _SECONDS_OF, strict=True)
        if part
    )


def _moment_s(value: str) -> float | None:
    """Seconds since 1970 of an HTTP date or an RFC 3339 moment."""
    if not value or len(value) > _VALUE_MAX_CHARACTERS:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return moment.timestamp()
    except (OverflowError, ValueError, OSError):
        return None
