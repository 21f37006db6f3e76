"""Usage as providers really tell it: one test for each trap seen in recorded traffic."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.formats.registry import FORMATS, PROVIDER_FORMATS
from gateway.formats.shared.openai_usage import read_usage, write_usage
from gateway.formats.shared.usage_reader import COUNT_MAX
from ledger.usage import CLASSES, Usage
from tests.recorded import Recording, recordings

CHAT = FORMATS["openai_chat"]
ANSWERED = [one for one in recordings("openai-chat") if one.status == 200]
INPUT = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in")
OUTPUT = ("output", "reasoning", "audio_out", "image_out")


def told(prompt: int, completion: int, total: int | None = None, **details: int) -> dict[str, Any]:
    """A usage; details are named `in_cached_tokens`, `out_reasoning_tokens`, ..."""
    usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
    if total is not None:
        usage["total_tokens"] = total
    for name, count in details.items():
        side, _, field = name.partition("_")
        whole = "prompt_tokens_details" if side == "in" else "completion_tokens_details"
        usage.setdefault(whole, {})[field] = count
    return usage


def total_of(usage: Usage, names: tuple[str, ...]) -> int:
    return sum(getattr(usage, name) for name in names)


def used_in(recording: Recording) -> Usage:
    if not recording.is_stream:
        answer = CHAT.read_answer(recording.response)
        assert answer.anomaly is None
        assert answer.usage is not None
        return answer.usage
    call = CHAT.read_request(recording.document, recording.request.encode())
    stream = CHAT.stream(call, len)
    stream.feed(recording.response)
    assert stream.anomaly is None
    assert stream.usage is not None
    return stream.usage


@pytest.mark.parametrize("recording", ANSWERED, ids=lambda one: one.name)
def test_the_disjoint_classes_sum_to_the_providers_totals(recording: Recording) -> None:
    usage, provider = used_in(recording), recording.usage
    assert total_of(usage, INPUT) == provider["prompt_tokens"]
    assert total_of(usage, OUTPUT) == provider["completion_tokens"]
    assert total_of(usage, CLASSES) == provider["total_tokens"]
    assert usage.cache_read == provider["prompt_tokens_details.cached_tokens"]
    assert usage.reasoning == provider["completion_tokens_details.reasoning_tokens"]
    written = provider.get("prompt_tokens_details.cache_write_tokens", 0)
    assert usage.cache_write_5m == written


@pytest.mark.parametrize("recording", ANSWERED, ids=lambda one: one.name)
def test_what_was_read_can_be_told_again(recording: Recording) -> None:
    usage = used_in(recording)
    assert read_usage(write_usage(usage)) == (usage, None)


def test_cached_and_reasoning_tokens_are_within_their_totals() -> None:
    usage = told(100, 50, 150, in_cached_tokens=60, in_audio_tokens=10, out_reasoning_tokens=30)
    assert read_usage(usage) == (
        Usage(input=30, cache_read=60, audio_in=10, output=20, reasoning=30),
        None,
    )


def test_trap_3_xai_leaves_reasoning_out_of_completion() -> None:
    usage = told(10, 5, 315, out_reasoning_tokens=300)
    assert read_usage(usage) == (Usage(input=10, output=5, reasoning=300), None)
    small = told(10, 50, 90, out_reasoning_tokens=30)
    assert read_usage(small) == (Usage(input=10, output=50, reasoning=30), None)


@pytest.mark.parametrize("total", [None, 15, 2_639])
def test_trap_3_gemini_behind_a_gateway_has_more_reasoning_than_completion(
    total: int | None,
) -> None:
    usage = told(10, 5, total, out_reasoning_tokens=2_624)
    assert read_usage(usage) == (Usage(input=10, output=5, reasoning=2_624), None)


def test_trap_4_cached_above_prompt_is_clamped_and_told() -> None:
    usage = told(100, 5, 105, in_cached_tokens=128)
    assert read_usage(usage) == (Usage(cache_read=100, output=5), "cached_above_prompt")


def test_trap_5_mistral_leaves_audio_out_of_prompt() -> None:
    usage = told(9, 248, 632, in_audio_tokens=375)
    assert read_usage(usage) == (Usage(input=9, audio_in=375, output=248), None)
    both = told(400, 20, 450, in_audio_tokens=10, out_reasoning_tokens=20)
    assert read_usage(both) == (
        Usage(input=400, audio_in=10, output=20, reasoning=20),
        None,
    )


def test_trap_5_hidden_thoughts_are_reasoning() -> None:
    odd = "thoughts_in_total_alone"
    assert read_usage(told(10, 5, 115)) == (Usage(input=10, output=5, reasoning=100), odd)
    shown = told(10, 5, 115, out_reasoning_tokens=2)
    assert read_usage(shown) == (Usage(input=10, output=3, reasoning=102), odd)
    unsaid = {"prompt_tokens": 10, "total_tokens": 110}
    assert read_usage(unsaid) == (Usage(input=10, reasoning=100), odd)


def test_trap_7_usage_rides_on_the_last_choice_comments_pass_and_no_end_marker_comes() -> None:
    call = replace(CHAT.read_request(ANSWERED[0].document, ANSWERED[0].request.encode()), choices=1)
    stream = CHAT.stream(call, len)
    for usage, reason in ((told(9, 1), None), (told(9, 2), None), (told(9, 5, 14), "stop")):
        choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": reason}
        event = json.dumps({"choices": [choice], "usage": usage}).encode()
        stream.feed(b": OPENROUTER PROCESSING\r\n\r\ndata: " + event + b"\r\n\r\n")
    assert stream.finished
    assert stream.usage == Usage(input=9, output=5)  # cumulative: the last, and no sum


def test_trap_8_cache_writes_are_within_the_prompt() -> None:
    usage = told(100, 5, 105, in_cached_tokens=50, in_cache_write_tokens=30)
    assert read_usage(usage) == (
        Usage(input=20, cache_read=50, cache_write_5m=30, output=5),
        None,
    )


def test_trap_8_cache_writes_are_within_the_input_of_a_response() -> None:
    details = {"cached_tokens": 50, "cache_write_tokens": 30}
    usage = {"input_tokens": 100, "output_tokens": 5, "input_tokens_details": details}
    body = {"output": [], "usage": usage}
    answer = FORMATS["openai_responses"].read_answer(json.dumps(body).encode())
    assert answer.usage == Usage(input=20, cache_read=50, cache_write_5m=30, output=5)


def test_deepseek_and_moonshot_tell_cache_hits_elsewhere() -> None:
    hits = told(100, 5, 105) | {"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36}
    assert read_usage(hits) == (Usage(input=36, cache_read=64, output=5), None)
    flat = told(100, 5, 105) | {"cached_tokens": 64}
    assert read_usage(flat) == (Usage(input=36, cache_read=64, output=5), None)
    zero = told(100, 5, 105, in_cached_tokens=0) | {"prompt_cache_hit_tokens": 64}
    assert read_usage(zero) == (Usage(input=100, output=5), None)


def test_images_and_audio_that_are_cached_too_are_counted_once() -> None:
    usage = told(300, 5, 305, in_cached_tokens=290, in_image_tokens=256)
    assert read_usage(usage) == (Usage(cache_read=290, image_in=10, output=5), None)


def test_generated_audio_and_images_are_apart_from_text() -> None:
    usage = told(10, 100, 110, out_audio_tokens=70, out_image_tokens=20)
    assert read_usage(usage) == (Usage(input=10, output=10, audio_out=70, image_out=20), None)


def test_absence_is_absence_and_zero_is_a_value() -> None:
    assert read_usage(None) == (None, None)
    assert read_usage(told(0, 0, 0)) == (Usage(), None)
    nulls = told(7, 3) | {"total_tokens": None, "prompt_tokens_details": None}
    nulls["completion_tokens_details"] = {"reasoning_tokens": None}
    assert read_usage(nulls) == (Usage(input=7, output=3), None)
    assert read_usage({}) == (None, "usage_incomplete")
    assert read_usage({"completion_tokens": 5}) == (None, "usage_incomplete")
    assert read_usage({"prompt_tokens": 5}) == (None, "usage_incomplete")


@pytest.mark.parametrize("value", [-1, 10**18, COUNT_MAX + 1, "10", 10.0, 1e9, True, [], {}])
@pytest.mark.parametrize(
    "name",
    [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "prompt_tokens_details.cached_tokens",
        "prompt_tokens_details.cache_write_tokens",
        "prompt_tokens_details.audio_tokens",
        "completion_tokens_details.reasoning_tokens",
    ],
)
def test_a_count_that_is_none_spoils_the_usage(name: str, value: object) -> None:
    usage = told(10, 5, 15, in_cached_tokens=1, out_reasoning_tokens=1)
    holder, _, field = name.rpartition(".")
    (usage[holder] if holder else usage)[field] = value
    if name == "prompt_tokens_details" and value == {}:
        assert read_usage(usage)[1] is None
        return
    assert read_usage(usage) == (None, "usage_malformed")
    body = json.dumps({"choices": [], "usage": usage}).encode()
    answer = CHAT.read_answer(body)
    assert (answer.usage, answer.anomaly) == (None, "usage_malformed")


@pytest.mark.parametrize("value", ["7", 7, [], True, [7], float("nan")])
def test_a_usage_that_is_no_object_is_malformed(value: object) -> None:
    assert read_usage(value) == (None, "usage_malformed")


def test_a_total_below_its_parts_is_not_believed() -> None:
    assert read_usage(told(10, 5, 14)) == (None, "total_below_parts")
    assert read_usage(told(10, 5, 0)) == (Usage(input=10, output=5), None)


counts = st.one_of(st.integers(0, 50), st.sampled_from([0, COUNT_MAX]))


@given(counts, counts, counts, counts, counts, counts, counts, st.booleans())
def test_classes_stay_disjoint_and_hold_every_token_that_was_told(
    prompt: int,
    completion: int,
    beyond: int,
    cached: int,
    written: int,
    audio: int,
    reasoning: int,
    has_total: bool,
) -> None:
    total = min(prompt + completion + beyond, COUNT_MAX) if has_total else None
    usage, anomaly = read_usage(
        told(
            prompt,
            completion,
            total,
            in_cached_tokens=cached,
            in_cache_write_tokens=written,
            in_audio_tokens=audio,
            out_reasoning_tokens=reasoning,
        )
    )
    if usage is None:
        assert anomaly == "total_below_parts"
        return
    sums = {0, audio} | {cached, cached + audio} if anomaly == "cache_beside_prompt" else {0, audio}
    sums |= {each + written for each in sums} if anomaly == "cache_beside_prompt" else set()
    assert total_of(usage, INPUT) - prompt in sums
    assert total_of(usage, OUTPUT) >= completion
    assert total_of(usage, CLASSES) >= (total or 0) or anomaly == "total_above_parts"
    assert usage.reasoning >= reasoning
    hidden = usage.reasoning - reasoning
    assert not hidden or anomaly == "thoughts_in_total_alone"


A3 = told(479, 373, 14_164, in_cached_tokens=13_312)


def test_a3_a_cache_that_the_total_shows_beside_the_prompt_is_no_output() -> None:
    usage = Usage(input=479, cache_read=13_312, output=373)
    assert read_usage(A3) == (usage, "cache_beside_prompt")
    assert read_usage(A3 | {"total_tokens": 479 + 373})[1] == "cached_above_prompt"


@pytest.mark.parametrize(
    ("usage", "expected", "anomaly"),
    [
        (
            told(10, 5, 135, in_cached_tokens=100, out_reasoning_tokens=20),
            Usage(input=10, cache_read=100, output=5, reasoning=20),
            "cache_beside_prompt",
        ),
        (
            told(10, 50, 160, in_cached_tokens=100, out_reasoning_tokens=20),
            Usage(input=10, cache_read=100, output=30, reasoning=20),
            "cache_beside_prompt",
        ),
        (
            told(10, 5, 145, in_cached_tokens=100, in_cache_write_tokens=30),
            Usage(input=10, cache_read=100, cache_write_5m=30, output=5),
            "cache_beside_prompt",
        ),
        (
            told(500, 5, 535, in_cached_tokens=100, in_cache_write_tokens=30),
            Usage(input=400, cache_read=100, cache_write_5m=30, output=5),
            "cache_beside_prompt",
        ),
        (
            told(10, 5, 85, out_image_tokens=70),
            Usage(input=10, output=5, image_out=70),
            "parts_beside_whole",
        ),
        (
            told(10, 5, 85, in_image_tokens=70),
            Usage(input=10, image_in=70, output=5),
            "parts_beside_whole",
        ),
        # Nothing makes up what the total has more: it is charged as nothing, and named.
        (
            told(500, 5, 600, in_cached_tokens=64),
            Usage(input=436, cache_read=64, output=5),
            "total_above_parts",
        ),
        (
            told(500, 50, 600, in_audio_tokens=64, out_reasoning_tokens=20),
            Usage(input=436, audio_in=64, output=30, reasoning=20),
            "total_above_parts",
        ),
    ],
)
def test_a3_parts_lie_where_the_total_says_and_what_it_cannot_explain_is_no_output(
    usage: dict[str, Any], expected: Usage, anomaly: str
) -> None:
    assert read_usage(usage) == (expected, anomaly)
    body = json.dumps({"choices": [], "usage": usage}).encode()
    for format_name in ("openai_chat", "openai_completions"):
        answer = FORMATS[format_name].read_answer(body)
        assert (answer.usage, answer.anomaly) == (expected, anomaly)
    stream = CHAT.stream(CHAT.read_request(ANSWERED[0].document, b"{}"), len)
    stream.feed(b"data: " + body + b"\n\n")
    assert (stream.usage, stream.anomaly) == (expected, anomaly)


def response(given: int, made: int, total: int, cached: int, reasoning: int) -> dict[str, Any]:
    return {
        "input_tokens": given,
        "output_tokens": made,
        "total_tokens": total,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens_details": {"reasoning_tokens": reasoning},
    }


@pytest.mark.parametrize(
    ("usage", "expected", "anomaly"),
    [
        (
            response(479, 373, 14_164, 13_312, 0),
            Usage(input=479, cache_read=13_312, output=373),
            "cache_beside_prompt",
        ),
        (response(10, 5, 35, 0, 20), Usage(input=10, output=5, reasoning=20), None),
        (response(10, 5, 99, 0, 0), Usage(input=10, output=5), "total_above_parts"),
        (response(10, 5, 14, 0, 0), None, "total_below_parts"),
    ],
)
def test_a3_the_total_of_a_response(
    usage: dict[str, Any], expected: Usage | None, anomaly: str | None
) -> None:
    body = json.dumps({"output": [], "usage": usage}).encode()
    answer = FORMATS["openai_responses"].read_answer(body)
    assert (answer.usage, answer.anomaly) == (expected, anomaly)


@pytest.mark.parametrize(
    ("usage", "expected", "anomaly"),
    [
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 115,
             "cachedContentTokenCount": 100},
            Usage(input=10, cache_read=100, output=5),
            "cache_beside_prompt",
        ),
        (
            {"promptTokenCount": 200, "candidatesTokenCount": 5, "totalTokenCount": 250,
             "cachedContentTokenCount": 100},
            Usage(input=100, cache_read=100, output=5),
            "total_above_parts",
        ),
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 50, "totalTokenCount": 60,
             "thoughtsTokenCount": 30},
            Usage(input=10, output=20, reasoning=30),
            "parts_within_whole",
        ),
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 50, "totalTokenCount": 60,
             "toolUsePromptTokenCount": 7},
            Usage(input=10, output=50),
            "parts_within_whole",
        ),
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 14},
            Usage(input=10, output=5),
            "total_below_parts",
        ),
    ],
)  # fmt: skip
def test_a3_the_total_of_gemini(usage: dict[str, Any], expected: Usage, anomaly: str) -> None:
    body = json.dumps({"candidates": [], "usageMetadata": usage}).encode()
    answer = FORMATS["gemini"].read_answer(body)
    assert (answer.usage, answer.anomaly) == (expected, anomaly)


@pytest.mark.parametrize(
    ("total", "anomaly"),
    [(110, None), (115, None), (10, None), (150, "total_above_parts"), (50, "total_below_parts")],
)
def test_a3_the_total_of_converse_has_the_cache_or_leaves_it_out(
    total: int, anomaly: str | None
) -> None:
    told_usage = {"inputTokens": 7, "outputTokens": 3, "cacheReadInputTokens": 100,
                  "cacheWriteInputTokens": 5, "totalTokens": total}  # fmt: skip
    document = {"output": {"message": {"content": []}}, "usage": told_usage}
    answer = PROVIDER_FORMATS["bedrock_converse"].read_answer(json.dumps(document).encode())
    expected = Usage(input=7, cache_read=100, cache_write_5m=5, output=3)
    assert (answer.usage, answer.anomaly) == (expected, anomaly)
