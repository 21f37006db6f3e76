"""C5: what a failure says of the key, in vendors' own words, and what it must never say."""

import json

import pytest

from gateway.channels.key_failures import (
    COOLING_MAX_S,
    KEY_FAILURES,
    NOTHING_SAID,
    KeyVerdict,
    cooling_s,
    finding_in_answer,
    finding_in_failure,
)
from gateway.errors import ProviderWords

NOTHING, COOLING = KeyVerdict.NOTHING, KeyVerdict.COOLING
MONEY, REFUSED = KeyVerdict.OUT_OF_MONEY, KeyVerdict.REFUSED


def openai(message: str, type_: str = "", code: str | int | None = None) -> object:
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


def anthropic(type_: str, message: str) -> object:
    return {"type": "error", "error": {"type": type_, "message": message}}


def google(status: str, message: str, *details: object) -> object:
    return {"error": {"code": 1, "message": message, "status": status, "details": list(details)}}


QUOTA = "You exceeded your current quota, please check your plan and billing details."
CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
NO_BILLING = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "BILLING_DISABLED"}

ROWS: dict[str, tuple[int, object, KeyVerdict]] = {
    # OpenAI
    "OpenAI, bad key": (
        401,
        openai("Incorrect API key provided: sk-..", "", "invalid_api_key"),
        REFUSED,
    ),
    "OpenAI, rate": (
        429,
        openai("Rate limit reached for gpt", "tokens", "rate_limit_exceeded"),
        COOLING,
    ),
    "OpenAI, quota": (429, openai(QUOTA, "insufficient_quota", "insufficient_quota"), MONEY),
    "OpenAI, quota, a newer code": (
        429,
        openai(QUOTA, "insufficient_quota", "project_spend_limit_exceeded"),
        MONEY,
    ),
    "OpenAI, quota, no code": (429, openai(QUOTA), MONEY),
    "OpenAI, hard limit": (
        400,
        openai("Billing hard limit has been reached", "", "billing_hard_limit_reached"),
        MONEY,
    ),
    "OpenAI, not active": (
        429,
        openai("Your account is not active, please check your billing details on our website."),
        MONEY,
    ),
    "OpenAI, slow down": (503, openai("Slow down", "", "slow_down"), COOLING),
    "OpenAI, overloaded": (503, openai("That model is currently overloaded"), COOLING),
    "OpenAI, country": (
        403,
        openai(
            "Country, region, or territory not supported",
            "",
            "unsupported_country_region_territory",
        ),
        NOTHING,
    ),
    "OpenAI, one request above the limit": (
        429,
        openai("Request too large for gpt-4o on tokens per min", "tokens", "rate_limit_exceeded"),
        NOTHING,
    ),
    "OpenAI, no such model": (
        404,
        openai("The model `x` does not exist", "", "model_not_found"),
        NOTHING,
    ),
    # Anthropic
    "Anthropic, bad key": (401, anthropic("authentication_error", "invalid x-api-key"), REFUSED),
    "Anthropic, not permitted": (403, anthropic("permission_error", "not allowed"), REFUSED),
    "Anthropic, rate": (429, anthropic("rate_limit_error", "would exceed the rate limit"), COOLING),
    "Anthropic, overloaded": (529, anthropic("overloaded_error", "Overloaded"), COOLING),
    "Anthropic, money as a bad request": (400, anthropic("invalid_request_error", CREDIT), MONEY),
    "Anthropic, limit of a workspace": (
        400,
        anthropic(
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access later",
        ),
        MONEY,
    ),
    "Anthropic, billing": (402, anthropic("billing_error", "payment"), MONEY),
    "Anthropic, disabled": (
        400,
        anthropic("invalid_request_error", "This organization has been disabled."),
        REFUSED,
    ),
    # Google
    "Gemini, rate in the words of a quota": (
        429,
        google("RESOURCE_EXHAUSTED", QUOTA, RETRY),
        COOLING,
    ),
    "Gemini, its compatible address": (
        429,
        [{"error": {"code": 429, "message": QUOTA, "status": "RESOURCE_EXHAUSTED"}}],
        COOLING,
    ),
    "Gemini, prepaid": (
        429,
        google(
            "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Please go to AI Studio"
        ),
        MONEY,
    ),
    "Gemini, bad key": (400, google("INVALID_ARGUMENT", "API key not valid.", BAD_KEY), REFUSED),
    "Gemini, leaked": (
        403,
        google("PERMISSION_DENIED", "Your API key was reported as leaked."),
        REFUSED,
    ),
    "Gemini, billing": (403, google("PERMISSION_DENIED", "Requires billing", NO_BILLING), MONEY),
    "Gemini, where we are": (
        400,
        google("FAILED_PRECONDITION", "User location is not supported for the API use."),
        NOTHING,
    ),
    "Gemini, overloaded": (503, google("UNAVAILABLE", "The model is overloaded."), COOLING),
    "Gemini, a file of somebody else": (
        403,
        google(
            "PERMISSION_DENIED",
            "You do not have permission to access the File abc or it may not exist.",
        ),
        NOTHING,
    ),
    "Gemini, a cache of somebody else": (
        403,
        google("PERMISSION_DENIED", "CachedContent not found (or permission denied)"),
        NOTHING,
    ),
    "Vertex, an object of somebody else": (
        403,
        google("PERMISSION_DENIED", "x does not have storage.objects.get access"),
        NOTHING,
    ),
    "Anthropic, a beta": (
        429,
        anthropic("rate_limit_error", "The long context beta is not yet available for this."),
        NOTHING,
    ),
    # Others
    "Azure, key": (
        401,
        openai("Access denied due to invalid subscription key or wrong API endpoint.", "", "401"),
        REFUSED,
    ),
    "Azure, rate": (429, openai("Please retry after 26 seconds.", "", "429"), COOLING),
    "Azure, network": (
        403,
        openai("Access denied due to Virtual Network/Firewall rules."),
        NOTHING,
    ),
    "Azure, API Management": (
        403,
        {
            "statusCode": 403,
            "message": "Out of call volume quota. Quota will be replenished in 1.00:00",
        },
        COOLING,
    ),
    "Bedrock, throttled": (
        429,
        {"__type": "x#ThrottlingException", "message": "Too many"},
        COOLING,
    ),
    "Bedrock, model": (
        403,
        {"__type": "AccessDeniedException", "message": "You don't have access to the model"},
        NOTHING,
    ),
    "Bedrock, payment": (
        403,
        {"message": "Model access is denied due to INVALID_PAYMENT_INSTRUMENT"},
        MONEY,
    ),
    "Bedrock, denied": (403, {"message": "User is not authorized to perform"}, REFUSED),
    "Bedrock, our clock": (403, {"message": "Signature expired: 2026 is now earlier"}, NOTHING),
    "DeepSeek": (402, openai("Insufficient Balance", "unknown_error"), MONEY),
    "OpenRouter, credits": (402, openai("Insufficient credits", "", 402), MONEY),
    "OpenRouter, fewer tokens": (
        402,
        openai(
            "This request requires more credits, or fewer max_tokens. You can only afford 7",
            "",
            402,
        ),
        COOLING,
    ),
    "OpenRouter, moderation": (403, openai("requires moderation. Your input was flagged"), NOTHING),
    "xAI, credits": (
        403,
        {"code": "denied", "error": "Your team does not have any credits"},
        MONEY,
    ),
    "xAI, bad key": (400, {"code": "x", "error": "Incorrect API key provided: xa***"}, REFUSED),
    "Perplexity": (401, openai(QUOTA, "insufficient_quota", 401), MONEY),
    "SiliconFlow": (
        403,
        {"code": 30001, "message": "Sorry, your account balance is insufficient"},
        MONEY,
    ),
    "DashScope": (400, {"code": "Arrearage", "message": "Access denied"}, MONEY),
    "Ark": (403, openai("overdue", "Forbidden", "AccountOverdueError"), MONEY),
    "Zhipu": (
        429,
        {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}},
        MONEY,
    ),
    "Moonshot, money": (429, openai("suspended", "exceeded_current_quota_error"), MONEY),
    "Moonshot, overloaded": (429, openai("busy", "engine_overloaded_error"), COOLING),
    "Mistral": (401, {"detail": "Unauthorized"}, REFUSED),
    # Nobody in particular
    "401 without a word": (401, b"", REFUSED),
    "402 without a word": (402, b"", MONEY),
    "403 of some envelope": (403, openai("no"), REFUSED),
    "403 of a firewall": (403, b"<html>Attention required</html>", NOTHING),
    "403 without a word": (403, b"", NOTHING),
    "429 without a word": (429, b"", COOLING),
    "529 without a word": (529, b"", COOLING),
    **{
        f"{status}": (status, openai("no"), NOTHING)
        for status in (302, 400, 404, 405, 408, 409, 413, 418, 422, 424, 500, 502, 503, 504, 999)
    },
}


