"""What a provider's failure becomes for our client: which refusal, and which words of it.

A provider's words may hold its address, our key or our organisation with it, so only complaints
about the client's own request are told at all, bounded and scrubbed.
"""

import math
import re

from gateway.errors import (
    ProviderWords,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRefused,
)

RETRY_AFTER_MAX_S = 60
RETRY_AFTER_DEFAULT_S = 5
"""Told when a provider limits us without saying for how long."""
MESSAGE_MAX_CHARACTERS = 1_000

_REFUSED = frozenset({400, 404, 413, 422})
_RATE_LIMITED = 429
_SCRUBBED_MAX_CHARACTERS = 4_096
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# Complaints about us in the clothes of a bad request: Gemini and xAI answer 400 for a bad key.
_OUR_CODES = frozenset(
    {
        "invalid_api_key",
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "account_deactivated",
        "organization_restricted",
    }
)
_OUR_FAULT = re.compile(r"api[ _-]?key|billing|credit balance|organi[sz]ation must", re.IGNORECASE)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"'<>)\]]+"), "[address]"),
    (re.compile(r"\b(?:Bearer|Basic)\s+[^\s\"',;]+", re.IGNORECASE), "[key]"),
    (
        re.compile(
            r"\b(?:sk|pk|rk|gsk|xai|csk|pplx|nvapi|key|hf|r8|fw|ghp)[-_][A-Za-z0-9_*.-]{4,}"
            r"|\b(?:AIza|AKIA|ya29\.)[A-Za-z0-9_*.-]{4,}"
        ),
        "[key]",
    ),
    (re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"), "[address]"),
    (
        re.compile(
            r"\b(?:org|organization|proj|project|user|acct|account|team|tenant)[-_][A-Za-z0-9]{6,}"
        ),
        "[account]",
    ),
    (re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])"), "[address]"),
    (re.compile(r"\[[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+\](?::\d+)?"), "[address]"),
    (
        re.compile(
            r"(?<![\w.-])(?:[A-Za-z0-9_-]{1,63}\.){1,8}(?:com|net|org|io|ai|dev|app|cloud|internal"
            r"|local|localdomain|lan|corp|intra|svc|cluster|co|cn|us|eu|uk|de|fr|jp|ru|xyz|info"
            r"|biz|tech|azure|home|arpa|sh|so|me)(?![\w-])(?:\.[\w-]+)*(?::\d+)?"
        ),
        "[address]",
    ),
    (re.compile(r"\blocalhost(?::\d+)?\b"), "[address]"),
    (re.compile(r"\b(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{32,}\b"), "[redacted]"),
)


def failure(
    status: int,
    *,
    message: str | None,
    code: str | None = None,
    param: str | None = None,
    retry_after: str | None = None,
) -> UpstreamFailed:
    """What our client is told for a provider's `status` and its words, given unscrubbed."""
    error = _failure(status, message, code, param, retry_after)
    error.words = ProviderWords(status, code or "", message or "")
    return error


def _failure(
    status: int,
    message: str | None,
    code: str | None,
    param: str | None,
    retry_after: str | None,
) -> UpstreamFailed:
    if status == _RATE_LIMITED:
        return UpstreamRateLimited(
            "The provider's rate limit is reached; try again later.",
            retry_after_s=retry_after_s(retry_after) or RETRY_AFTER_DEFAULT_S,
        )
    if status not in _REFUSED or _blames_us(message or "", code):
        return UpstreamFailed(f"The provider failed with status {status}.")
    told = scrub(message) if message else ""
    told_code = code if code and _CODE.fullmatch(code) and scrub(code) == code else None
    return UpstreamRefused(
        told or f"The provider refused the request with status {status}.",
        code=_told_code(status, told_code),
        param=scrub(param)[:128] if param else None,
        status=status,
    )


def retry_after_s(value: str | None) -> int | None:
    """Whole seconds, 1..60, of a Retry-After that is a number; dates count as not given."""
    if value is None or len(value) > 16:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return max(1, min(math.ceil(seconds), RETRY_AFTER_MAX_S))


def scrub(text: str) -> str:
    """`text` without keys, accounts, addresses and hosts, of at most MESSAGE_MAX_CHARACTERS."""
    if len(text) > _SCRUBBED_MAX_CHARACTERS:  # and without the word that the cut may have divided
        text = text[:_SCRUBBED_MAX_CHARACTERS].rpartition(" ")[0]
    text = _CONTROL.sub(" ", text)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text[:MESSAGE_MAX_CHARACTERS].strip()


def _blames_us(message: str, code: str | None) -> bool:
    return code in _OUR_CODES or _OUR_FAULT.search(message[:_SCRUBBED_MAX_CHARACTERS]) is not None


def _told_code(status: int, code: str | None) -> str:
    if code is not None and not code.isdigit():
        return code
    if status == 404:
        return "model_not_found"
    return "request_too_large" if status == 413 else UpstreamRefused.code
