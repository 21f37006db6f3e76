"""B2: images that a model made reach the client in its format's own form, or in words."""

import json
from typing import Any

import pytest

from gateway.conversation.parts import Media, Text
from gateway.formats.registry import FORMATS, PROVIDER_FORMATS
from tests.gateway.formats.odd_answers import PNG, event_of
from tests.gateway.formats.test_translator import asking, count_words
from tests.gateway.formats.told_turns import Told, told_of_answer, told_of_events

URL = f"data:image/png;base64,{PNG}"
MAKERS = ("gemini", "openai_chat", "openai_responses")
CLIENTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini", "openai_completions")
IN_WORDS = ("anthropic_messages", "openai_completions")
PAIRS = [(maker, client) for maker in MAKERS for client in CLIENTS if maker != client]
MODELS = {
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-4o",
    "anthropic_messages": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash-image",
    "bedrock_converse": "us.amazon.nova-2-lite-v1:0",
}
PICTURE = {"type": "image_url", "image_url": {"url": URL}}


def whole(maker: str, images: int = 1) -> dict[str, Any]:
    """Words, then images."""
    match maker:
        case "gemini":
            image = {"inlineData": {"mimeType": "image/png", "data": PNG}}
            parts = [{"text": "so"}, *[image] * images]
            return {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
        case "openai_chat":
            message = {"role": "assistant", "content": "so", "images": [PICTURE] * images}
            return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        case _:
            said = {"type": "output_text", "text": "so", "annotations": []}
            message = {"type": "message", "role": "assistant", "content": [said]}
            calls = [
                {"type": "image_generation_call", "id": f"i{n}", "status": "completed",
                 "result": PNG, "output_format": "png"}
                for n in range(images)
            ]  # fmt: skip
            return {"id": "resp_1", "status": "completed", "output": [message, *calls]}


def streamed(maker: str, images: int = 1) -> list[dict[str, Any]]:
    match maker:
        case "gemini":
            (candidate,) = whole(maker, images)["candidates"]
            parts = [{"content": {"parts": [part]}} for part in candidate["content"]["parts"]]
            return [{"candidates": [one]} for one in (*parts, {"finishReason": "STOP"})]
        case "openai_chat":
            deltas = [{"content": "so"}, *[{"images": [{**PICTURE, "index": 0}]}] * images]
            chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
            end: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "stop"}
            return [*chunks, {"choices": [end]}]
        case _:
            done = [
                {"type": "response.output_item.done", "output_index": index, "item": item}
                for index, item in enumerate(whole(maker, images)["output"])
            ]
            return [*done, {"type": "response.completed", "response": whole(maker, images)}]


def assert_shown(told: Told, client: str, images: int = 1) -> None:
    if client in IN_WORDS:
        assert told.words.startswith("so")
        assert told.words.count("image/png") == images
        assert PNG.encode() not in told.raw
        return
    assert told.words == "so"
    assert told.stop.stop == "stop"
    if client == "openai_responses":  # a call in its own right, which only its providers read
        assert told.raw.count(b'"type":"image_generation_call"') >= images
    media = [part for part in told.parts if isinstance(part, Media)]
    assert [one.source for one in media] == [shown()] * images
    assert told.raw.count(PNG.encode()) >= images


def shown() -> Any:  # noqa: ANN401
    (media,) = FORMATS["openai_chat"].translation.turn(whole("openai_chat")).choices[0].parts[1:]
    assert isinstance(media, Media)
    return media.source


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize(("maker", "client"), PAIRS)
def test_b2_an_image_is_told(maker: str, client: str, images: int) -> None:
    assert_shown(told_of_answer(maker, client, whole(maker, images)), client, images)
    assert_shown(told_of_events(maker, client, streamed(maker, images)), client, images)


@pytest.mark.parametrize("client", ["openai_responses", "gemini", "anthropic_messages"])
def test_b2_an_image_within_the_content_of_a_chat(client: str) -> None:
    content = [{"type": "text", "text": "so"}, PICTURE]
    message = {"role": "assistant", "content": content}
    ended = {"index": 0, "finish_reason": "stop"}
    told = told_of_answer("openai_chat", client, {"choices": [{**ended, "message": message}]})
    assert_shown(told, client)
    chunk = {"choices": [{**ended, "delta": message}]}
    assert_shown(told_of_events("openai_chat", client, [chunk]), client)


