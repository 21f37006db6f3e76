"""Who is told what in whose words, by address; and every way to present a key. Pure."""

from uuid import UUID

import pytest

from gateway.call.callers import credential
from gateway.errors import InvalidKey, InvalidRequest
from gateway.http.exchange import Exchange, Header, Message
from gateway.routes.application import format_of

ANTHROPIC = [(b"anthropic-version", b"2023-06-01")]
GOOGLE = [(b"x-goog-api-key", b"k")]


async def nothing() -> Message:
    raise AssertionError


async def nowhere(_message: Message) -> None:
    raise AssertionError


def exchange(path: str, headers: list[Header] | None = None, query: bytes = b"") -> Exchange:
    scope = {"method": "GET", "path": path, "headers": headers or [], "query_string": query}
    return Exchange(scope, nothing, nowhere, UUID(int=1))


@pytest.mark.parametrize(
    ("path", "headers", "format_name"),
    [
        ("/v1/chat/completions", [], "openai_chat"),
        ("/v1/chat/completions", ANTHROPIC, "openai_chat"),
        ("/v1/completions", [], "openai_completions"),
        ("/v1/responses", [], "openai_responses"),
        ("/v1/responses/compact", [], "openai_responses"),
        ("/v1/responses/resp_1", GOOGLE, "openai_responses"),
        ("/v1/responses/resp_1/input_items", [], "openai_responses"),
        ("/v1/messages", [], "anthropic_messages"),
        ("/v1/messages/count_tokens", [], "anthropic_messages"),
        ("/v1beta/openai/chat/completions", [], "openai_chat"),
        ("/v1beta/openai/responses", GOOGLE, "openai_responses"),
        ("/v1beta/openai/completions", [], "openai_completions"),
        ("/v1beta/openai/models", [], "openai_chat"),
        ("/v1beta/openai/unheard", GOOGLE, "openai_chat"),
        ("/v1beta/models", [], "gemini"),
        ("/v1beta/models/m:generateContent", [], "gemini"),
        ("/v1beta1/models/m:countTokens", [], "gemini"),
        ("/v1/models/a/b:streamGenerateContent", [], "gemini"),
        ("/v1beta/unheard", ANTHROPIC, "gemini"),
        ("/v1/models", [], "openai_chat"),
        ("/v1/models", ANTHROPIC, "anthropic_messages"),
        ("/v1/models", GOOGLE, "gemini"),
        ("/v1/models/m", ANTHROPIC, "anthropic_messages"),
        ("/v1/unheard", [], "openai_chat"),
        ("/v1/unheard", ANTHROPIC, "anthropic_messages"),
        ("/", [], "openai_chat"),
    ],
)
def test_errors_of_an_address_are_told_in_the_words_of_who_asks_there(
    path: str, headers: list[Header], format_name: str
) -> None:
    assert format_of(exchange(path, headers)) == format_name


def test_a_key_in_the_address_is_googles_way_to_ask_for_models() -> None:
    assert format_of(exchange("/v1/models", query=b"pageSize=3&key=k")) == "gemini"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer sk-1")],
        [(b"authorization", b"bearer  sk-1 ")],
        [(b"authorization", b"sk-1")],
        [(b"x-api-key", b"sk-1")],
        [(b"x-goog-api-key", b" sk-1")],
        [(b"mj-api-secret", b"sk-1")],
        [(b"mj-api-secret", b"sk-1"), (b"authorization", b"midjourney-proxy")],
        [(b"mj-api-secret", b"sk-1"), (b"authorization", b"Bearer midjourney-proxy")],
        [(b"mj-api-secret", b"sk-1"), (b"authorization", b"")],
        [(b"sec-websocket-protocol", b"realtime, openai-insecure-api-key.sk-1, openai-beta.v1")],
        [(b"authorization", b"Bearer sk-1"), (b"x-api-key", b"sk-1")],
    ],
)
def test_a_key_may_be_presented_in_many_ways(headers: list[Header]) -> None:
    assert credential(exchange("/v1/models", headers)) == "sk-1"


def test_a_key_may_stand_in_the_address() -> None:
    assert credential(exchange("/v1beta/models", query=b"alt=sse&key=sk%2D1")) == "sk-1"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Basic eDp5")],
        [(b"authorization", b"midjourney-proxy")],
        [(b"sec-websocket-protocol", b"realtime")],
    ],
)
def test_no_key_is_no_caller(headers: list[Header]) -> None:
    with pytest.raises(InvalidKey):
        credential(exchange("/v1/models", headers))


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer sk-1"), (b"x-api-key", b"sk-2")],
        [(b"authorization", b"Bearer sk-1"), (b"mj-api-secret", b"sk-2")],
        [(b"authorization", b"Basic eDp5"), (b"x-api-key", b"sk-2")],
        [(b"sec-websocket-protocol", b"openai-insecure-api-key.a,openai-insecure-api-key.b")],
    ],
)
def test_different_keys_are_nobodys(headers: list[Header]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        credential(exchange("/v1/models", headers))
    assert refusal.value.code == "several_keys"
