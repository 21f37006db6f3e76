"""A whole answer given as a stream carries the same content, as the format's own reader sees it."""

import json
from typing import Any

import pytest

from gateway.formats.openai_chat.answers.as_stream import as_stream
from gateway.formats.openai_chat.answers.stream import ChatStreamReader
from gateway.formats.values import ChatCall
from tests.recorded import Recording, recordings

WHOLE = [
    one
    for one in recordings("openai-chat")
    if one.status == 200 and not one.is_stream and "choices" in json.loads(one.response)
]


def call(wants_usage: bool = True, choices: int = 1) -> ChatCall:
    return ChatCall(
        model="m",
        stream=True,
        max_output_tokens=None,
        choices=choices,
        wants_usage=wants_usage,
        document={},
        body=b"{}",
    )


def read(stream: bytes, asked: ChatCall) -> tuple[ChatStreamReader, list[dict[str, Any]]]:
    reader = ChatStreamReader(asked, lambda texts: sum(map(len, texts)))
    pieces = reader.feed(stream) + reader.finish()
    data = [piece.raw.removeprefix(b"data: ") for piece in pieces if piece.kind != "end"]
    return reader, [json.loads(one) for one in data]


@pytest.mark.parametrize("one", WHOLE, ids=lambda one: one.name)
def test_every_recorded_answer_becomes_a_stream_with_the_same_content(one: Recording) -> None:
    document = json.loads(one.response)
    reader, chunks = read(as_stream(call(), one.response), call())
    assert reader.error is None
    assert reader.finished
    for choice in document["choices"]:
        own = [c["choices"][0] for c in chunks if c["choices"]]
        own = [c for c in own if c["index"] == choice["index"]]
        message = dict(choice["message"])
        calls = message.pop("tool_calls", None)
        delta = dict(own[0]["delta"])
        streamed_calls = delta.pop("tool_calls", None)
        assert delta == message
        if calls:
            assert [{k: v for k, v in c.items() if k != "index"} for c in streamed_calls] == [
                {k: v for k, v in c.items() if k != "index"} for c in calls
            ]
        assert own[-1]["finish_reason"] == choice["finish_reason"]
    if document.get("usage"):
        assert chunks[-1]["usage"] == document["usage"]


def test_usage_is_told_only_to_those_who_asked() -> None:
    body = json.dumps(
        {
            "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
    ).encode()
    _, chunks = read(as_stream(call(wants_usage=False), body), call(wants_usage=False))
    assert [chunk for chunk in chunks if "usage" in chunk] == []
