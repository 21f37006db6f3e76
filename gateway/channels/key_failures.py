"""What a provider's failure says of the key it was asked with: one table, read from top to bottom.

Most failures say nothing of a key: a 5xx, a time-out, a complaint about the client's own request, a
firewall's page, and whatever we fail at ourselves. A client must not be able to have keys taken
away, and complaints about a request (400) may repeat the client's words: there a phrase counts only
at the very beginning, and only if it is a vendor's own sentence.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from gateway.channels.complaints import Complaint, complaint, complaint_in_answer
from gateway.errors import ProviderWords
from ledger import clock

COOLING_FIRST_S = 1.0
COOLING_MAX_S = 300.0
"""What is waited where the provider says nothing: doubled from failure to failure."""


class KeyVerdict(Enum):
    """What becomes of the key."""

    NOTHING = "nothing"
    COOLING = "cooling"
    """Not to be asked for a while: a rate limit, or too much to do. Passes by itself."""
    OUT_OF_MONEY = "out_of_money"
    REFUSED = "refused"


class KeyFinding(NamedTuple):
    """A verdict, its reason as a code, and for how long the provider wants to be left alone."""

    verdict: KeyVerdict
    reason: str
    wait_s: float | None = None


class KeyFailure(NamedTuple):
    """A row: a complaint it is about has one of the statuses (none given: any), and one of the
    codes or the phrase (neither given: whatever it says).
    """

    verdict: KeyVerdict
    reason: str
    source: str
    statuses: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    phrase: "re.Pattern[str] | None" = None
    needs_wait: bool = False
    """Only where it says for how long."""
    needs_words: bool = False
    """Only where an error in some envelope is told: a firewall's page says nothing of a key."""

    def is_about(self, told: Complaint) -> bool:
        """Whether the row is about this complaint."""
        if self.statuses and told.status not in self.statuses:
            return False
        if (self.needs_wait and told.wait_s is None) or (self.needs_words and not told.is_told):
            return False
        if not self.codes and self.phrase is None:
            return True
        is_code = not self.codes.isdisjoint(told.codes)
        return is_code or (self.phrase is not None and self.phrase.search(told.message) is not None)


def finding(told: Complaint) -> KeyFinding:
    """What a complaint says of the key: the first row that is about it decides."""
    for row in KEY_FAILURES:
        if row.is_about(told):
            wait_s = told.wait_s if row.verdict is KeyVerdict.COOLING else None
            return KeyFinding(row.verdict, row.reason, wait_s)
    return NOTHING_SAID


def finding_in_failure(status: int, headers: Mapping[str, str], body: bytes) -> KeyFinding:
    """Of an answer with a status other than 200; `headers` by lower-case name."""
    return finding(complaint(status, headers, body, clock.now_us() / 1_000_000))


def finding_in_answer(words: ProviderWords) -> KeyFinding:
    """Of an error that was told under status 200."""
    return finding(complaint_in_answer(words))


def cooling_s(wait_s: float | None, failures: int) -> float:
    """How long a key rests that has failed so many times in a row, the last one included: as long
    as it was told, and longer where that was said before and was not enough.
    """
    guess_s = min(COOLING_FIRST_S * 2.0 ** min(failures - 1, 30), COOLING_MAX_S)
    return guess_s if wait_s is None else max(wait_s, guess_s)


def _phrase(*alternatives: str) -> "re.Pattern[str]":
    return re.compile("|".join(alternatives), re.IGNORECASE)


def _statuses(*statuses: int) -> frozenset[int]:
    return frozenset(statuses)


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(code.lower() for code in codes)


NOTHING_SAID = KeyFinding(KeyVerdict.NOTHING, "")

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://docs.anthropic.com/en/api/errors"
_GOOGLE = "https://ai.google.dev/gemini-api/docs/troubleshooting"
_GOOGLE_REASONS = "https://cloud.google.com/apis/design/errors#error_info"
_AWS = "https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html"
_AZURE = "https://learn.microsoft.com/azure/ai-foundry/openai/quotas-limits"
_OPENROUTER = "https://openrouter.ai/docs/api-reference/errors"
_DEEPSEEK = "https://api-docs.deepseek.com/quick_start/error_codes"
_DASHSCOPE = "https://help.aliyun.com/zh/model-studio/error-code"
_ARK = "https://www.volcengine.com/docs/82379/1299023"
_ZHIPU = "https://docs.bigmodel.cn/cn/api/api-code"
_MOONSHOT = "https://platform.moonshot.ai/docs/api/errors"
_OF_KEYS = _statuses(401, 402, 403, 412, 429)
"""Statuses in whose words there is nothing of the client's."""