@pytest.mark.parametrize("client", [one for one in CLIENTS if one != "openai_chat"])
def test_b2_an_image_by_its_address(client: str) -> None:
    answer = whole("openai_chat")
    url = "https://x.invalid/a.png"
    answer["choices"][0]["message"]["images"] = [{"type": "image_url", "image_url": {"url": url}}]
    told = told_of_answer("openai_chat", client, answer)
    assert url.encode() in told.raw


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses"])
def test_b2_sound_that_a_client_has_no_form_for_is_told_in_words(client: str) -> None:
    sound = {"inlineData": {"mimeType": "audio/L16", "data": PNG}}
    answer = {"candidates": [{"content": {"parts": [sound]}, "finishReason": "STOP"}]}
    told = told_of_answer("gemini", client, answer)
    assert "audio/L16" in told.words
    assert all(isinstance(part, Text) for part in told.parts)


def test_b2_a_chats_images_have_indexes_and_what_responses_say_of_theirs() -> None:
    told = told_of_events("gemini", "openai_chat", streamed("gemini", 2))
    images = [
        image
        for line in told.raw.split(b"\n")
        if line.startswith(b"data: {")
        for choice in json.loads(line[6:])["choices"]
        for image in choice["delta"].get("images", ())
    ]
    assert images == [{**PICTURE, "index": 0}, {**PICTURE, "index": 1}]
    raw = told_of_events("gemini", "openai_responses", streamed("gemini")).raw
    for kind in ("in_progress", "completed"):
        assert f"event: response.image_generation_call.{kind}\n".encode() in raw
    assert raw.index(b"output_item.added") < raw.index(b"image_generation_call.completed")


@pytest.mark.parametrize("maker", ["openai_chat", "gemini"])
def test_b2_a_stream_of_an_image_alone_has_said_something(maker: str) -> None:
    """As large as they come: a megabyte and more in one event."""
    events = streamed(maker)[1:]
    body = b"".join(event_of(one) for one in events).replace(PNG.encode(), b"iVBO" * 600_000)
    reader = FORMATS[maker].stream(asking(maker, is_stream=True), count_words)
    reader.feed(body)
    assert reader.error is None
    assert reader.saw_content
    assert reader.finished


# ---------------------------------------------------------------------- and back

ASKED = {"role": "user", "content": "draw"}
DRAWN = {"role": "assistant", "content": "so", "images": [PICTURE]}


def written(client: str, provider: str, document: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    call = FORMATS[client].read_request(document, json.dumps(document).encode())
    conversation = FORMATS[client].translation.conversation(call)
    told = PROVIDER_FORMATS[provider].translation.request(conversation, MODELS[provider])
    return told.document, told.losses


@pytest.mark.parametrize("provider", MODELS)
def test_b2_a_client_sends_back_what_it_was_shown(provider: str) -> None:
    document = {"model": "m", "messages": [ASKED, DRAWN, ASKED]}
    told, losses = written("openai_chat", provider, document)
    if provider == "openai_chat":
        assert told["messages"][1]["images"] == [PICTURE]
    elif provider == "gemini":
        shown = {"inlineData": {"mimeType": "image/png", "data": PNG}}
        assert told["contents"][1]["parts"] == [{"text": "so"}, shown]
    else:
        assert PNG not in json.dumps(told)
        assert "assistant.image" in losses


@pytest.mark.parametrize("provider", ["openai_chat", "openai_responses", "anthropic_messages"])
def test_b2_what_a_client_of_gemini_sends_back_is_named_where_nobody_takes_it(
    provider: str,
) -> None:
    parts = [{"text": "so"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]
    contents = [{"role": "user", "parts": [{"text": "draw"}]}, {"role": "model", "parts": parts}]
    told, losses = written("gemini", provider, {"contents": contents})
    assert PNG not in json.dumps(told)
    assert "assistant.image" in losses
