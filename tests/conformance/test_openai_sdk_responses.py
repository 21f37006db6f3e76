"""The real OpenAI SDK's Responses against the running gateway, over providers of three kinds."""

import json
from collections.abc import Iterable
from typing import Any, cast

import openai
import pytest
from openai import OpenAI

from ledger.usage import Usage
from tests.bookkeeping import Payer
from tests.fake_provider import (
    FakeProvider,
    Script,
    completion,
    event_chunk,
    head,
    stream,
    whole,
)
from tests.recorded import Recording, recordings
from tests.running import InProcess

ECHO, CHAT, OWN = "echo-r", "chat-behind", "responses-behind"
RECORDED = [
    each
    for each in recordings("openai-responses-responses")
    if "background" not in each.name and "cached" not in each.name
]
TOOL: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
CALLING = {
    "role": "assistant",
    "content": "I look",
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    ],
}


@pytest.fixture(scope="module")
def payer(gateway: InProcess, provider: FakeProvider) -> Payer:
    books = gateway.books
    books.channel([ECHO])
    books.channel({CHAT: "up"}, type_="openai", base_url=provider.base_url("c"), keys=["k"])
    books.channel(
        {OWN: "up"}, type_="openai_responses", base_url=provider.base_url("r"), keys=["k"]
    )
    for model in (ECHO, CHAT, OWN):
        books.price(model, input=1, cache_read=0.1, output=8)
    answer = completion(usage={"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13})
    answer["choices"][0] |= {"message": CALLING, "finish_reason": "tool_calls"}
    provider.scripts["calling"] = whole(answer)
    provider.scripts["streamed"] = stream(["a", " stream"])
    for recording in RECORDED:
        provider.scripts[recording.name] = replayed(recording)
    return books.payer(50)


def replayed(recording: Recording) -> Script:
    if not recording.is_stream:
        return whole(recording.response)
    body = recording.response
    chunks = [event_chunk(body[at : at + 4_001]) for at in range(0, len(body), 4_001)]
    opening = head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    return (opening, *chunks, b"0\r\n\r\n")


def billed(gateway: InProcess, raw: Any) -> Usage:  # noqa: ANN401 - the SDK's own type
    usage = gateway.books.story(raw.headers["x-request-id"]).settled.usage
    assert isinstance(usage, Usage)
    return usage


def told(usage: Any) -> tuple[int, int, int, int]:  # noqa: ANN401 - the SDK's own type
    return (
        usage.input_tokens,
        usage.input_tokens_details.cached_tokens,
        usage.output_tokens,
        usage.output_tokens_details.reasoning_tokens,
    )


def as_told(usage: Usage) -> tuple[int, int, int, int]:
    given = usage.input + usage.cache_read + usage.cache_write_5m
    return given, usage.cache_read, usage.output + usage.reasoning, usage.reasoning


@pytest.mark.parametrize("model", [ECHO, CHAT])
def test_a_whole_answer_of_a_chat_provider(gateway: InProcess, sdk: OpenAI, model: str) -> None:
    raw = sdk.responses.with_raw_response.create(model=model, input="hello brave new world")
    answer = raw.parse()
    expected = "hello brave new world" if model == ECHO else "a fine answer"
    assert answer.output_text == expected
    assert (answer.status, answer.model) == ("completed", model)
    assert answer.usage is not None
    assert told(answer.usage) == as_told(billed(gateway, raw))


@pytest.mark.parametrize(("model", "script"), [(ECHO, "x"), (CHAT, "streamed")])
def test_a_stream_of_a_chat_provider(
    gateway: InProcess, sdk: OpenAI, model: str, script: str
) -> None:
    raw = sdk.responses.with_raw_response.create(
        model=model, input="hello brave", stream=True, metadata={"script": script}
    )
    events = list(raw.parse())
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last: Any = events[-1]
    assert said == last.response.output_text == ("hello brave" if model == ECHO else "a stream")
    assert told(last.response.usage) == as_told(billed(gateway, raw))


def test_a_call_of_a_tool_and_its_result(sdk: OpenAI, provider: FakeProvider) -> None:
    asked: Any = [{"role": "user", "content": "weather?"}]
    answer = sdk.responses.create(
        model=CHAT, input=asked, tools=[TOOL], metadata={"script": "calling"}
    )
    assert [item.type for item in answer.output] == ["message", "function_call"]
    call: Any = answer.output[1]
    assert (call.name, call.arguments) == ("weather", "{}")
    asked += [item.model_dump() for item in answer.output]
    asked.append({"type": "function_call_output", "call_id": call.call_id, "output": "rain"})
    after = sdk.responses.create(model=CHAT, input=asked, tools=[TOOL])
    assert after.output_text == "a fine answer"
    sent = provider.received[-1].json()["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    assert sent[1]["content"] == "I look"
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "c1"


def test_structured_output_and_an_image_reach_a_chat_provider(
    sdk: OpenAI, provider: FakeProvider
) -> None:
    image = "data:image/png;base64,iVBORw0KGgo="
    sdk.responses.create(
        model=CHAT,
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "what is it?"},
                    {"type": "input_image", "image_url": image, "detail": "low"},
                ],
            }
        ],
        text={"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}},
    )
    sent = provider.received[-1].json()
    assert sent["messages"][0]["content"][1]["image_url"] == {"url": image, "detail": "low"}
    assert sent["response_format"]["json_schema"]["name"] == "s"


