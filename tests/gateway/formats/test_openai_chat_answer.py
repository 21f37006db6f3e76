"""Whole answers, failures and errors in OpenAI's format."""

import json
from typing import Any

import pytest

from gateway.errors import (
    GatewayError,
    InsufficientQuota,
    InvalidRequest,
    Overloaded,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRefused,
)
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.registry import FORMATS
from gateway.formats.shared.provider_failures import (
    MESSAGE_MAX_CHARACTERS,
    retry_after_s,
    scrub,
)
from tests.recorded import Recording, recordings

CHAT = FORMATS["openai_chat"]
CHOICES = [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def body(**members: object) -> bytes:
    return json.dumps({"object": "chat.completion", "choices": CHOICES} | members).encode()


@pytest.mark.parametrize(
    "recording",
    [one for one in recordings("openai-chat-chat") if not one.is_stream],
    ids=lambda one: one.name,
)
def test_a_recorded_answer_has_usage_and_what_was_generated(recording: Recording) -> None:
    answer = CHAT.read_answer(recording.response)
    assert (answer.error, answer.anomaly) == (None, None)
    assert answer.usage is not None
    message = json.loads(recording.response)["choices"][0]["message"]
    if message["content"]:
        assert answer.output_texts == (message["content"],)
    else:
        called = [call["function"] for call in message["tool_calls"]]
        told = [text for one in called for text in (one["name"], one["arguments"])]
        assert list(answer.output_texts) == told


@pytest.mark.parametrize(
    "unreadable",
    [
        b"",
        b"   ",
        b"<html><body>502 Bad Gateway</body></html>",
        body(usage=USAGE)[:-1],
        body(usage=USAGE)[:20],
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b"{}",
        b'{"detail":"nobody home"}',
        b'{"choices":null}',
        b'{"choices":{}}',
        b'data: {"choices":[]}\n\n',
        b"\x1f\x8b\x08",
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_unreadable(unreadable: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        CHAT.read_answer(unreadable)


def test_an_answer_without_usage_has_none_and_nothing_is_wrong_with_it() -> None:
    for one in (body(), body(usage=None)):
        answer = CHAT.read_answer(one)
        assert (answer.usage, answer.anomaly, answer.error) == (None, None, None)
        assert answer.output_texts == ("hi",)


def test_odd_bytes_and_numbers_do_not_lose_an_answer() -> None:
    odd = body(usage=USAGE, logprobs="X").replace(b'"X"', b"NaN").replace(b"hi", b"h\xff")
    answer = CHAT.read_answer(odd)
    assert answer.usage is not None
    assert answer.output_texts == ("h\ufffd",)


def test_odd_shapes_of_messages_are_counted() -> None:
    message = {
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "T"}]},
            {"type": "text", "text": "C"},
            7,
        ],
        "reasoning_content": "R",
        "reasoning": "R",
        "audio": {"transcript": "A", "data": "xxxx"},
        "tool_calls": [{"custom": {"name": "n", "input": "I"}}, None],
        "function_call": {"name": "", "arguments": ""},
    }
    answer = CHAT.read_answer(body(choices=[{"message": message}, "x", {"message": None}]))
    assert sorted(answer.output_texts) == sorted("TCRAnI")


@pytest.mark.parametrize(
    ("told", "expected", "status"),
    [
        ({"error": {"message": "busy", "code": 429}}, UpstreamRateLimited, 429),
        ({"error": {"message": "too long", "code": "400"}}, UpstreamRefused, 400),
        ({"error": {"message": "b", "type": "invalid_request_error"}}, UpstreamRefused, 400),
        ({"error": {"message": "Provider returned error", "code": 502}}, UpstreamFailed, 502),
        ({"error": "it broke"}, UpstreamFailed, 502),
        ({"error": {"message": "bad key", "code": 401}}, UpstreamFailed, 502),
        ({"object": "error", "message": "no", "code": 404}, UpstreamRefused, 404),
        ({"type": "error", "error": {"type": "overloaded_error"}}, UpstreamFailed, 502),
    ],
)
def test_an_error_under_status_200_is_an_error(
    told: dict[str, Any], expected: type[GatewayError], status: int
) -> None:
    answer = CHAT.read_answer(json.dumps(told).encode())
    assert type(answer.error) is expected
    assert answer.error.status == status


@pytest.mark.parametrize("status", [401, 403])
def test_our_own_bad_key_never_looks_like_the_clients(status: int) -> None:
    told = {
        "error": {"message": "Incorrect API key provided: sk-ab***yz", "code": "invalid_api_key"}
    }
    error = CHAT.classify_failure(status, {}, json.dumps(told).encode())
    assert type(error) is UpstreamFailed
    assert (error.status, error.code) == (502, "upstream_error")
    assert "key" not in error.message
    disguised = CHAT.classify_failure(400, {}, json.dumps(told).encode())
    assert type(disguised) is UpstreamFailed
    words = [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}]
    assert type(CHAT.classify_failure(400, {}, json.dumps(words).encode())) is UpstreamFailed


