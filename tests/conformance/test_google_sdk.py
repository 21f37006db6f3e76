"""The real google-genai SDK against the running gateway, over providers of three formats."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from ledger.usage import Usage
from tests.bookkeeping import Payer
from tests.fake_provider import FakeProvider, Script, completion, event_chunk, head, stream, whole
from tests.recorded import Recording, recordings
from tests.running import InProcess

ECHO, CHAT, OWN = "echo-g", "vendor/chat:2", "gemini-behind"
RECORDED = [
    each for each in recordings("gemini-generate-gemini") if "cachedcontent" not in each.name
]
TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            description="of a city",
            parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}},
        )
    ]
)
CALLING = {
    "role": "assistant",
    "content": "I look",
    "tool_calls": [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Riga"}'},
        }
    ],
}


@pytest.fixture(scope="module")
def payer(gateway: InProcess, provider: FakeProvider) -> Payer:
    books = gateway.books
    books.channel([ECHO])
    books.channel({CHAT: "up"}, type_="openai", base_url=provider.base_url("gc"), keys=["k"])
    books.channel(
        {OWN: "up"},
        type_="gemini",
        base_url=provider.base_url("go").removesuffix("/v1"),
        keys=["secret-google-key"],
    )
    for model in (ECHO, CHAT, OWN):
        books.price(model, input=1, cache_read=0.1, output=8)
    answer = completion()
    answer["choices"][0] |= {"message": CALLING, "finish_reason": "tool_calls"}
    provider.scripts["gc/calling"] = whole(answer)
    provider.scripts["gc/streamed"] = stream(["a", " stream"])
    return books.payer(50)


@pytest.fixture
def sdk(gateway: InProcess, payer: Payer) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=gateway.base_url, timeout=20_000)
    client = genai.Client(api_key=payer.key, http_options=options)
    yield client
    client.close()


def told(usage: types.GenerateContentResponseUsageMetadata | None) -> tuple[int, int, int, int]:
    assert usage is not None
    return (
        usage.prompt_token_count or 0,
        usage.cached_content_token_count or 0,
        usage.candidates_token_count or 0,
        usage.thoughts_token_count or 0,
    )


def last_billed(gateway: InProcess, payer: Payer) -> Usage:
    usage = gateway.books.stories(payer.account_id)[-1].settled.usage
    assert isinstance(usage, Usage)
    return usage


def as_told(usage: Usage) -> tuple[int, int, int, int]:
    return usage.input + usage.cache_read, usage.cache_read, usage.output, usage.reasoning


@pytest.mark.parametrize("model", [ECHO, CHAT])
def test_a_whole_answer_of_a_chat_provider(
    gateway: InProcess, payer: Payer, sdk: genai.Client, model: str
) -> None:
    answer = sdk.models.generate_content(model=model, contents="hello brave new world")
    assert answer.text == ("hello brave new world" if model == ECHO else "a fine answer")
    assert told(answer.usage_metadata) == as_told(last_billed(gateway, payer))


def test_a_stream_of_a_chat_provider(gateway: InProcess, payer: Payer, sdk: genai.Client) -> None:
    chunks = list(sdk.models.generate_content_stream(model=ECHO, contents="hello brave"))
    assert "".join(chunk.text or "" for chunk in chunks) == "hello brave"
    candidates = chunks[-1].candidates
    assert candidates is not None
    assert candidates[0].finish_reason == types.FinishReason.STOP
    assert told(chunks[-1].usage_metadata) == as_told(last_billed(gateway, payer))


def test_a_call_of_a_tool_and_its_result(sdk: genai.Client, provider: FakeProvider) -> None:
    provider.scripts["gc/fine"] = provider.scripts["gc/calling"]
    config = types.GenerateContentConfig(
        tools=[TOOL],
        system_instruction="be brief",
        max_output_tokens=99,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    asked: Any = [types.UserContent("weather?")]
    answer = sdk.models.generate_content(model=CHAT, contents=asked, config=config)
    del provider.scripts["gc/fine"]
    (called,) = answer.function_calls or []
    assert (called.name, called.args, called.id) == ("weather", {"city": "Riga"}, "c1")
    assert answer.candidates is not None
    asked.append(answer.candidates[0].content)
    result = types.Part.from_function_response(name="weather", response={"output": "rain"})
    result.function_response.id = called.id  # type: ignore[union-attr]
    asked.append(types.UserContent([result]))
    after = sdk.models.generate_content(model=CHAT, contents=asked, config=config)
    assert after.text == "a fine answer"
    sent = provider.received[-1].json()
    roles = [message["role"] for message in sent["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert sent["messages"][2]["content"] == "I look"
    assert sent["messages"][3]["tool_call_id"] == "c1"
    assert sent["tools"][0]["function"]["parameters"]["properties"] == {"city": {"type": "string"}}
    assert sent["max_tokens"] == 99


@pytest.mark.parametrize("recording", RECORDED, ids=lambda each: each.name)
def test_a_recording_passes_and_is_billed_as_it_tells(
    gateway: InProcess,
    payer: Payer,
    provider: FakeProvider,
    sdk: genai.Client,
    recording: Recording,
) -> None:
    provider.scripts["go/fine"] = replayed(recording)
    contents: Any = recording.document["contents"]
    if recording.is_stream:
        chunks = list(sdk.models.generate_content_stream(model=OWN, contents=contents))
        usage = chunks[-1].usage_metadata
        path = "/go/v1beta/models/up:streamGenerateContent?alt=sse"
    else:
        usage = sdk.models.generate_content(model=OWN, contents=contents).usage_metadata
        path = "/go/v1beta/models/up:generateContent"
    received = provider.received[-1]
    assert received.path == path
    assert received.headers["x-goog-api-key"] == "secret-google-key"
    if recording.usage:
        assert usage is not None
        by_tools = usage.tool_use_prompt_token_count or 0
        prompt, *others = told(usage)
        assert (prompt + by_tools, *others) == as_told(last_billed(gateway, payer))


def replayed(recording: Recording) -> Script:
    if not recording.is_stream:
        return whole(recording.response)
    body = recording.response
    chunks = [event_chunk(body[at : at + 997]) for at in range(0, len(body), 997)]
    opening = head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    return (opening, *chunks, b"0\r\n\r\n")


def test_models_and_tokens_are_told_in_the_format(sdk: genai.Client) -> None:
    names = [model.name for model in sdk.models.list()]
    assert f"models/{ECHO}" in names
    assert sdk.models.get(model=ECHO).display_name == ECHO
    counted = sdk.models.count_tokens(model=ECHO, contents="hello brave new world")
    assert counted.total_tokens is not None
    assert 4 <= counted.total_tokens < 64


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"error": {"code": 400, "message": "bad at 10.0.0.1", "status": "X"}}, 400),
        (429, {"error": {"message": "slow down"}}, 429),
        (500, "<html>", 502),
        (401, {"error": {"message": "API key not valid: AIzaSecret"}}, 503),
    ],
)
def test_failures_of_the_provider_raise_the_sdks_errors(
    gateway: InProcess,
    sdk: genai.Client,
    provider: FakeProvider,
    status: int,
    body: object,
    code: int,
) -> None:
    model = f"failing-{status}"  # with a key of its own, which may be taken out of use
    base_url = provider.base_url("go").removesuffix("/v1")
    gateway.books.channel({model: "up"}, type_="gemini", base_url=base_url, keys=["k"])
    gateway.books.price(model, input=1, output=2)
    told_body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    provider.scripts["go/fine"] = whole(told_body, status=status)
    with pytest.raises(errors.APIError) as failure:
        sdk.models.generate_content(model=model, contents="x")
    assert failure.value.code == code
    assert "10.0.0.1" not in str(failure.value)
    assert "AIza" not in str(failure.value)


def test_our_own_refusals_raise_the_sdks_errors(gateway: InProcess, sdk: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as unknown:
        sdk.models.generate_content(model="nobody", contents="x")
    assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")
    options = types.HttpOptions(base_url=gateway.base_url)
    stranger = genai.Client(api_key="sk-nobody", http_options=options)
    with pytest.raises(errors.ClientError) as refused:
        stranger.models.generate_content(model=ECHO, contents="x")
    assert (refused.value.code, refused.value.status) == (401, "UNAUTHENTICATED")
    stranger.close()