@pytest.mark.parametrize("name", ROWS)
def test_c5_what_a_failure_says_of_the_key(name: str) -> None:
    status, told, verdict = ROWS[name]
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    found = finding_in_failure(status, {}, body)
    assert found.verdict is verdict
    assert bool(found.reason) or found == NOTHING_SAID


INJECTED = (
    CREDIT,
    QUOTA,
    "insufficient_quota",
    "API key not valid",
    "余额不足",
    "1113",
    "overloaded",
)


@pytest.mark.parametrize("words", INJECTED)
@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_c5_a_client_takes_no_key_away_by_words_that_come_back(status: int, words: str) -> None:
    for told in (
        openai(f"Invalid 'tools[0].name': '{words}' does not match", "invalid_request_error", "x"),
        anthropic("invalid_request_error", f"tools.0.name: {words}"),
        google("INVALID_ARGUMENT", f"Invalid value at 'contents[0]': {words}"),
        {"message": f"1 validation error detected: Value '{words}' at 'modelId'"},
    ):
        found = finding_in_failure(status, {}, json.dumps(told).encode())
        assert found.verdict is NOTHING, told


def test_c5_waits_are_told_with_limits_alone() -> None:
    limited = finding_in_failure(429, {"retry-after": "9"}, b"")
    assert (limited.verdict, limited.wait_s) == (COOLING, 9)
    by_google = json.dumps(google("RESOURCE_EXHAUSTED", QUOTA, RETRY)).encode()
    assert finding_in_failure(429, {}, by_google).wait_s == 36
    assert finding_in_failure(503, {"retry-after": "9"}, b"").verdict is COOLING
    assert finding_in_failure(500, {"retry-after": "9"}, b"").verdict is NOTHING
    assert finding_in_failure(401, {"retry-after": "9"}, b"").wait_s is None
    resets = {"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}
    assert finding_in_failure(429, resets, b"").wait_s == 360
    assert finding_in_failure(503, resets, b"").verdict is NOTHING, "they stand beside every answer"
    assert finding_in_failure(529, resets, b"").wait_s is None
    kind = {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/"}
    assert finding_in_failure(400, kind, b"{}").verdict is COOLING


def test_c5_an_error_told_under_status_200_says_the_same() -> None:
    assert finding_in_answer(ProviderWords(529, "", "Overloaded")).verdict is COOLING
    assert finding_in_answer(ProviderWords(401, "", "")).verdict is REFUSED
    assert finding_in_answer(ProviderWords(429, "insufficient_quota", "")).verdict is MONEY
    assert finding_in_answer(ProviderWords(500, "", "oh")).verdict is NOTHING


def test_c5_odd_bodies_say_no_more_than_their_status() -> None:
    for body in (b"[]", b"[1]", b'"x"', b"5", b"{", b'{"error":5}', b'{"error":null}', b"\xff"):
        assert finding_in_failure(400, {}, body).verdict is NOTHING
        assert finding_in_failure(429, {}, body).verdict is COOLING
    deep = b'{"error":{"message":[[[[[]]]]],"code":{"a":1},"details":[5,{"reason":7}]}}'
    assert finding_in_failure(401, {}, deep).verdict is REFUSED
    huge = b'{"error":{"code":"invalid_api_key","message":"' + b"x" * 100_000 + b'"}}'
    assert finding_in_failure(400, {}, huge).verdict is NOTHING


def test_c5_guesses_double_up_to_five_minutes_and_what_is_told_is_the_least() -> None:
    guesses = [cooling_s(None, failures) for failures in range(1, 12)]
    assert guesses[:4] == [1, 2, 4, 8]
    assert guesses[-1] == cooling_s(None, 10**6) == COOLING_MAX_S == 300
    assert cooling_s(7.0, 1) == 7
    assert cooling_s(7.0, 5) == 16


def test_c5_every_row_has_a_source_and_a_reason_that_is_a_code() -> None:
    for row in KEY_FAILURES:
        assert row.source
        assert row.reason.replace("_", "").isalnum()
        assert all(code == code.lower() for code in row.codes)
