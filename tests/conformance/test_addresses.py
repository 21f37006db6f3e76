"""Every address of the front, over the wire: Google's ways to stream, OpenAI's under Google's
prefix, lists of models, browsers, and errors in the words of who asks."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import types
from openai import OpenAI

from tests.bookkeeping import Payer
from tests.calling import MESSAGES, Client
from tests.fake_provider import EVENT_STREAM, FakeProvider, event_chunk, opened
from tests.running import InProcess

ECHO, OWN = "echo-a", "gemini-a"
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hello brave new world"}]}]}
ORIGIN = {"origin": "https://somewhere.example"}
ANTHROPIC = {"anthropic-version": "2023-06-01"}


@pytest.fixture(scope="module")
def payer(gateway: InProcess, provider: FakeProvider) -> Payer:
    books = gateway.books
    books.channel([ECHO])
    google = provider.base_url("ga").removesuffix("/v1")
    books.channel({OWN: "up"}, type_="gemini", base_url=google, keys=["k"])
    for model in (ECHO, OWN):
        books.price(model, input=1, output=8)
    return books.payer(50)


@pytest.fixture
def client(gateway: InProcess, payer: Payer) -> Client:
    return gateway.client(payer.key)


def part(text: str, **members: object) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [{"content": content, "index": 0, **members}]}


USAGE = {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}
EVENTS = [part("a"), part(" fine", finishReason="STOP") | {"usageMetadata": USAGE}]


def streamed(events: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - a script
    told = [event_chunk(b"data: " + json.dumps(event).encode() + b"\r\n\r\n") for event in events]
    return (opened(EVENT_STREAM), *told, b"0\r\n\r\n")


# ---------------------------------------------------------------------- Google's ways to stream


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1beta1"])
@pytest.mark.parametrize("query", ["", "?alt=json"])
def test_a_translated_stream_is_an_array_unless_events_were_asked_for(
    gateway: InProcess, client: Client, version: str, query: str
) -> None:
    path = f"/{version}/models/{ECHO}:streamGenerateContent{query}"
    answer = client.call("POST", path, CONTENTS)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    chunks = answer.json()
    texts = [
        part.get("text", "")
        for chunk in chunks
        for candidate in chunk.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
    ]
    assert "".join(texts) == "hello brave new world"
    usage = gateway.books.story(answer.request_id).settled.usage
    assert chunks[-1]["usageMetadata"]["candidatesTokenCount"] == usage.output == 4


def test_a_stream_that_passes_is_an_array_of_what_the_provider_said(
    gateway: InProcess, client: Client, provider: FakeProvider
) -> None:
    provider.scripts["ga/fine"] = streamed(EVENTS)
    answer = client.call("POST", f"/v1beta/models/{OWN}:streamGenerateContent", CONTENTS)
    assert answer.json() == EVENTS
    assert provider.received[-1].path == "/ga/v1beta/models/up:streamGenerateContent?alt=sse"
    assert gateway.books.story(answer.request_id).settled.usage.output == 2
    as_events = client.call("POST", f"/v1beta/models/{OWN}:streamGenerateContent?alt=sse", CONTENTS)
    assert as_events.headers["content-type"].startswith("text/event-stream")
    assert [json.loads(frame) for frame in as_events.frames] == EVENTS


def test_an_array_that_breaks_off_ends_with_the_error(
    gateway: InProcess, client: Client, provider: FakeProvider
) -> None:
    failure = {"error": {"code": 500, "message": "at 10.0.0.1", "status": "INTERNAL"}}
    provider.scripts["ga/fine"] = streamed([EVENTS[0], failure])
    answer = client.call("POST", f"/v1beta/models/{OWN}:streamGenerateContent", CONTENTS)
    first, last = answer.json()
    assert first == EVENTS[0]
    assert (last["error"]["code"], last["error"]["status"]) == (502, "INTERNAL")
    assert b"10.0.0.1" not in answer.body
    assert gateway.books.story(answer.request_id).settled.basis == "estimated"


def test_a_refused_stream_is_told_as_an_error(client: Client) -> None:
    path = f"/v1beta/models/{ECHO}:streamGenerateContent"
    for refused, param in (
        (client.call("POST", path + "?alt=media", CONTENTS), "alt"),
        (client.call("POST", path, CONTENTS | {"cachedContent": "cachedContents/x"}), "cached"),
    ):
        error = refused.json()["error"]
        assert (refused.status, error["status"]) == (400, "INVALID_ARGUMENT")
        assert param in error["message"]


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_googles_sdk_speaks_both_versions(gateway: InProcess, payer: Payer, version: str) -> None:
    options = types.HttpOptions(base_url=gateway.base_url, api_version=version, timeout=20_000)
    client = genai.Client(api_key=payer.key, http_options=options)
    asked: Any = {"model": ECHO, "contents": "hello brave"}
    assert client.models.generate_content(**asked).text == "hello brave"
    chunks = client.models.generate_content_stream(**asked)
    assert "".join(chunk.text or "" for chunk in chunks) == "hello brave"
    assert (client.models.count_tokens(**asked).total_tokens or 0) > 2
    assert client.models.get(model=ECHO).display_name == ECHO
    client.close()


@pytest.mark.parametrize("action", ["generateContent", "streamGenerateContent", "countTokens"])
def test_a_key_may_stand_in_the_address(gateway: InProcess, payer: Payer, action: str) -> None:
    path = f"/v1/models/{ECHO}:{action}?key={payer.key}"
    assert gateway.client().call("POST", path, CONTENTS).status == 200
    assert gateway.client().call("POST", path + "x", CONTENTS).status == 401


# ---------------------------------------------------------------------- OpenAI under Google's


def test_openais_formats_answer_under_googles_prefix(gateway: InProcess, payer: Payer) -> None:
    with OpenAI(api_key=payer.key, base_url=f"{gateway.base_url}/v1beta/openai/") as sdk:
        messages: Any = [{"role": "user", "content": "hello brave"}]
        chat = sdk.chat.completions.create(model=ECHO, messages=messages)
        assert chat.choices[0].message.content == "hello brave"
        legacy = sdk.completions.create(model=ECHO, prompt="hello brave")
        assert legacy.choices[0].text == "hello brave"
        assert sdk.responses.create(model=ECHO, input="hello brave").output_text == "hello brave"
        assert ECHO in [model.id for model in sdk.models.list()]
        assert sdk.models.retrieve(ECHO).owned_by == "tollgate"


# ---------------------------------------------------------------------- who asks


def test_models_are_told_in_the_words_of_who_asks(gateway: InProcess, payer: Payer) -> None:
    bearer, nobody = gateway.client(payer.key), gateway.client()
    for answer, member in (
        (bearer.get("/v1/models"), "object"),
        (bearer.get("/v1beta/openai/models"), "object"),
        (bearer.get("/v1/models", ANTHROPIC), "has_more"),
        (nobody.get("/v1/models", {**ANTHROPIC, "x-api-key": payer.key}), "has_more"),
        (bearer.get("/v1beta/models"), "models"),
        (nobody.get("/v1/models", {"x-goog-api-key": payer.key}), "models"),
        (nobody.get(f"/v1/models?key={payer.key}"), "models"),
    ):
        assert answer.status == 200
        assert member in answer.json()
        assert ECHO in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "place"),
    [
        ("GET", "/v1/chat/completions", {}, 405, ("error", "code")),
        ("GET", "/v1/completions", {}, 405, ("error", "code")),
        ("GET", "/v1/responses", {}, 405, ("error", "code")),
        ("GET", "/v1/messages", {}, 405, ("error", "type")),
        ("GET", "/v1/messages/count_tokens", {}, 405, ("error", "type")),
        ("DELETE", "/v1beta/models", {}, 405, ("error", "status")),
        ("GET", "/v1beta/unheard", {}, 404, ("error", "status")),
        ("POST", f"/v1/models/{ECHO}:generateContent", {}, 401, ("error", "status")),
        ("GET", f"/v1/models/{ECHO}:generateContent", {}, 405, ("error", "status")),
        ("GET", "/v1/unheard", {}, 404, ("error", "code")),
        ("GET", "/v1/unheard", ANTHROPIC, 404, ("error", "type")),
        ("GET", "/v1/models", ANTHROPIC, 401, ("error", "type")),
        ("PUT", "/v1beta/openai/chat/completions", {}, 405, ("error", "code")),
        ("POST", "/v1beta/openai/completions", {}, 401, ("error", "code")),
    ],
)
def test_every_address_refuses_in_its_own_words(
    gateway: InProcess,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    place: tuple[str, str],
) -> None:
    answer = gateway.client().call(method, path, {} if method == "POST" else None, headers)
    assert answer.status == status, answer.body
    told = answer.json()[place[0]]
    words = {"code": {"code", "param"}, "type": {"type", "message"}, "status": {"status", "code"}}
    assert words[place[1]] <= set(told)
    assert ("status" in told) == (place[1] == "status")
    assert ("param" in told) == (place[1] == "code")
    if status == 405:
        assert "OPTIONS" in answer.headers["allow"]


@pytest.mark.parametrize("action", ["embedContent", "predict", "unheard"])
@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_c13_an_action_that_is_not_offered_is_named(
    gateway: InProcess, version: str, action: str
) -> None:
    answer = gateway.client().call("POST", f"/{version}/models/{ECHO}:{action}", {})
    assert answer.status == 404
    told = answer.json()["error"]
    assert told["status"] == "NOT_FOUND"
    assert repr(action) in told["message"]


def test_somebody_is_there(gateway: InProcess) -> None:
    answer = gateway.client().call("HEAD", "/")
    assert (answer.status, answer.body) == (200, b"")


# ---------------------------------------------------------------------- browsers


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/chat/completions", "POST"),
        ("/v1/completions", "POST"),
        ("/v1/responses", "POST"),
        ("/v1/messages", "POST"),
        ("/v1/models", "GET"),
        (f"/v1beta/models/{ECHO}:streamGenerateContent", "POST"),
        ("/v1beta/openai/chat/completions", "POST"),
    ],
)
def test_a_browser_may_ask_from_anywhere(gateway: InProcess, path: str, method: str) -> None:
    asking = {
        **ORIGIN,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization, content-type, x-stainless-lang",
    }
    answer = gateway.client().call("OPTIONS", path, headers=asking)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert method in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"]
    assert allowed == asking["access-control-request-headers"]
    assert "access-control-allow-credentials" not in answer.headers


def test_odd_names_of_headers_are_not_repeated(gateway: InProcess) -> None:
    asking = {**ORIGIN, "access-control-request-headers": "x<script>"}
    answer = gateway.client().call("OPTIONS", "/v1/models", headers=asking)
    assert answer.headers["access-control-allow-headers"] == "*"


def answers(client: Client, headers: dict[str, str]) -> Iterator[Any]:
    yield client.chat(ECHO, headers=headers)
    yield client.chat(ECHO, headers=headers, stream=True)
    yield client.chat("nobody", headers=headers)
    yield client.call("POST", "/v1/chat/completions", {"messages": MESSAGES}, headers)
    yield client.get("/v1/models", headers)
    yield client.get("/unheard", headers)


def test_answers_and_errors_can_be_read_by_the_page_that_asked(client: Client) -> None:
    for answer in answers(client, ORIGIN):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == "*"
    for answer in answers(client, {}):
        assert "access-control-allow-origin" not in answer.headers
