"""Calls of every format to models of Bedrock that speak Converse: signed, told and billed."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.formats.registry import FORMATS
from gateway.http.sse import SSEParser
from ledger.usage import Usage
from tests.bookkeeping import Payer
from tests.fake_provider import FakeProvider, whole
from tests.gateway.formats.converse_requests import complaint
from tests.gateway.images import png
from tests.gateway.providers.event_streams import CONVERSE, converse_frame, exception, on_the_wire
from tests.gateway.providers.signatures import is_signed
from tests.running import InProcess, in_process
from tests.servers import migrated_database
from tollgate.embedded.postgres import EmbeddedPostgres
from tollgate.embedded.valkey import EmbeddedValkey

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEY = f"AKIDEXAMPLE|{SECRET}|eu-west-1"
NOVA = "amazon.nova-lite-v1:0"
WORDS = "a fine\nänswer"
BILLED = Usage(input=11, cache_read=100, cache_write_5m=3, output=5, calls=1)
WHOLE = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
                {"text": WORDS},
                {
                    "toolUse": {
                        "toolUseId": "tooluse_1",
                        "name": "weather",
                        "input": {"city": "Oslo"},
                    }
                },
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": CONVERSE[-1][1]["usage"],
    "metrics": {"latencyMs": 30},
}
STREAM = tuple(converse_frame(name, told) for name, told in CONVERSE)


@dataclass(frozen=True)
class Asking:
    """How clients of a format ask."""

    path: str
    body: Mapping[str, Any]
    streams: Mapping[str, Any]
    stream_path: str = ""


SAID = [{"role": "user", "content": "hello"}]
STREAMS = {"stream": True}
CLIENTS = {
    "openai_chat": Asking(
        "/v1/chat/completions",
        {"messages": SAID, "max_tokens": 50},
        STREAMS | {"stream_options": {"include_usage": True}},
    ),
    "openai_responses": Asking("/v1/responses", {"input": "hello"}, STREAMS),
    "openai_completions": Asking(
        "/v1/completions",
        {"prompt": "hello", "max_tokens": 50},
        STREAMS | {"stream_options": {"include_usage": True}},
    ),
    "anthropic_messages": Asking("/v1/messages", {"messages": SAID, "max_tokens": 50}, STREAMS),
    "gemini": Asking(
        "/v1beta/models/{model}:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
        {},
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
    ),
}


@pytest.fixture(scope="module")
def gateway(
    postgres_server: EmbeddedPostgres, valkey_server: EmbeddedValkey
) -> Iterator[InProcess]:
    """With pictures of this machine, which is where those of the tests lie."""
    with (
        migrated_database(postgres_server) as database,
        in_process(
            database.app_dsn, valkey_server.url, media_networks=("127.0.0.1/32",)
        ) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def payer(gateway: InProcess) -> Payer:
    return gateway.books.payer()


def test_every_format_of_clients_is_asked_here() -> None:
    assert set(CLIENTS) == set(FORMATS)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_reaches_a_model_and_pays_what_it_used(
    gateway: InProcess, provider: FakeProvider, payer: Payer, client: str, is_stream: bool
) -> None:
    name = f"{client}-{'stream' if is_stream else 'whole'}"
    script = on_the_wire(*STREAM) if is_stream else whole(WHOLE)
    _sell(gateway, provider, name, script)
    answer = _ask(gateway, payer, client, name, is_stream)
    assert answer.status == 200, answer.body

    one = FORMATS[client]
    document = dict(CLIENTS[client].body) | {"model": name}
    call = one.read_request(document, json.dumps(document).encode())
    if is_stream:
        told = one.stream(call, lambda texts: sum(map(len, texts)))
        told.feed(answer.body)
        told.finish()
        assert told.error is None
        assert told.finished
        assert (told.usage is not None, told.saw_content) == (True, True)
        words = "".join(_words(answer.body))
        assert WORDS in words
        assert client == "openai_completions" or "Oslo" in words
        usage = told.usage
    else:
        read = one.read_answer(answer.body)
        assert WORDS in "".join(read.output_texts)
        assert client == "openai_completions" or "Oslo" in "".join(read.output_texts)
        usage = read.usage
    assert usage is not None
    assert usage.input + usage.cache_read + usage.cache_write_5m == 114
    assert usage.output == 5

    settled = gateway.books.story(answer.headers["x-request-id"]).settled
    assert (settled.basis, settled.usage) == ("measured", BILLED)
    (received,) = provider.calls_of(name)
    action = "converse-stream" if is_stream else "converse"
    assert received.path == f"/{name}/model/eu.amazon.nova-lite-v1%3A0/{action}"
    assert is_signed("POST", received.path, received.headers, received.body, SECRET)
    assert received.json()["messages"] == [{"role": "user", "content": [{"text": "hello"}]}]
    assert complaint(received.json()) == ""


def test_a_picture_by_address_is_sent_as_bytes(
    gateway: InProcess, provider: FakeProvider, payer: Payer
) -> None:
    picture = png(4, 4)
    provider.scripts["picture/fine"] = whole(picture, headers={"content-type": "image/png"})
    url = f"http://127.0.0.1:{provider.port}/picture/a.png"
    _sell(gateway, provider, "sees", whole(WHOLE))
    said = [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    asked = {"model": "sees", "messages": [{"role": "user", "content": said}], "max_tokens": 9}
    answer = gateway.client(payer.key).call("POST", "/v1/chat/completions", asked)
    assert answer.status == 200, answer.body
    (received,) = provider.calls_of("sees")
    assert received.json()["messages"][0]["content"] == [
        {"text": "what is it?"},
        {
            "image": {
                "format": "png",
                "source": {"bytes": base64.b64encode(picture).decode()},
            }
        },
    ]


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_thought_comes_back_to_the_model_that_signed_it(
    gateway: InProcess, provider: FakeProvider, payer: Payer, is_stream: bool
) -> None:
    name = "thinks-aloud" if is_stream else "thinks"
    _sell(gateway, provider, name, on_the_wire(*STREAM) if is_stream else whole(WHOLE))
    answer = _ask(gateway, payer, "anthropic_messages", name, is_stream)
    said = _message(answer.body) if is_stream else answer.json()["content"]
    assert [block["type"] for block in said] == ["thinking", "text", "tool_use"]
    result = {"type": "tool_result", "tool_use_id": said[2]["id"], "content": "sunny"}
    asked = {
        "model": name,
        "max_tokens": 50,
        "messages": [
            *SAID,
            {"role": "assistant", "content": said},
            {"role": "user", "content": [result]},
        ],
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
    }
    provider.scripts[f"{name}/fine"] = whole(WHOLE)
    assert gateway.client(payer.key).call("POST", "/v1/messages", asked).status == 200
    sent = provider.calls_of(name)[-1].json()["messages"]
    assert sent[1]["content"] == WHOLE["output"]["message"]["content"]  # type: ignore[index]  # of JSON
    assert sent[2]["content"] == [
        {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "sunny"}]}}
    ]


@pytest.mark.parametrize(
    ("status", "kind", "message", "told"),
    [
        (400, "ValidationException", "maxTokens is too large", 400),
        (429, "ThrottlingException", "slow down", 429),
        (503, "ServiceUnavailableException", "later", 502),
    ],
)
def test_a_failure_costs_nothing_and_is_told_as_what_it_is(
    gateway: InProcess,
    provider: FakeProvider,
    payer: Payer,
    status: int,
    kind: str,
    message: str,
    told: int,
) -> None:
    name = f"fails-{status}"
    headers = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/"}
    _sell(gateway, provider, name, whole({"message": message}, status=status, headers=headers))
    answer = _ask(gateway, payer, "openai_chat", name, is_stream=False)
    assert answer.status == told
    assert (answer.json()["error"]["message"] == message) is (told == 400)
    gateway.books.story(answer.headers["x-request-id"]).refunded  # noqa: B018 - or it raises


def test_an_exception_in_the_stream_is_an_error_and_costs_what_was_delivered(
    gateway: InProcess, provider: FakeProvider, payer: Payer
) -> None:
    script = on_the_wire(*STREAM[:5], exception("modelStreamErrorException", "it broke"))
    _sell(gateway, provider, "breaks", script)
    answer = _ask(gateway, payer, "anthropic_messages", "breaks", is_stream=True)
    assert b"event: error" in answer.body
    assert b"message_stop" not in answer.body
    settled = gateway.books.story(answer.headers["x-request-id"]).settled
    assert (settled.ending, settled.basis) == ("provider_error", "estimated")
    assert settled.usage.output > 0


def test_what_is_lost_on_the_way_is_named(
    gateway: InProcess, provider: FakeProvider, payer: Payer
) -> None:
    _sell(gateway, provider, "loses", whole(WHOLE))
    asked = {"model": "loses", "messages": SAID, "max_tokens": 9, "seed": 7, "user": "u"}
    answer = gateway.client(payer.key).call("POST", "/v1/chat/completions", asked)
    assert answer.headers["x-tollgate-lost"].replace(" ", "").split(",") == ["seed", "user"]


def _sell(gateway: InProcess, provider: FakeProvider, name: str, script: Any) -> None:  # noqa: ANN401 - a Script
    provider.scripts[f"{name}/fine"] = script
    gateway.books.price(name, input=1, output=2, cache_read=0.1, cache_write_5m=1.25)
    gateway.books.channel(
        {name: NOVA},
        type_="bedrock",
        base_url=f"http://127.0.0.1:{provider.port}/{name}",
        keys=[KEY],
    )


def _ask(gateway: InProcess, payer: Payer, client: str, model: str, is_stream: bool) -> Any:  # noqa: ANN401 - an answer
    asking = CLIENTS[client]
    path = (is_stream and asking.stream_path) or asking.path
    body = {**asking.body, **(asking.streams if is_stream else {})}
    if "{model}" not in path:
        body["model"] = model
    return gateway.client(payer.key).call("POST", path.replace("{model}", model), body)


def _message(body: bytes) -> list[dict[str, Any]]:
    """The blocks that the events of a stream of Messages make."""
    blocks: list[dict[str, Any]] = []
    arguments = ""
    for event in SSEParser().feed(body):
        told = json.loads(event.data) if event.data else {}
        match told.get("type"), told.get("delta"):
            case "content_block_start", _:
                blocks.append(told["content_block"])
            case "content_block_delta", {"type": "input_json_delta", "partial_json": more}:
                arguments += more
                blocks[-1]["input"] = {}
            case "content_block_delta", dict(delta):
                for name, text in delta.items() - {("type", delta["type"])}:
                    blocks[-1][name] = blocks[-1].get(name, "") + text
            case _:
                pass
    blocks[-1]["input"] = json.loads(arguments)
    return blocks


def _words(body: bytes) -> Iterator[str]:
    """Every text in the events of a stream, in their order."""

    def texts(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            for each in value.values():
                yield from texts(each)
        elif isinstance(value, list):
            for each in value:
                yield from texts(each)

    for event in SSEParser().feed(body):
        if event.data and event.data != b"[DONE]":
            yield from texts(json.loads(event.data))