@pytest.mark.parametrize("recording", RECORDED, ids=lambda each: each.name)
def test_a_recording_passes_byte_for_byte_and_is_billed_as_it_tells(
    gateway: InProcess, sdk: OpenAI, recording: Recording
) -> None:
    document = recording.document | {"model": OWN, "metadata": {"script": recording.name}}
    document.pop("previous_response_id", None)
    document.pop("service_tier", None)
    raw = sdk.responses.with_raw_response.create(**document)
    if recording.is_stream:
        last: Any = list(raw.parse())[-1]
        answer = last.response
    else:
        assert raw.content == recording.response
        answer = raw.parse()
    usage = billed(gateway, raw)
    assert told(answer.usage) == as_told(usage)


def test_a_stream_that_breaks_off_raises_the_sdks_error(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    event = {"type": "response.output_text.delta", "delta": "half", "output_index": 0}
    failed = {"type": "response.failed", "response": {"error": {"message": "at 10.0.0.1"}}}
    opening = head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    provider.scripts["failing"] = (
        opening,
        *(event_chunk(b"data: " + json.dumps(one).encode() + b"\n\n") for one in (event, failed)),
        b"0\r\n\r\n",
    )
    raw = sdk.responses.with_raw_response.create(
        model=OWN, input="x", stream=True, metadata={"script": "failing"}
    )
    with pytest.raises(openai.APIError) as failure:
        list(raw.parse())
    assert "10.0.0.1" not in str(failure.value)
    assert gateway.books.story(raw.headers["x-request-id"]).settled.basis == "estimated"


FAILED: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "failed",
    "error": {"code": "server_error", "message": "at 10.0.0.1"},
    "output": [],
    "usage": {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13},
}


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def failed_script(request: pytest.FixtureRequest, provider: FakeProvider) -> bool:
    """A response that failed before it said anything, and was billed by the provider."""
    if request.param:
        event = {"type": "response.failed", "response": FAILED}
        opening = head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        told = event_chunk(b"data: " + json.dumps(event).encode() + b"\n\n")
        provider.scripts["failed"] = (opening, told, b"0\r\n\r\n")
    else:
        provider.scripts["failed"] = whole(FAILED)
    return bool(request.param)


def test_a_failed_response_is_billed_as_the_provider_bills_it(
    gateway: InProcess, sdk: OpenAI, failed_script: bool
) -> None:
    with pytest.raises(openai.InternalServerError) as failure:
        sdk.responses.create(
            model=OWN, input="x", stream=failed_script, metadata={"script": "failed"}
        )
    assert "10.0.0.1" not in str(failure.value)
    story = gateway.books.story(failure.value.request_id or "")
    settled = story.settled
    assert settled.usage == Usage(input=9, output=4, calls=1)
    assert (settled.basis, settled.ending) == ("measured", "provider_error")
    assert settled.charged_nanos == 9 * 1_000 + 4 * 8_000
    assert [attempt.outcome for attempt in settled.attempts] == ["failed"]


def test_a_failed_response_is_not_billed_where_another_channel_answers(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider, failed_script: bool
) -> None:
    model = f"twice-{failed_script}"
    gateway.books.channel(
        {model: "up"},
        type_="openai_responses",
        base_url=provider.base_url("r"),
        keys=["k"],
        priority=1,
    )
    second = gateway.books.channel([model])
    gateway.books.price(model, input=1, output=8)
    raw = sdk.responses.with_raw_response.create(
        model=model, input="x", stream=failed_script, metadata={"script": "failed"}
    )
    if failed_script:
        assert list(cast("Iterable[Any]", raw.parse()))[-1].type == "response.completed"
    settled = gateway.books.story(raw.headers["x-request-id"]).settled
    assert settled.channel_id == second
    assert [attempt.outcome for attempt in settled.attempts] == ["failed", "answered"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ],
)
def test_what_nobody_here_can_keep_is_refused_clearly(
    sdk: OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk.responses.create(model=ECHO, input="x", **fields)
    assert (refusal.value.code, refusal.value.param) == ("unsupported_parameter", param)