@pytest.mark.parametrize("status", [100, 103, 204, 302, 304, 402, 418, 500, 503, 529, 999])
def test_any_other_failure_is_the_providers(status: int) -> None:
    error = CHAT.classify_failure(status, {}, b'{"error":{"message":"at http://10.0.0.1"}}')
    assert type(error) is UpstreamFailed
    assert error.status == 502
    assert "10.0.0.1" not in error.message


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("3600", 60),
        ("7", 7),
        ("0", 1),
        ("1.2", 2),
        ("-5", 5),
        ("nan", 5),
        ("inf", 5),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 5),
        ("9" * 400, 5),
        ("", 5),
    ],
)
def test_a_rate_limit_says_when_to_come_back_within_a_minute(header: str, expected: int) -> None:
    error = CHAT.classify_failure(429, {"retry-after": header}, b"slow down")
    assert type(error) is UpstreamRateLimited
    assert (error.status, error.retry_after_s) == (429, expected)
    assert error.code == "rate_limit_exceeded"


def test_no_retry_after_is_no_number() -> None:
    assert retry_after_s(None) is None
    assert CHAT.classify_failure(429, {}, b"").retry_after_s == 5


@pytest.mark.parametrize("recording", recordings("openai-chat-error"), ids=lambda one: one.name)
def test_recorded_failures_are_told_in_the_providers_words(recording: Recording) -> None:
    error = CHAT.classify_failure(recording.status, {}, recording.response)
    assert error.status == recording.status
    told = json.loads(recording.response)["error"]
    if recording.status == 429:
        assert type(error) is UpstreamRateLimited
        assert "user_2wT5ElBE4Es3R4QrNLpZiXICmQP" not in error.message
        return
    assert type(error) is UpstreamRefused
    assert (error.message, error.code, error.param) == (
        told["message"],
        told["code"],
        told["param"],
    )


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize(
    "told",
    [b"", b"<html>", b"[]", b"{}", b'{"error":[]}', b"[" * 100_000, b'{"error":{"message":7}}'],
)
def test_a_refusal_without_words_is_still_a_refusal(status: int, told: bytes) -> None:
    error = CHAT.classify_failure(status, {}, told)
    assert type(error) is UpstreamRefused
    assert error.status == status
    assert str(status) in error.message


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abc123DEF456",
        "sk-ab***************wxyz",
        "Bearer abc.def.ghi",
        "org-AbCdEf123456",
        "user_2wT5ElBE4Es3R4QrNLpZiXICmQP",
        "https://internal.example.com:8443/v1/x?key=1",
        "http://10.1.2.3/",
        "10.1.2.3:8080",
        "[fd00::1]:443",
        "gateway-7.prod.svc.cluster.local:9000",
        "my-resource.openai.azure.com",
        "localhost:11434",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "0123456789abcdef0123456789abcdef",
        "ops@example.org",
        "gsk_abcdefghijklmnop",
    ],
)
def test_secrets_and_addresses_are_scrubbed(secret: str) -> None:
    for text in (f"failed for {secret} today", f"({secret})", f"at '{secret}', again", secret):
        scrubbed = scrub(text)
        assert secret not in scrubbed
        assert "[" in scrubbed
    told = json.dumps({"error": {"message": f"no {secret}", "code": secret, "param": secret}})
    error = CHAT.classify_failure(400, {}, told.encode())
    _, _, envelope = CHAT.error_body(error, "r")
    assert secret not in envelope.decode()


@pytest.mark.parametrize(
    "harmless",
    [
        "Invalid 'messages[3].content[0].image_url': e.g. gpt-4.1 or claude-sonnet-4.6 takes none.",
        "This model's maximum context length is 128000 tokens; you asked for 130,123.",
        "The model `gpt-5.2-proo` does not exist. Skateboards and keyboards are fine.",
        "temperature must be <= 2.0, was 3.5; see tools[0].function.parameters",
    ],
)
def test_ordinary_words_are_told_as_they_are(harmless: str) -> None:
    assert scrub(harmless) == harmless


def test_a_long_message_is_cut_and_never_in_the_middle_of_a_secret() -> None:
    assert len(scrub("word " * 100_000)) <= MESSAGE_MAX_CHARACTERS
    for length in range(4_060, 4_100):
        text = ("http://x.org/" + "y" * 990 + " ") * 4
        assert "sk-se" not in scrub(text[:length].ljust(length, ".") + " sk-secret1234567890")
    assert "\n" not in scrub("a\nb\x00c")


def test_errors_are_written_in_openais_envelope() -> None:
    status, headers, told = CHAT.error_body(InvalidRequest("No.", param="n"), "id-1")
    assert status == 400
    assert dict(headers) == {
        b"content-type": b"application/json; charset=utf-8",
        b"cache-control": b"no-store",
        b"x-request-id": b"id-1",
        b"x-should-retry": b"false",
    }
    assert json.loads(told) == {
        "error": {
            "message": "No.",
            "type": "invalid_request_error",
            "param": "n",
            "code": "invalid_value",
        }
    }


def test_retry_headers_follow_the_error() -> None:
    _, headers, _ = CHAT.error_body(Overloaded("busy", retry_after_s=3), "i")
    assert (b"retry-after", b"3") in headers
    assert not [value for name, value in headers if name == b"x-should-retry"]
    status, headers, told = CHAT.error_body(InsufficientQuota("short"), "i")
    assert (status, json.loads(told)["error"]["code"]) == (429, "insufficient_quota")
    assert (b"x-should-retry", b"false") in headers


def test_a_stream_error_is_one_event_without_an_end_marker() -> None:
    event = CHAT.stream_error(UpstreamFailed("broken\nline"))
    assert event.startswith(b'data: {"error":{')
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
    assert json.loads(event[6:])["error"]["code"] == "upstream_error"
