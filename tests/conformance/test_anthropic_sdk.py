"""The real Anthropic SDK against the running gateway, over providers of its own format and of
OpenAI's: answers, tools, images, thoughts, usage, money and errors."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import anthropic
import psycopg
import pytest
from anthropic import Anthropic

from ledger.streams import api_key
from ledger.streams.charge.events import UsageSettled
from tests.bookkeeping import Payer
from tests.fake_provider import (
    FakeProvider,
    Received,
    Script,
    chunk,
    completion,
    error,
    event_chunk,
    opened,
    stream,
    whole,
)
from tests.recomputed import cost_nanos
from tests.recorded import recordings
from tests.running import InProcess

OWN, CHAT = "own-behind", "chat-behind"
BOTH = pytest.mark.parametrize("model", [OWN, CHAT])
IN_BOTH_WAYS = pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
PNG = "iVBORw0KGgo="
MESSAGES: Any = [{"role": "user", "content": "hello brave new world"}]
WEATHER: Any = {
    "name": "weather",
    "description": "tells it",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
USAGE = {
    "input_tokens": 660,
    "cache_read_input_tokens": 300,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 500,
    "output_tokens_details": {"thinking_tokens": 123},
}
CHAT_USAGE = {
    "prompt_tokens": 990,
    "completion_tokens": 500,
    "total_tokens": 1_490,
    "prompt_tokens_details": {"cached_tokens": 300, "cache_write_tokens": 30},
    "completion_tokens_details": {"reasoning_tokens": 123},
}
STARTED_USAGE = USAGE | {"output_tokens": 1, "output_tokens_details": None}
TEXT = {"type": "text", "text": "a fine answer"}
THOUGHT = {"type": "thinking", "thinking": "let me see", "signature": "EqQBCkYIBxgC"}
SAID = {"type": "text", "text": "I look twice"}
CALLS = [
    {"type": "tool_use", "id": f"toolu_{city}", "name": "weather", "input": {"city": city}}
    for city in ("Riga", "Oslo")
]
CHAT_CALLS = [
    {
        "id": call["id"],
        "type": "function",
        "function": {"name": "weather", "arguments": json.dumps(call["input"])},
    }
    for call in CALLS
]


# ---------------------------------------------------------------------- what providers answer


def message(*content: Mapping[str, Any], stop: str = "end_turn") -> dict[str, Any]:
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": USAGE,
    }


def event(name: str, **members: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **members})}\n\n".encode()


def message_events(told: Mapping[str, Any]) -> list[bytes]:
    """A message as Anthropic streams it, with a ping in between and usage that grows."""
    begun = {**told, "content": [], "stop_reason": None, "usage": STARTED_USAGE}
    events = [event("message_start", message=begun), event("ping")]
    for index, block in enumerate(told["content"]):
        start, deltas = divided(block)
        events.append(event("content_block_start", index=index, content_block=start))
        events += [event("content_block_delta", index=index, delta=delta) for delta in deltas]
        events.append(event("content_block_stop", index=index))
    delta = {"stop_reason": told["stop_reason"], "stop_sequence": None}
    usage = {name: USAGE[name] for name in ("output_tokens", "output_tokens_details")}
    return [*events, event("message_delta", delta=delta, usage=usage), event("message_stop")]


def divided(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block["type"]:
        case "tool_use":
            told = json.dumps(block["input"])
            pieces = ("", told[:5], told[5:])
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
            return {**block, "input": {}}, deltas
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        case _:
            deltas = [{"type": "text_delta", "text": f"{word} "} for word in block["text"].split()]
            deltas[-1]["text"] = deltas[-1]["text"].rstrip()
            return {"type": "text", "text": ""}, deltas


def streamed(events: Sequence[bytes]) -> Script:
    return (opened(), *map(event_chunk, events), b"0\r\n\r\n")


def chat(calls: Sequence[Mapping[str, Any]] = (), **members: object) -> Script:
    answer = completion(usage=CHAT_USAGE)
    told = {"role": "assistant", "content": "a fine answer", **members}
    finish = "tool_calls" if calls else "stop"
    answer["choices"][0] |= {
        "message": told | ({"tool_calls": calls} if calls else {}),
        "finish_reason": finish,
    }
    return whole(answer)


def chat_stream(*deltas: Mapping[str, Any], finish: str = "stop") -> Script:
    usage = {"id": "c", "model": "m", "choices": [], "usage": CHAT_USAGE}
    events = [chunk(delta) for delta in deltas] + [chunk({}, finish)]
    events += [b"data: " + json.dumps(usage).encode() + b"\n\n", b"data: [DONE]\n\n"]
    return streamed(events)


def scripts() -> dict[str, Script]:
    texts = message(TEXT)
    calling = message(THOUGHT, SAID, *CALLS, stop="tool_use")
    thinking = message(THOUGHT, TEXT)
    pieces = [{"tool_calls": [{"index": index, **call}]} for index, call in enumerate(CHAT_CALLS)]
    return {
        "o/text": whole(texts),
        "o/text_stream": streamed(message_events(texts)),
        "o/calling": whole(calling),
        "o/calling_stream": streamed(message_events(calling)),
        "o/thinking": whole(thinking),
        "o/thinking_stream": streamed(message_events(thinking)),
        "c/text": chat(),
        "c/text_stream": chat_stream(*({"content": word} for word in ("a", " fine", " answer"))),
        "c/calling": chat(CHAT_CALLS, content=SAID["text"]),
        "c/calling_stream": chat_stream({"content": SAID["text"]}, *pieces, finish="tool_calls"),
        "c/thinking": chat(reasoning_content=THOUGHT["thinking"]),
        "c/thinking_stream": chat_stream(
            {"reasoning_content": THOUGHT["thinking"]}, {"content": TEXT["text"]}
        ),
    }


def root(provider: FakeProvider, prefix: str) -> str:
    return f"http://127.0.0.1:{provider.port}/{prefix}"


@pytest.fixture(scope="module")
def payer(gateway: InProcess, provider: FakeProvider) -> Payer:
    books = gateway.books
    books.channel(
        {OWN: "claude-sonnet-4-5"}, type_="anthropic", base_url=root(provider, "o"), keys=["k-own"]
    )
    books.channel({CHAT: "gpt-5.1"}, type_="openai", base_url=root(provider, "c"), keys=["k"])
    for model in (OWN, CHAT):
        books.price(
            model, input=3, cache_read=0.3, cache_write_5m=3.75, cache_write_1h=6, output=15
        )
    provider.scripts |= scripts()
    return books.payer(50)


@pytest.fixture
def sdk(gateway: InProcess, payer: Payer) -> Iterator[Anthropic]:
    with sdk_of(gateway, payer.key) as client:
        yield client


def sdk_of(gateway: InProcess, key: str) -> Anthropic:
    return Anthropic(api_key=key, base_url=gateway.base_url, max_retries=0, timeout=20)


def asked(
    sdk: Anthropic,
    model: str,
    script: str,
    is_stream: bool,
    **members: Any,  # noqa: ANN401 - of any parameter
) -> Any:  # noqa: ANN401 - the SDK's own type
    """The message that the SDK makes of an answer, whole or streamed."""
    metadata: Any = {"script": f"{script}_stream" if is_stream else script}
    options: dict[str, Any] = {"max_tokens": 2_000, "messages": MESSAGES, **members}
    if not is_stream:
        return sdk.messages.create(model=model, metadata=metadata, **options)
    with sdk.messages.stream(model=model, metadata=metadata, **options) as told:
        words = "".join(told.text_stream)
        final = told.get_final_message()
    assert words == "".join(block.text for block in final.content if block.type == "text")
    return final


def last_settled(gateway: InProcess, payer: Payer) -> UsageSettled:
    """The latest charge, which the amount follows from by the bytes of its event alone."""
    settled = gateway.books.stories(payer.account_id)[-1].settled
    with psycopg.connect(gateway.app_dsn) as connection:
        found = connection.execute(
            "select state from ledger.event where topic like 'charge.UsageSettled%'"
            " order by position desc limit 1"
        ).fetchone()
    assert found is not None
    assert cost_nanos(found[0]) == settled.charged_nanos
    assert (settled.basis, settled.ending) == ("measured", "complete")
    return settled


def received(provider: FakeProvider) -> Received:
    return provider.received[-1]


# ---------------------------------------------------------------------- answers


@BOTH
@IN_BOTH_WAYS
def test_an_answer_is_billed_as_the_sdk_tells_its_usage(
    gateway: InProcess, payer: Payer, sdk: Anthropic, model: str, is_stream: bool
) -> None:
    answer = asked(sdk, model, "text", is_stream)
    assert [block.text for block in answer.content] == ["a fine answer"]
    assert (answer.stop_reason, answer.role, answer.type) == ("end_turn", "assistant", "message")
    assert answer.id.startswith("msg_")
    used = last_settled(gateway, payer).usage
    told = answer.usage
    assert told.input_tokens == used.input == 660
    assert told.cache_read_input_tokens == used.cache_read == 300
    assert told.cache_creation_input_tokens == used.cache_write_5m + used.cache_write_1h == 30
    assert told.output_tokens == used.output + used.reasoning == 500
    assert told.output_tokens_details.thinking_tokens == used.reasoning == 123


def test_the_provider_gets_the_clients_bytes_and_headers(
    sdk: Anthropic, provider: FakeProvider
) -> None:
    headers = {"anthropic-beta": "context-1m-2025-08-07", "anthropic-version": "2023-06-01"}
    asked(sdk, OWN, "text", False, extra_headers=headers)
    sent = received(provider)
    assert (sent.path, sent.headers["x-api-key"]) == ("/o/v1/messages", "k-own")
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert sent.headers["anthropic-beta"] == "context-1m-2025-08-07"
    assert sent.json() == {
        "max_tokens": 2_000,
        "messages": MESSAGES,
        "model": "claude-sonnet-4-5",
        "metadata": {"script": "text"},
    }


@pytest.mark.parametrize("prefix", ["text", "calling", "thinking"])
def test_a_stream_of_the_own_format_passes_byte_for_byte(
    gateway: InProcess, payer: Payer, prefix: str
) -> None:
    script = f"{prefix}_stream"
    body = {"model": OWN, "max_tokens": 9, "messages": MESSAGES, "stream": True}
    answer = gateway.client(payer.key).call(
        "POST", "/v1/messages", {**body, "metadata": {"script": script}}
    )
    content: dict[str, list[dict[str, Any]]]
    content = {"text": [TEXT], "calling": [THOUGHT, SAID, *CALLS], "thinking": [THOUGHT, TEXT]}
    stop = "tool_use" if prefix == "calling" else "end_turn"
    assert answer.body == b"".join(message_events(message(*content[prefix], stop=stop)))


@pytest.mark.parametrize("name", [each.name for each in recordings("anthropic-messages-anthropic")])
def test_a_recorded_answer_passes_byte_for_byte(
    gateway: InProcess, payer: Payer, provider: FakeProvider, name: str
) -> None:
    (recording,) = recordings(name)
    body = recording.response
    pieces = [body[at : at + 4_001] for at in range(0, len(body), 4_001)]
    provider.scripts[f"o/{name}"] = streamed(pieces) if recording.is_stream else whole(body)
    request = {**recording.document, "model": OWN, "metadata": {"script": name}}
    answer = gateway.client(payer.key).call("POST", "/v1/messages", request)
    assert (answer.status, answer.body) == (200, body)
    used = last_settled(gateway, payer).usage
    if "iterations" not in recording.usage:
        assert used.input == recording.usage["input_tokens"]
        assert used.output + used.reasoning == recording.usage["output_tokens"]


# ---------------------------------------------------------------------- tools, images, thoughts


@BOTH
@IN_BOTH_WAYS
def test_tools_are_called_and_their_results_reach_the_model(
    sdk: Anthropic, provider: FakeProvider, model: str, is_stream: bool
) -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": False}
    answer = asked(sdk, model, "calling", is_stream, tools=[WEATHER], tool_choice=choice)
    assert answer.stop_reason == "tool_use"
    assert [block.text for block in answer.content if block.type == "text"] == [SAID["text"]]
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert [(call.id, call.name, call.input) for call in calls] == [
        (call["id"], call["name"], call["input"]) for call in CALLS
    ]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    results = [
        {"type": "tool_result", "tool_use_id": calls[0].id, "content": "rain"},
        {
            "type": "tool_result",
            "tool_use_id": calls[1].id,
            "content": [{"type": "text", "text": "see"}, image],
            "is_error": True,
        },
    ]
    history = [
        *MESSAGES,
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [*results, {"type": "text", "text": "and?"}]},
    ]
    after = asked(sdk, model, "text", is_stream, tools=[WEATHER], messages=history)
    assert after.content[0].text == "a fine answer"
    sent = received(provider).json()
    if model == OWN:
        assert sent["messages"][2]["content"][1]["content"][1] == image
        assert sent["messages"][1]["content"][0]["signature"] == THOUGHT["signature"]
        return
    said, rain, see, shown = sent["messages"][1:]
    assert said["content"] == SAID["text"]
    assert [call["id"] for call in said["tool_calls"]] == [call["id"] for call in CALLS]
    assert (rain["role"], rain["content"], see["content"]) == ("tool", "rain", "see")
    assert shown["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PNG}"
    assert shown["content"][-1]["text"] == "and?"
    assert sent["tools"][0]["function"]["parameters"] == WEATHER["input_schema"]


@BOTH
def test_images_of_each_kind_reach_the_model(
    sdk: Anthropic, provider: FakeProvider, model: str
) -> None:
    content = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://x.invalid/a.png"}},
        {"type": "text", "text": "what is it?"},
    ]
    asked(sdk, model, "text", False, messages=[{"role": "user", "content": content}])
    (told,) = received(provider).json()["messages"]
    if model == OWN:
        assert told["content"] == content
        return
    urls = [part["image_url"]["url"] for part in told["content"][:2]]
    assert urls == [f"data:image/png;base64,{PNG}", "https://x.invalid/a.png"]
    assert told["content"][2] == content[2]


@BOTH
@IN_BOTH_WAYS
def test_thoughts_are_told_and_sent_back(
    sdk: Anthropic, provider: FakeProvider, model: str, is_stream: bool
) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1_500}
    answer = asked(sdk, model, "thinking", is_stream, thinking=thinking)
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert answer.content[0].thinking == THOUGHT["thinking"]
    sent = received(provider).json()
    if model == OWN:
        assert answer.content[0].signature == THOUGHT["signature"]
        assert sent["thinking"] == thinking
    else:
        assert sent["reasoning_effort"] == "low"
    history = [
        *MESSAGES,
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": "go on"},
    ]
    asked(sdk, OWN, "text", is_stream, messages=history)
    kinds = [block["type"] for block in received(provider).json()["messages"][1]["content"]]
    # What a model of another vendor thought would be refused: nobody signed it.
    assert kinds == (["thinking", "text"] if model == OWN else ["text"])


@BOTH
def test_structured_output_is_asked_for(sdk: Anthropic, provider: FakeProvider, model: str) -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    config = {"format": {"type": "json_schema", "schema": schema}}
    asked(sdk, model, "text", False, output_config=config)
    sent = received(provider).json()
    if model == OWN:
        assert sent["output_config"] == config
    else:
        assert sent["response_format"]["json_schema"]["schema"] == schema


def test_what_the_other_format_cannot_say_is_named(sdk: Anthropic) -> None:
    system: Any = [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}]
    raw = sdk.messages.with_raw_response.create(
        model=CHAT, max_tokens=99, messages=MESSAGES, system=system, extra_body={"top_k": 5}
    )
    assert raw.headers["x-tollgate-lost"] == "cache_control, top_k"


def test_a_provider_that_does_not_stream_is_told_as_a_stream(
    sdk: Anthropic, provider: FakeProvider
) -> None:
    provider.scripts |= {"o/lazy_stream": provider.scripts["o/calling"]}
    provider.scripts |= {"c/lazy_stream": provider.scripts["c/calling"]}
    for model in (OWN, CHAT):
        answer = asked(sdk, model, "lazy", True, tools=[WEATHER])
        calls = [block.input for block in answer.content if block.type == "tool_use"]
        assert calls == [call["input"] for call in CALLS]
        assert answer.usage.output_tokens == 500


# ---------------------------------------------------------------------- beside the answers


def test_tokens_are_counted_and_models_are_listed(sdk: Anthropic) -> None:
    counted = sdk.messages.count_tokens(model=OWN, messages=MESSAGES)
    assert 4 <= counted.input_tokens < 200
    assert {OWN, CHAT} <= {model.id for model in sdk.models.list()}
    assert sdk.models.retrieve(OWN).id == OWN


def test_each_refusal_raises_the_exception_the_sdk_has_for_it(
    gateway: InProcess, payer: Payer, provider: FakeProvider
) -> None:
    books = gateway.books
    of_keys = ("locked", "limited", "busy")  # which are taken out of use, or left alone
    for name in of_keys:
        for prefix, type_ in (("own", "anthropic"), ("chat", "openai")):
            books.channel(
                {f"{prefix}-{name}": "m"},
                type_=type_,
                base_url=root(provider, prefix[0]),
                keys=["k"],
            )
            books.price(f"{prefix}-{name}", input=3, output=15)
    provider.scripts |= {
        "o/locked": whole(told("authentication_error", "bad sk-ant-api03-abc"), status=401),
        "c/locked": whole(error("bad sk-abc"), status=401),
    }
    failures: list[tuple[str, int, dict[str, Any], dict[str, Any]]] = [
        ("unwell", 400, told("invalid_request_error", "messages: odd"), error("messages: odd")),
        ("absent", 404, told("not_found_error", "model: m"), error("no such model")),
        ("limited", 429, told("rate_limit_error"), error()),
        ("broken", 500, told("api_error"), error()),
        ("busy", 529, told("overloaded_error"), error()),
    ]
    for name, status, own, chats in failures:
        provider.scripts[f"o/{name}"] = whole(own, status=status)
        provider.scripts[f"c/{name}"] = whole(chats, status=status)
    provider.scripts |= {"o/html": whole(b"<html>"), "c/html": whole(b"<html>")}
    provider.scripts |= {"o/empty": whole(b""), "c/empty": whole(b"")}
    poor = books.payer(0.000_001)
    limited = books.key(payer.account_id, api_key.KeyTerms(models=(CHAT,)))
    rows: list[tuple[str, dict[str, Any], type[anthropic.APIStatusError]]] = [
        ("sk-none", {"model": OWN}, anthropic.AuthenticationError),
        (payer.key, {"model": "unknown"}, anthropic.NotFoundError),
        (payer.key, {"model": OWN, "max_tokens": -1}, anthropic.BadRequestError),
        (poor.key, {"model": OWN}, anthropic.PaymentRequiredError),
        (limited, {"model": OWN}, anthropic.PermissionDeniedError),
    ]
    expected = {
        "unwell": anthropic.BadRequestError,
        "absent": anthropic.NotFoundError,
        "limited": anthropic.RateLimitError,
        "broken": anthropic.InternalServerError,
        "busy": anthropic.RateLimitError,
        "locked": anthropic.InternalServerError,
        "html": anthropic.InternalServerError,
        "empty": anthropic.InternalServerError,
    }
    rows += [
        (payer.key, {"model": model, "metadata": {"script": name}}, exception)
        for name, exception in expected.items()
        for model in ((f"own-{name}", f"chat-{name}") if name in of_keys else (OWN, CHAT))
    ]
    for key, fields, exception in rows:
        with sdk_of(gateway, key) as sdk, pytest.raises(exception) as caught:
            sdk.messages.create(**{"max_tokens": 9, "messages": MESSAGES, **fields})
        assert isinstance(caught.value.body, dict), fields
        assert caught.value.body["type"] == "error"
        assert "sk-" not in str(caught.value)
        assert caught.value.request_id
    for story in books.stories(payer.account_id):
        assert story.closing is story.events[-1].event  # the only one, or it fails


def told(kind: str, text: str = "told to fail") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_1"}


@BOTH
def test_an_error_in_the_middle_of_a_stream_is_raised_and_the_charge_closes_once(
    gateway: InProcess, payer: Payer, sdk: Anthropic, provider: FakeProvider, model: str
) -> None:
    own = message_events(message(TEXT))[:5]
    chats = [chunk({"content": "a"}), chunk({"content": " fine"})]
    overloaded = event("error", error={"type": "overloaded_error", "message": "at 10.0.0.1"})
    failed = b'data: {"error":{"message":"at 10.0.0.1","code":502}}\n\n'
    provider.scripts["o/breaking_stream"] = streamed([*own, overloaded])
    provider.scripts["c/breaking_stream"] = streamed([*chats, failed])
    provider.scripts["o/cut_stream"] = streamed([*own, b"event: content_block_delta\ndata: {"])
    provider.scripts["c/cut_stream"] = streamed([*chats, b'data: {"choices'])
    for script in ("breaking", "cut"):
        with pytest.raises(anthropic.APIStatusError) as caught:
            asked(sdk, model, script, True)
        assert "10.0.0.1" not in str(caught.value)
        closing = gateway.books.stories(payer.account_id)[-1].closing
        assert closing.ending != "complete" if isinstance(closing, UsageSettled) else True


def test_a_stream_without_usage_is_told_what_was_counted(
    gateway: InProcess, payer: Payer, sdk: Anthropic, provider: FakeProvider
) -> None:
    provider.scripts["c/silent_stream"] = stream(usage=None)
    answer = asked(sdk, CHAT, "silent", True)
    settled = gateway.books.stories(payer.account_id)[-1].settled
    assert settled.basis == "estimated"
    assert answer.usage.output_tokens == settled.usage.output > 0
    assert answer.usage.input_tokens == settled.usage.input > 0
    assert answer.stop_reason == "end_turn"