KEY_FAILURES: tuple[KeyFailure, ...] = (
    # About the request, or about us.
    KeyFailure(
        KeyVerdict.NOTHING,
        "request_beyond_limit",
        f"{_OPENAI}: one request above a limit by the minute is refused whoever sends it",
        _statuses(413, 429),
        _codes("request_too_large", "context_length_exceeded"),
        _phrase(
            r"^request too large",
            "extra usage is required for long context",
            "long context beta is not",
        ),
    ),
    KeyFailure(
        KeyVerdict.NOTHING,
        "request_content",
        f"{_OPENROUTER}: 403 for input that was flagged; likewise of others",
        _statuses(403),
        _codes(
            "content_policy_violation", "content_filter", "moderation_blocked", "unsafe_content"
        ),
        _phrase("moderation", "flagged", "content (policy|filter)", "usage polic"),
    ),
    KeyFailure(
        KeyVerdict.NOTHING,
        "what_was_named",
        "https://github.com/googleapis/python-genai/issues/1218: 403 for a file, a cache or an "
        "object that a client names and that is another's; for a beta that a client asks for",
        _statuses(403),
        phrase=_phrase(
            r"permission to access the (file|cachedcontent|corpus|object)",
            "cachedcontent",
            r"storage\.objects\.|cloud storage|\bbucket\b|\bs3\b",
            r"\bbetas?\b",
        ),
    ),
    KeyFailure(
        KeyVerdict.NOTHING,
        "where_we_are",
        f"{_OPENAI}: 403, country, region or territory not supported; Azure's network rules",
        _statuses(400, 401, 403),
        _codes("unsupported_country_region_territory", "ip_not_authorized", "ip_not_allowed"),
        _phrase(
            r"^user location is not supported",
            r"^country, region, or territory not supported",
            r"virtual network/firewall",
            r"public access is disabled",
        ),
    ),
    KeyFailure(
        KeyVerdict.NOTHING,
        "our_clock",
        f"{_AWS}: what was signed by a clock that is wrong",
        _statuses(400, 401, 403),
        _codes("InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"),
        _phrase(r"^signature (expired|not yet current)"),
    ),
    KeyFailure(
        KeyVerdict.NOTHING,
        "model_not_ready",
        "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
        _statuses(403, 404, 429),
        _codes("ModelNotReadyException", "model_not_found", "unsupported_model"),
        _phrase(r"access to the model", r"does not (exist|have access to) .{0,20}model"),
    ),
    # Money.
    KeyFailure(
        KeyVerdict.COOLING,
        "money_short_for_this",
        f"{_OPENROUTER}: 402, fewer tokens can be afforded",
        _statuses(402),
        phrase=_phrase("can only afford"),
    ),
    KeyFailure(KeyVerdict.OUT_OF_MONEY, "provider_status_402", _DEEPSEEK, _statuses(402)),
    KeyFailure(
        KeyVerdict.OUT_OF_MONEY,
        "quota_used_up",
        f"{_OPENAI}: type insufficient_quota, with codes of what was used up (Perplexity: 401)",
        _statuses(400, 401, 403, 429),
        _codes(
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "billing_hard_limit_reached",
            "billing_not_active",
            "billing_error",
        ),
    ),
    KeyFailure(
        KeyVerdict.OUT_OF_MONEY,
        "money_of_others",
        f"{_DASHSCOPE}, {_ARK}, {_ZHIPU}, {_MOONSHOT}, {_GOOGLE_REASONS}",
        _statuses(400, 401, 403, 429),
        _codes(
            "Arrearage",
            "AccountOverdueError",
            "1113",
            "exceeded_current_quota_error",
            "BILLING_DISABLED",
            "NOT_ENOUGH_BALANCE",
            "30001",
        ),
    ),
    KeyFailure(
        KeyVerdict.OUT_OF_MONEY,
        "balance_too_low",
        f"{_ANTHROPIC}: told as 400; so is what a workspace may spend",
        _statuses(400),
        phrase=_phrase(
            r"^your credit balance is too low to access",
            r"^you have reached your specified (api|workspace api) usage limits",
            r"^billing hard limit has been reached",
        ),
    ),
    KeyFailure(
        KeyVerdict.OUT_OF_MONEY,
        "balance_in_words",
        "xAI, SiliconFlow, Fireworks, Bedrock (INVALID_PAYMENT_INSTRUMENT), Gemini, Zhipu",
        _OF_KEYS,
        phrase=_phrase(
            r"insufficient (account )?(balance|credits?|funds)",
            r"balance is (insufficient|too low|not enough)",
            r"not enough (balance|credits?)",
            r"credits? (balance )?(is|are|has been|have been) (depleted|exhausted|used up)",
            r"(used all available|does not have any|doesn't have any) credits",
            r"(monthly|your) spending limit",
            r"invalid_payment_instrument",
            r"check your billing details on our website",
            "余额不足|欠费",
        ),
    ),
    # Limits, and too much to do.
    KeyFailure(
        KeyVerdict.COOLING,
        "rate_limit",
        f"{_GOOGLE}: RESOURCE_EXHAUSTED speaks of a current quota as OpenAI does, and passes",
        _statuses(429, 500, 503),
        _codes(
            "RESOURCE_EXHAUSTED",
            "rate_limit_exceeded",
            "rate_limit_error",
            "rate_limit_reached_error",
            "RATE_LIMIT_EXCEEDED",
            "ThrottlingException",
            "TooManyRequestsException",
        ),
    ),
    KeyFailure(
        KeyVerdict.OUT_OF_MONEY,
        "quota_in_words",
        f"{_OPENAI}: as told by those who leave the codes out",
        _statuses(401, 403, 429),
        phrase=_phrase(r"^you exceeded your current quota, please check your plan and billing"),
    ),
    KeyFailure(
        KeyVerdict.COOLING,
        "quota_of_gateway",
        f"{_AZURE}: API Management says 403 for a quota that comes again",
        _statuses(403),
        phrase=_phrase("quota will be replenished"),
    ),
    KeyFailure(
        KeyVerdict.COOLING,
        "service_quota",
        f"{_AWS}: ServiceQuotaExceededException, told as 400",
        _statuses(400),
        _codes("ServiceQuotaExceededException", "ThrottlingException"),
    ),
    KeyFailure(KeyVerdict.COOLING, "provider_status_429", "RFC 6585, section 4", _statuses(429)),
    KeyFailure(
        KeyVerdict.COOLING, "overloaded", f"{_ANTHROPIC}: 529, overloaded_error", _statuses(529)
    ),
    KeyFailure(
        KeyVerdict.COOLING,
        "overloaded",
        f"{_OPENAI}: 503, overloaded or slow down; {_MOONSHOT}, {_GOOGLE}: UNAVAILABLE",
        _statuses(500, 503),
        _codes("overloaded_error", "slow_down", "engine_overloaded_error", "server_overloaded"),
        _phrase("overloaded"),
    ),
    KeyFailure(
        KeyVerdict.COOLING,
        "provider_status_503",
        "RFC 9110, section 15.6.4: a 503 that says when to come again",
        _statuses(503),
        needs_wait=True,
    ),
    # Keys that are not accepted.
    KeyFailure(
        KeyVerdict.REFUSED, "provider_status_401", "RFC 9110, section 15.5.2", _statuses(401)
    ),
    KeyFailure(
        KeyVerdict.REFUSED,
        "key_in_bad_request",
        f"{_GOOGLE}: a bad key is status 400 there, and at xAI; Groq: organization_restricted",
        _statuses(400),
        _codes(
            "API_KEY_INVALID",
            "API_KEY_SERVICE_BLOCKED",
            "invalid_api_key",
            "organization_restricted",
            "account_deactivated",
        ),
        _phrase(
            r"^api key (not valid|not found|expired)",
            r"^incorrect api key provided",
            r"^this organization has been disabled",
        ),
    ),
    KeyFailure(
        KeyVerdict.REFUSED,
        "provider_status_403",
        f"{_ANTHROPIC}: permission_error; {_GOOGLE}: PERMISSION_DENIED; {_AWS}: "
        "UnrecognizedClientException, ExpiredTokenException, AccessDeniedException",
        _statuses(403),
        needs_words=True,
    ),
)
