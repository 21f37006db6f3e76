"""Odd answers of providers through the vendors' own SDKs: none raises, and nothing is missing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic
from google import genai
from google.genai import types
from openai import OpenAI

from tests.bookkeeping import Payer
from tests.fake_provider import (
    DONE,
    FakeProvider,
    Script,
    chunk,
    event_chunk,
    opened,
)
from tests.gateway.formats.odd_answers import PNG
from tests.gateway.formats.test_made_images import URL
from tests.gateway.formats.test_made_images import streamed as streamed_images
from tests.gateway.formats.test_odd_calls import DONE as CALLED
from tests.gateway.formats.test_odd_calls import chunk as chunk_of_calls
from tests.gateway.formats.test_odd_calls import piece
from tests.gateway.formats.test_odd_streams import PAGES, completed
from tests.running import InProcess

TYPES = {
    "openai_chat": "openai",
    "openai_responses": "openai_responses",
    "anthropic_messages": "anthropic",
    "gemini": "gemini",
}
MESSAGES: Any = [{"role": "user", "content": "one"}]


@pytest.fixture(scope="module")
def payer(gateway: InProcess, provider: FakeProvider) -> Payer:
    for name, type_ in TYPES.items():
        base_url = provider.base_url(name)
        gateway.books.channel({name: "up"}, type_=type_, base_url=base_url, keys=["k"])
        gateway.books.price(name, input=1, output=2)
    return gateway.books.payer(50)


@pytest.fixture
def google(gateway: InProcess, payer: Payer) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=gateway.base_url, timeout=20_000)
    client = genai.Client(api_key=payer.key, http_options=options)
    yield client
    client.close()


@pytest.fixture
def claude(gateway: InProcess, payer: Payer) -> Iterator[Anthropic]:
    with Anthropic(api_key=payer.key, base_url=gateway.base_url, max_retries=0) as client:
        yield client


def sse(*events: object, end: bytes = b"") -> Script:
    sent = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)
    return (opened(), event_chunk(sent + end), b"0\r\n\r\n")


def final_chat(sdk: OpenAI, model: str) -> Any:  # noqa: ANN401 - with members of other vendors
    with sdk.chat.completions.stream(model=model, messages=MESSAGES) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion().choices[0].message


@pytest.mark.parametrize("comment", [b": OPENROUTER PROCESSING\n\n", b":\n\n", b"\n\n", b": \n\n"])
def test_b11_googles_sdk_reads_a_stream_with_comments(
    google: genai.Client, provider: FakeProvider, comment: bytes
) -> None:
    said = [chunk({"content": "a"}), chunk({"content": " stream"}), chunk({}, "stop"), DONE]
    body = comment + comment.join(said)
    provider.scripts["openai_chat/fine"] = (opened(), event_chunk(body), b"0\r\n\r\n")
    chunks = list(google.models.generate_content_stream(model="openai_chat", contents="one"))
    assert "".join(one.text or "" for one in chunks) == "a stream"


def test_b11_a_comment_of_its_own_provider_is_none_of_googles(
    google: genai.Client, provider: FakeProvider
) -> None:
    said = {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}
    body = b": a proxy is here\n\ndata: %s\n\n" % json.dumps(said).encode()
    provider.scripts["gemini/fine"] = (opened(), event_chunk(body), b"0\r\n\r\n")
    chunks = list(google.models.generate_content_stream(model="gemini", contents="one"))
    assert [one.text for one in chunks] == ["a"]


@pytest.mark.parametrize("model", ["anthropic_messages", "openai_responses"])
def test_b11_the_others_skip_them(
    sdk: OpenAI, claude: Anthropic, provider: FakeProvider, model: str
) -> None:
    said = [chunk({"content": "a"}), chunk({}, "stop"), DONE]
    body = b": here\n\n" + b": here\n\n".join(said)
    provider.scripts["openai_chat/fine"] = (opened(), event_chunk(body), b"0\r\n\r\n")
    if model == "anthropic_messages":
        with claude.messages.stream(model="openai_chat", messages=MESSAGES, max_tokens=9) as stream:
            assert stream.get_final_text() == "a"
    else:
        with sdk.responses.stream(model="openai_chat", input="one") as events:
            for _ in events:
                pass
            assert events.get_final_response().output_text == "a"


def test_b12_openais_sdk_puts_citations_together(sdk: OpenAI, provider: FakeProvider) -> None:
    said = {"content": {"parts": [{"text": "one"}]}}
    grounded = {**said, "groundingMetadata": {"groundingChunks": PAGES}}
    told = [{"candidates": [one]} for one in (said, grounded, {**grounded, "finishReason": "STOP"})]
    provider.scripts["gemini/fine"] = sse(*told)
    message = final_chat(sdk, "gemini")
    urls = [one["url_citation"]["url"] for one in message.to_dict()["annotations"]]
    assert urls == ["https://a.invalid", "https://b.invalid"]


def test_b12_and_the_signatures_of_several_thoughts(sdk: OpenAI, provider: FakeProvider) -> None:
    blocks: list[Any] = [
        {"type": "thinking", "thinking": "hm", "signature": "s1"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "thinking", "thinking": "so", "signature": "s2"},
        {"type": "text", "text": "one"},
    ]
    starts = [
        {"type": "content_block_start", "index": index, "content_block": block}
        for index, block in enumerate(blocks)
    ]
    stopped = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    provider.scripts["anthropic_messages/fine"] = sse(*starts, stopped, {"type": "message_stop"})
    message = final_chat(sdk, "anthropic_messages")
    details = message.to_dict()["reasoning_details"]
    assert [one.get("signature") or one.get("data") for one in details] == ["s1", "d", "s2"]
    assert message.content == "one"


@pytest.mark.parametrize("maker", ["gemini", "openai_responses"])
def test_b2_openais_sdk_puts_images_together(
    sdk: OpenAI, provider: FakeProvider, maker: str
) -> None:
    provider.scripts[f"{maker}/fine"] = sse(*streamed_images(maker, images=2))
    message = final_chat(sdk, maker)
    assert message.content == "so"
    assert [one["image_url"]["url"] for one in message.to_dict()["images"]] == [URL, URL]


@pytest.mark.parametrize("maker", ["gemini", "openai_chat"])
def test_b2_as_calls_that_make_images(sdk: OpenAI, provider: FakeProvider, maker: str) -> None:
    end = DONE if maker == "openai_chat" else b""
    provider.scripts[f"{maker}/fine"] = sse(*streamed_images(maker), end=end)
    with sdk.responses.stream(model=maker, input="one") as events:
        kinds = [event.type for event in events]
        response = events.get_final_response()
    assert "response.image_generation_call.completed" in kinds
    (image,) = (one for one in response.output if one.type == "image_generation_call")
    assert (image.result, image.status) == (PNG, "completed")


def test_b2_googles_sdk_sees_an_image_of_a_chat(
    google: genai.Client, provider: FakeProvider
) -> None:
    provider.scripts["openai_chat/fine"] = sse(*streamed_images("openai_chat"), end=DONE)
    chunks = list(google.models.generate_content_stream(model="openai_chat", contents="one"))
    parts = [part for one in chunks for part in one.parts or ()]
    assert [part.inline_data.mime_type for part in parts if part.inline_data] == ["image/png"]


def test_b1_claudes_sdk_sees_what_the_last_event_alone_tells(
    claude: Anthropic, provider: FakeProvider
) -> None:
    provider.scripts["openai_responses/fine"] = sse(completed())
    with claude.messages.stream(
        model="openai_responses", messages=MESSAGES, max_tokens=99
    ) as stream:
        message: Any = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.content[1].text == "one two"
    assert message.content[2].input == {"city": "Riga"}
    assert message.stop_reason == "tool_use"


def test_b3_claudes_sdk_sees_two_calls(claude: Anthropic, provider: FakeProvider) -> None:
    calls = [piece('{"x":1}', "f", "a"), piece('{"x":2}', "f", "b")]
    told = [chunk_of_calls(one) for one in calls]
    provider.scripts["openai_chat/fine"] = sse(*told, CALLED, end=DONE)
    with claude.messages.stream(model="openai_chat", messages=MESSAGES, max_tokens=9) as stream:
        content: Any = stream.get_final_message().content
    assert [(block.id, block.input) for block in content] == [("a", {"x": 1}), ("b", {"x": 2})]


def test_b5_googles_sdk_sees_no_call_that_was_cut(
    google: genai.Client, provider: FakeProvider
) -> None:
    told = [chunk_of_calls(piece('{"x":48151', "f", "a")), chunk_of_calls(finish_reason="length")]
    provider.scripts["openai_chat/fine"] = sse(*told, end=DONE)
    chunks = list(google.models.generate_content_stream(model="openai_chat", contents="one"))
    assert all(not one.function_calls for one in chunks)
    candidates = chunks[-1].candidates
    assert candidates is not None
    assert candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
