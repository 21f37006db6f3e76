"""Whole messages, failures and errors in Anthropic's format, and what its usages mean."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    ContextTooLong,
    GatewayError,
    InsufficientQuota,
    InvalidKey,
    InvalidRequest,
    KeyNotAllowed,
    Overloaded,
    UnknownModel,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.formats.anthropic_messages.answers.usage import read_usage, write_usage
from gateway.formats.anthropic_messages.format import AnthropicMessages
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.shared.usage_reader import COUNT_MAX
from gateway.formats.translator import Translators, Whole
from ledger.usage import Usage
from tests.recorded import Recording, recordings

MESSAGES = AnthropicMessages()
WHOLE = [one for one in recordings("anthropic-messages-anthropic") if not one.is_stream]
FAILED = [one for one in recordings("anthropic-messages") if one.status != 200]
USAGE = {"input_tokens": 7, "output_tokens": 3}
SPLIT = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 5,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 50,
    "output_tokens_details": {"thinking_tokens": 20},
}


def body(**members: object) -> bytes:
    content = [{"type": "text", "text": "hi"}]
    return json.dumps({"type": "message", "content": content} | members).encode()


@pytest.mark.parametrize("recording", WHOLE, ids=lambda one: one.name)
def test_a_recorded_answer_has_usage_and_what_was_generated(recording: Recording) -> None:
    answer = MESSAGES.read_answer(recording.response)
    assert answer.error is None
    assert answer.usage is not None
    texts = [one["text"] for one in json.loads(recording.response)["content"] if "text" in one]
    assert set(texts) <= set(answer.output_texts)
    told = recording.usage
    if "iterations" in told:
        assert answer.usage == Usage(input=1_128 + 2_518 + 1_262, output=143 - 28, reasoning=28)
        assert answer.anomaly == "usage_of_other_models"
        return
    assert answer.anomaly is None
    thinking = told.get("output_tokens_details.thinking_tokens", 0)
    assert answer.usage == Usage(
        input=told["input_tokens"],
        cache_read=told["cache_read_input_tokens"],
        output=told["output_tokens"] - thinking,
        reasoning=thinking,
    )


@pytest.mark.parametrize(
    "unreadable",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        body(usage=USAGE)[:-1],
        b"null",
        b"[]",
        b"5",
        b"{}",
        b'{"detail":"nobody home"}',
        b'{"content":null}',
        b'{"content":"text"}',
        b"event: ping\n\n",
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_unreadable(unreadable: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        MESSAGES.read_answer(unreadable)


def test_an_answer_without_usage_has_none_and_nothing_is_wrong_with_it() -> None:
    for one in (body(), body(usage=None)):
        answer = MESSAGES.read_answer(one)
        assert (answer.usage, answer.anomaly, answer.error) == (None, None, None)
        assert answer.output_texts == ("hi",)


def test_odd_blocks_are_counted_or_passed_over() -> None:
    content = [
        {"type": "thinking", "thinking": "T", "signature": "s"},
        {"type": "redacted_thinking", "data": "xxxx"},
        {"type": "tool_use", "id": "toolu_1", "name": "n", "input": {"a": 1}},
        {"type": "text", "text": None},
        7,
    ]
    answer = MESSAGES.read_answer(body(content=content))
    assert answer.output_texts == ("T", "n", '{"a":1}')


# ---------------------------------------------------------------------- usage


def test_cache_writes_are_split_by_lifetime_and_thinking_is_within_the_output() -> None:
    assert read_usage(SPLIT) == (
        Usage(
            input=10, cache_read=5, cache_write_5m=10, cache_write_1h=20, output=30, reasoning=20
        ),
        None,
    )


def test_trap_2_without_a_split_all_was_written_for_five_minutes() -> None:
    told = USAGE | {"cache_creation_input_tokens": 44, "cache_creation": None}
    assert read_usage(told) == (Usage(input=7, cache_write_5m=44, output=3), None)
    lacking = USAGE | {"cache_creation": {"ephemeral_1h_input_tokens": 9}}
    assert read_usage(lacking) == (Usage(input=7, cache_write_1h=9, output=3), None)


def test_trap_2_every_model_call_behind_a_message_counts() -> None:
    compacted = USAGE | {
        "iterations": [
            {"type": "compaction", "input_tokens": 55_196, "output_tokens": 200},
            {"type": "message", "input_tokens": 7, "output_tokens": 3},
        ]
    }
    assert read_usage(compacted) == (Usage(input=55_203, output=203), None)
    assert read_usage(USAGE | {"iterations": []}) == (Usage(input=7, output=3), None)
    assert read_usage(USAGE | {"iterations": None}) == (Usage(input=7, output=3), None)
    one_model = [{"model": "m", **USAGE}, {"model": "m", **USAGE}]
    assert read_usage(USAGE | {"iterations": one_model}) == (Usage(input=14, output=6), None)


@pytest.mark.parametrize("kind", ["fallback_message", "advisor_message"])
def test_trap_2_calls_of_other_models_are_counted_and_told(kind: str) -> None:
    iterations = [
        {"type": "message", "input_tokens": 408, "output_tokens": 0},
        {"type": kind, "model": "claude-opus-4-8", "input_tokens": 7, "output_tokens": 3},
    ]
    told = USAGE | {"iterations": iterations}
    assert read_usage(told) == (Usage(input=415, output=3), "usage_of_other_models")


def test_thinking_told_by_the_iterations_is_not_counted_twice() -> None:
    thinking = {"output_tokens_details": {"thinking_tokens": 2}}
    told = USAGE | thinking | {"iterations": [USAGE | thinking, USAGE]}
    assert read_usage(told) == (Usage(input=14, output=4, reasoning=2), None)


def test_more_thinking_than_output_is_the_output() -> None:
    told = USAGE | {"output_tokens_details": {"thinking_tokens": 50}}
    assert read_usage(told) == (Usage(input=7, reasoning=3), "parts_above_whole")


def test_absence_is_absence_and_zero_is_a_value() -> None:
    assert read_usage(None) == (None, None)
    assert read_usage({"input_tokens": 0, "output_tokens": 0}) == (Usage(), None)
    assert read_usage({"input_tokens": 5}) == (None, "usage_incomplete")
    assert read_usage({"output_tokens": 5}) == (None, "usage_incomplete")
    odd: object
    for odd in ("7", 7, [], True):
        assert read_usage(odd) == (None, "usage_malformed")


@pytest.mark.parametrize("value", [-1, COUNT_MAX + 1, "10", 10.0, True, [], {}])
@pytest.mark.parametrize(
    "name",
    [
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens",
        "output_tokens_details.thinking_tokens",
    ],
)
def test_a_count_that_is_none_spoils_the_usage(name: str, value: object) -> None:
    told = json.loads(json.dumps(SPLIT))
    holder, _, field = name.rpartition(".")
    (told[holder] if holder else told)[field] = value
    assert read_usage(told) == (None, "usage_malformed")
    spoilt = SPLIT | {"iterations": [told]}
    assert read_usage(spoilt) == (None, "usage_malformed")


counts = st.integers(0, 1_000_000)


CLASSES = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")


@given(st.fixed_dictionaries(dict.fromkeys(CLASSES, counts)))
def test_what_was_used_can_be_told_and_read_again(used: dict[str, int]) -> None:
    usage = Usage(**used)
    assert read_usage(write_usage(usage)) == (usage, None)


def test_classes_without_a_word_are_input_and_output() -> None:
    told = write_usage(Usage(input=1, audio_in=2, image_in=4, output=8, audio_out=16, image_out=32))
    assert (told["input_tokens"], told["output_tokens"]) == (7, 56)


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("kind", "expected", "status"),
    [
        ("invalid_request_error", UpstreamRefused, 400),
        ("not_found_error", UpstreamRefused, 404),
        ("request_too_large", UpstreamRefused, 413),
        ("rate_limit_error", UpstreamRateLimited, 429),
        ("authentication_error", UpstreamFailed, 502),
        ("permission_error", UpstreamFailed, 502),
        ("billing_error", UpstreamFailed, 502),
        ("timeout_error", UpstreamFailed, 502),
        ("overloaded_error", UpstreamFailed, 502),
        ("api_error", UpstreamFailed, 502),
        ("a_new_one", UpstreamFailed, 502),
        (None, UpstreamFailed, 502),
    ],
)
def test_an_error_under_status_200_is_an_error(
    kind: str | None, expected: type[GatewayError], status: int
) -> None:
    told = {"type": "error", "error": {"type": kind, "message": "no"}}
    answer = MESSAGES.read_answer(json.dumps(told).encode())
    assert type(answer.error) is expected
    assert answer.error.status == status
    bare = MESSAGES.read_answer(json.dumps({"error": told["error"]}).encode())
    assert type(bare.error) is expected


@pytest.mark.parametrize("recording", FAILED, ids=lambda one: one.name)
def test_recorded_failures_are_told_in_the_providers_words(recording: Recording) -> None:
    error = MESSAGES.classify_failure(recording.status, {}, recording.response)
    assert type(error) is UpstreamRefused
    assert (error.status, error.message) == (
        recording.status,
        json.loads(recording.response)["error"]["message"],
    )
    assert error.code == ("model_not_found" if recording.status == 404 else "invalid_value")


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (401, "authentication_error", "invalid x-api-key"),
        (403, "permission_error", "not allowed for org-AbCdEf123456"),
        (400, "invalid_request_error", "Your credit balance is too low to access the API."),
        (402, "billing_error", "pay"),
        (500, "api_error", "at http://10.0.0.1"),
        (529, "overloaded_error", "Overloaded"),
    ],
)
def test_what_concerns_us_alone_is_not_told(status: int, kind: str, message: str) -> None:
    told = {"type": "error", "error": {"type": kind, "message": message}}
    error = MESSAGES.classify_failure(status, {}, json.dumps(told).encode())
    assert type(error) is UpstreamFailed
    _, _, shown = MESSAGES.error_body(error, "r")
    assert message not in shown.decode()


@pytest.mark.parametrize("status", [400, 404, 413])
@pytest.mark.parametrize(
    "told",
    [b"", b"<html>", b"[]", b"{}", b'{"error":[]}', b"[" * 100_000, b'{"error":{"message":7}}'],
)
def test_a_refusal_without_words_is_still_a_refusal(status: int, told: bytes) -> None:
    error = MESSAGES.classify_failure(status, {}, told)
    assert type(error) is UpstreamRefused
    assert (error.status, str(status) in error.message) == (status, True)


def test_a_rate_limit_says_when_to_come_back() -> None:
    error = MESSAGES.classify_failure(429, {"retry-after": "7"}, b"slow down")
    assert (type(error), error.retry_after_s) == (UpstreamRateLimited, 7)


def test_a_prompt_that_is_too_long_is_known_as_such_in_both_directions() -> None:
    told = {"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum"}}
    error = MESSAGES.classify_failure(400, {}, json.dumps(told).encode())
    assert error.code == "context_length_exceeded"
    _, _, same = MESSAGES.error_body(error, "r")
    assert json.loads(same)["error"]["message"] == told["error"]["message"]
    _, _, other = MESSAGES.error_body(ContextTooLong("This model's maximum is 8 tokens."), "r")
    assert json.loads(other)["error"]["message"] == (
        "prompt is too long: This model's maximum is 8 tokens."
    )


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidRequest("No."), 400, "invalid_request_error"),
        (InvalidKey("No."), 401, "authentication_error"),
        (InsufficientQuota("No."), 402, "billing_error"),
        (KeyNotAllowed("No."), 403, "permission_error"),
        (UnknownModel("No."), 404, "not_found_error"),
        (UpstreamRefused("No.", status=413), 413, "request_too_large"),
        (UpstreamRefused("No.", status=422), 422, "invalid_request_error"),
        (UpstreamRateLimited("No."), 429, "rate_limit_error"),
        (UpstreamFailed("No."), 502, "api_error"),
        (UpstreamTimeout("No."), 504, "timeout_error"),
        (Overloaded("No."), 529, "overloaded_error"),
        (GatewayError("No."), 500, "api_error"),
    ],
)
def test_errors_are_written_in_anthropics_envelope(
    error: GatewayError, status: int, kind: str
) -> None:
    told_status, headers, told = MESSAGES.error_body(error, "id-1")
    assert told_status == status
    assert json.loads(told) == {
        "type": "error",
        "error": {"type": kind, "message": "No."},
        "request_id": "id-1",
    }
    assert dict(headers)[b"request-id"] == dict(headers)[b"x-request-id"] == b"id-1"
    event = MESSAGES.stream_error(error)
    assert event.startswith(b'event: error\ndata: {"type":"error","error":{')
    assert (event.count(b"\n"), event.endswith(b"\n\n")) == (3, True)


def test_retry_headers_follow_the_error() -> None:
    _, headers, _ = MESSAGES.error_body(Overloaded("busy", retry_after_s=3), "i")
    assert (b"retry-after", b"3") in headers
    _, headers, _ = MESSAGES.error_body(InsufficientQuota("short"), "i")
    assert (b"x-should-retry", b"false") in headers


# ---------------------------------------------------------------------- as a stream


@pytest.mark.parametrize("recording", WHOLE, ids=lambda one: one.name)
def test_a_whole_answer_as_a_stream_is_read_as_the_same_usage(recording: Recording) -> None:
    document: dict[str, Any] = {**recording.document, "stream": True}
    call = MESSAGES.read_request(document, b"")
    stream = MESSAGES.stream(call, len)
    pieces = stream.feed(MESSAGES.as_stream(call, recording.response))
    assert (pieces[-1].kind, stream.finished) == ("end", True)
    assert stream.usage == MESSAGES.read_answer(recording.response).usage


@pytest.mark.parametrize(
    "odd", [b"{}", b'{"content":5}', b'{"content":[5]}', b'{"content":[{"type":"text"}]}', b"x"]
)
def test_what_has_no_form_as_a_stream_is_unreadable(odd: bytes) -> None:
    document = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
    call = MESSAGES.read_request(document | {"stream": True}, b"")
    answer = MESSAGES.read_answer(b'{"content":[]}')
    with pytest.raises(UnreadableAnswer):
        Translators(MESSAGES, {}).to(MESSAGES.name).told(call, Whole(answer, odd), Usage())
