"""A4: every place where a vendor tells what was used is read, in whole answers and in streams."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.formats.contract import StreamReader
from gateway.formats.registry import FORMATS, PROVIDER_FORMATS
from gateway.formats.values import ChatCall
from ledger.usage import Usage

CALL = ChatCall("m", True, None, 1, True, {}, b"{}")
TOLD = {"prompt_tokens": 12, "completion_tokens": 24, "total_tokens": 36}
USED = Usage(input=12, output=24)
UNITS = {"billed_units": {"input_tokens": 12, "output_tokens": 24},
         "tokens": {"input_tokens": 1_452, "output_tokens": 33}, "cached_tokens": 144}  # fmt: skip


def chat_places(usage: object) -> dict[str, dict[str, Any]]:
    """By vendor: what an answer, or an event of a stream, has besides its choices."""
    return {
        "OpenAI": {"usage": usage},
        "Groq": {"x_groq": {"id": "req_1", "usage": usage}},
        "Groq, with both": {"usage": usage, "x_groq": {"id": "req_1"}},
        "an empty one, and Groq": {"usage": {}, "x_groq": {"usage": usage}},
        "Moonshot": {"choices": [{"index": 0, "usage": usage}]},
        "Cohere, first version": {"meta": UNITS},
        "Cohere": {"usage": UNITS},
        "a gateway with the words of Responses": {
            "usage": {"input_tokens": 12, "output_tokens": 24, "total_tokens": 36}
        },
    }


VENDORS = tuple(chat_places(TOLD))
NAMES = ("openai_chat", "openai_completions")


def choice_of(format_name: str, *, is_streamed: bool) -> dict[str, Any]:
    if format_name == "openai_completions":
        return {"index": 0, "text": "a", "finish_reason": "stop"}
    told = {"role": "assistant", "content": "a"}
    return {"index": 0, "delta" if is_streamed else "message": told, "finish_reason": "stop"}


def merged(choice: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    choices = [{**choice, **each} for each in extra.get("choices", [{}])]
    return {**extra, "choices": choices}


def sse(*events: object) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def read_stream(name: str, *events: object, end: bytes = b"") -> StreamReader:
    def count(texts: Sequence[str]) -> int:
        return sum(map(len, texts))

    stream = PROVIDER_FORMATS[name].stream(CALL, count)
    stream.feed(sse(*events) + end)
    stream.finish()
    return stream


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("name", NAMES)
def test_a4_whole_chat_and_legacy_completions(name: str, vendor: str) -> None:
    body = merged(choice_of(name, is_streamed=False), chat_places(TOLD)[vendor])
    answer = FORMATS[name].read_answer(json.dumps(body).encode())
    assert (answer.usage, answer.anomaly) == (USED, None)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("name", NAMES)
def test_a4_a_chunk_with_choices(name: str, vendor: str) -> None:
    first = {"id": "1", "x_groq": {"id": "req_1"}, "choices": []}
    last = merged(choice_of(name, is_streamed=True), chat_places(TOLD)[vendor])
    stream = read_stream(name, first, last, end=b"data: [DONE]\n\n")
    assert (stream.usage, stream.anomaly, stream.saw_content) == (USED, None, True)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("name", NAMES)
def test_a4_a_chunk_of_its_own(name: str, vendor: str) -> None:
    extra = chat_places(TOLD)[vendor]
    alone = extra if "choices" in extra else {"choices": [], **extra}
    stream = read_stream(name, {"choices": [choice_of(name, is_streamed=True)]}, alone)
    assert (stream.usage, stream.anomaly) == (USED, None)


@pytest.mark.parametrize("name", NAMES)
def test_a4_a_client_that_asked_is_told_where_it_looks(name: str) -> None:
    choice = choice_of(name, is_streamed=True)
    elsewhere = read_stream(name, {"choices": [choice], "x_groq": {"usage": TOLD}})
    assert elsewhere.closing(USED).startswith(b"data: {")
    assert b'"prompt_tokens":12' in elsewhere.closing(USED)
    in_its_place = read_stream(name, {"choices": [choice], "usage": TOLD})
    assert in_its_place.closing(USED) == b"data: [DONE]\n\n"


def test_a4_other_things_in_these_places_are_no_usage() -> None:
    for extra in ({"meta": {"request": 1}}, {"x_groq": {"id": "r"}}, {"x_groq": "r"}, {"meta": 7}):
        body = merged(choice_of("openai_chat", is_streamed=False), extra)
        answer = FORMATS["openai_chat"].read_answer(json.dumps(body).encode())
        assert (answer.usage, answer.anomaly) == (None, None)
        stream = read_stream(
            "openai_chat", merged(choice_of("openai_chat", is_streamed=True), extra)
        )
        assert (stream.usage, stream.anomaly, stream.saw_content) == (None, None, True)


@pytest.mark.parametrize("thought", [73_997, 500])
def test_a4_perplexitys_deep_research_reads_sources_and_thinks_beside_its_total(
    thought: int,
) -> None:
    told = {"prompt_tokens": 33, "completion_tokens": 7_163, "total_tokens": 7_196,
            "citation_tokens": 20_016, "reasoning_tokens": thought}  # fmt: skip
    body = merged(choice_of("openai_chat", is_streamed=False), {"usage": told})
    answer = FORMATS["openai_chat"].read_answer(json.dumps(body).encode())
    assert (answer.usage, answer.anomaly) == (
        Usage(input=33 + 20_016, output=7_163, reasoning=thought),
        None,
    )


RESPONSE = {"input_tokens": 12, "output_tokens": 24, "total_tokens": 36}


@pytest.mark.parametrize("last", ["response.completed", "response.incomplete", "response.failed"])
@pytest.mark.parametrize("usage", [RESPONSE, TOLD])
@pytest.mark.parametrize("place", ["response", "event", "an earlier event"])
def test_a4_the_last_event_of_a_response(last: str, usage: dict[str, int], place: str) -> None:
    earlier = {"type": "response.in_progress", "response": {"usage": usage}}
    response: dict[str, Any] = {"id": "r", "output": []}
    event: dict[str, Any] = {"type": last, "response": response}
    if place == "response":
        response["usage"] = usage
    elif place == "event":
        event["usage"] = usage
    events = [earlier, event] if place == "an earlier event" else [event]
    stream = read_stream("openai_responses", *events)
    assert (stream.usage, stream.anomaly) == (USED, None)


def test_a4_a_whole_response_in_the_words_of_chat() -> None:
    body = json.dumps({"output": [], "usage": TOLD}).encode()
    answer = FORMATS["openai_responses"].read_answer(body)
    assert (answer.usage, answer.anomaly) == (USED, None)


START: dict[str, Any] = {
    "type": "message_start",
    "message": {"usage": {"input_tokens": 12, "output_tokens": 1}},
}
SAID = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}
STOP: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
END = {"type": "message_stop"}
METRICS = {"inputTokenCount": 12, "outputTokenCount": 24, "invocationLatency": 9}


@pytest.mark.parametrize(
    "events",
    [
        [START, SAID, {**STOP, "usage": {"output_tokens": 24}}, END],
        [
            START,
            SAID,
            {**STOP, "delta": {"stop_reason": "end_turn", "usage": {"output_tokens": 24}}},
            END,
        ],
        [START, SAID, {**STOP, "message": {"usage": {"output_tokens": 24}}}, END],
        [START, SAID, STOP, {**END, "usage": {"output_tokens": 24}}],
        [SAID, STOP, {**END, "amazon-bedrock-invocationMetrics": METRICS}],
        [START, SAID, STOP, {**END, "amazon-bedrock-invocationMetrics": METRICS}],
    ],
)
def test_a4_the_ends_of_a_message(events: list[dict[str, Any]]) -> None:
    stream = read_stream("anthropic_messages", *events)
    assert (stream.usage, stream.anomaly, stream.finished) == (USED, None, True)


@pytest.mark.parametrize("member", ["usageMetadata", "usage_metadata"])
@pytest.mark.parametrize("last", [{}, {"trafficType": "ON_DEMAND"}, None])
def test_a4_usage_in_an_earlier_chunk_of_gemini(member: str, last: object) -> None:
    early = {"promptTokenCount": 12, "candidatesTokenCount": 3, "totalTokenCount": 15}
    told: dict[str, Any] = {
        "promptTokenCount": 12,
        "candidatesTokenCount": 24,
        "totalTokenCount": 36,
    }
    said: dict[str, Any] = {"content": {"parts": [{"text": "a"}]}}
    stream = read_stream(
        "gemini",
        {"candidates": [said], member: early},
        {"candidates": [said], member: told},
        {"candidates": [{**said, "finishReason": "STOP"}], member: last},
    )
    assert (stream.usage, stream.anomaly, stream.finished) == (USED, None, True)
