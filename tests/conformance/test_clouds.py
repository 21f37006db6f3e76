"""Calls over Bedrock, Vertex and Azure from end to end: signed or with tokens, and billed."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from gateway.http.sse import SSEParser
from ledger.usage import Usage
from tests.bookkeeping import Payer
from tests.fake_provider import FakeProvider, whole
from tests.gateway.providers.event_streams import MESSAGE, chunk, exception, on_the_wire
from tests.gateway.providers.service_accounts import claim_of, service_account
from tests.gateway.providers.signatures import is_signed
from tests.running import InProcess, until

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
BEDROCK_KEY = f"AKIDEXAMPLE|{SECRET}|eu-west-1"
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
TOKEN = {"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"}
ASKED = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 50}
WHOLE_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "a fine answer"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 11, "output_tokens": 5},
}
WHOLE_GEMINI = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "a fine answer"}]}, "finishReason": "STOP"}
    ],
    "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 5, "totalTokenCount": 16},
}


@pytest.fixture(scope="module")
def payer(gateway: InProcess) -> Payer:
    return gateway.books.payer()


def test_claude_over_bedrock_streams_to_clients_of_both_formats(
    gateway: InProcess, provider: FakeProvider, payer: Payer
) -> None:
    provider.scripts["bedrock/fine"] = on_the_wire(*(chunk(event) for event in MESSAGE))
    _sell(gateway, provider, "bedrock", {"claude-b": CLAUDE}, key=BEDROCK_KEY)
    client = gateway.client(payer.key)
    asked = {"model": "claude-b", "stream": True, **ASKED}

    own = client.call("POST", "/v1/messages", asked, {"anthropic-beta": "effort-2025-11-24"})
    assert _events_told(own.body) == [*MESSAGE[:-1], {"type": "message_stop"}]
    chat = client.call("POST", "/v1/chat/completions", asked)
    assert chat.frames[-1] == b"[DONE]"
    words = [json.loads(frame)["choices"] for frame in chat.frames[:-1]]
    assert "a fine\nänswer" in [one[0]["delta"].get("content") for one in words if one]

    for answer, received in zip((own, chat), provider.calls_of("bedrock"), strict=True):
        assert _usage(gateway, answer.headers["x-request-id"]) == Usage(input=11, output=5, calls=1)
        assert received.path == (
            "/bedrock/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0"
            "/invoke-with-response-stream"
        )
        assert is_signed("POST", received.path, received.headers, received.body, SECRET)
        assert "model" not in received.json()
        assert received.json()["anthropic_version"] == "bedrock-2023-05-31"
    assert provider.calls_of("bedrock")[0].json()["anthropic_beta"] == ["effort-2025-11-24"]


def test_an_exception_in_bedrocks_stream_is_an_error_and_costs_what_was_delivered(
    gateway: InProcess, provider: FakeProvider, payer: Payer
) -> None:
    events = [chunk(event) for event in MESSAGE[:3]]
    provider.scripts["broken/fine"] = on_the_wire(*events, exception("throttlingException", "slow"))
    _sell(gateway, provider, "bedrock", {"claude-x": CLAUDE}, key=BEDROCK_KEY, prefix="broken")
    asked = {"model": "claude-x", "stream": True, **ASKED}
    answer = gateway.client(payer.key).call("POST", "/v1/messages", asked)
    assert _events_told(answer.body)[-1]["error"]["type"] == "rate_limit_error"
    assert gateway.books.story(answer.request_id).settled.ending == "provider_error"


def test_what_bedrock_says_of_a_bad_request_reaches_the_client(
    gateway: InProcess, provider: FakeProvider, payer: Payer
) -> None:
    complaint = {"message": "max_tokens: must be at most 64000"}
    provider.scripts["refusing/fine"] = whole(complaint, status=400)
    _sell(gateway, provider, "bedrock", {"claude-r": CLAUDE}, key=BEDROCK_KEY, prefix="refusing")
    answer = gateway.client(payer.key).call("POST", "/v1/messages", {"model": "claude-r", **ASKED})
    assert (answer.status, answer.json()["error"]["message"]) == (400, complaint["message"])


def test_gemini_and_claude_over_vertex_share_one_token(
    gateway: InProcess, provider: FakeProvider, payer: Payer
) -> None:
    provider.scripts["token/fine"] = whole(TOKEN)
    provider.scripts["vertex/fine"] = whole(WHOLE_MESSAGE)
    provider.scripts["gemini/fine"] = whole(WHOLE_GEMINI)
    key = service_account(_at(provider, "token/v1"))
    settings = {"region": '{"default": "us-east5", "gemini-2.5-pro": "global"}'}
    _sell(
        gateway, provider, "vertex", {"claude-v": "claude-sonnet-4-5"}, key=key, settings=settings
    )
    _sell(
        gateway,
        provider,
        "vertex",
        {"gemini-v": "gemini-2.5-pro"},
        key=key,
        settings=settings,
        prefix="gemini",
    )
    client = gateway.client(payer.key)
    for path, model, call in (
        (
            "/vertex/v1/projects/acme-project/locations/us-east5"
            "/publishers/anthropic/models/claude-sonnet-4-5:rawPredict",
            "claude-v",
            "/v1/messages",
        ),
        (
            "/gemini/v1beta1/projects/acme-project/locations/global"
            "/publishers/google/models/gemini-2.5-pro:generateContent",
            "gemini-v",
            "/v1/chat/completions",
        ),
    ):
        answer = client.call("POST", call, {"model": model, **ASKED})
        assert answer.status == 200, answer.body
        assert b"a fine answer" in answer.body
        assert _usage(gateway, answer.headers["x-request-id"]) == Usage(input=11, output=5, calls=1)
        received = provider.received[-1]
        assert received.path == path
        assert received.headers["authorization"] == "Bearer ya29.token"
    (asking,) = provider.calls_of("token")
    assert claim_of(asking.body)[1]["aud"] == _at(provider, "token/v1")


def test_an_application_of_entra_id_calls_azure(
    gateway: InProcess, provider: FakeProvider, payer: Payer
) -> None:
    provider.scripts["login/fine"] = whole(TOKEN)
    _sell(
        gateway,
        provider,
        "azure",
        {"gpt-a": "my-gpt"},
        key="tenant|client|s3cret",
        settings={"login_url": _at(provider, "login"), "api_version": "2024-10-21"},
    )
    answers = [gateway.client(payer.key).chat("gpt-a") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert len(provider.calls_of("login")) == 1
    for received in provider.calls_of("azure"):
        assert received.path == (
            "/azure/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
        )
        assert received.headers["authorization"] == "Bearer ya29.token"


def test_a_key_that_gets_no_token_is_not_used_again_and_its_secret_is_told_to_nobody(
    gateway: InProcess,
    provider: FakeProvider,
    payer: Payer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refusal = {"error": "invalid_client", "error_description": "s3cret-of-entra is wrong"}
    provider.scripts["no-login/fine"] = whole(refusal, status=401)
    channel_id = _sell(
        gateway,
        provider,
        "azure",
        {"gpt-n": "my-gpt"},
        key="tenant|client|s3cret-of-entra",
        settings={"login_url": _at(provider, "no-login")},
        prefix="no-azure",
    )
    answer = gateway.client(payer.key).chat("gpt-n")
    assert (answer.status, answer.code) == (503, "provider_unavailable")
    assert b"s3cret" not in answer.body
    assert provider.calls_of("no-azure") == []
    held = gateway.core.configuration.held.channels
    until(lambda: held[channel_id].out_of_use, 5, "the key is marked")
    printed = capsys.readouterr()
    assert "s3cret" not in printed.out + printed.err


def _sell(
    gateway: InProcess,
    provider: FakeProvider,
    type_: str,
    models: Mapping[str, str],
    *,
    key: str,
    settings: Mapping[str, str] | None = None,
    prefix: str = "",
) -> UUID:
    for model in models:
        gateway.books.price(model, input=1, output=2)
    return gateway.books.channel(
        models,
        type_=type_,
        base_url=_at(provider, prefix or type_),
        keys=[key],
        settings=settings,
    )


def _at(provider: FakeProvider, path: str) -> str:
    return f"http://127.0.0.1:{provider.port}/{path}"


def _events_told(body: bytes) -> list[Any]:
    return [json.loads(event.data) for event in SSEParser().feed(body)]


def _usage(gateway: InProcess, request_id: str) -> Usage:
    settled = gateway.books.story(request_id).settled
    assert settled.basis == "measured"
    return settled.usage
