"""A stream of events told as one JSON array."""

import asyncio
import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.http.exchange import Message
from gateway.http.json_array import ArrayOfEvents, as_array
from gateway.routes.gemini_paths import wants_array

STREAM = b'data: {"a": 1}\n\n: still here\n\ndata: {"b":\ndata: "\xc3\xa9"}\n\nid: 3\n\ndata: [2]'


@pytest.mark.parametrize("size", [1, 2, 5, 17, len(STREAM)])
def test_an_array_is_the_same_however_its_stream_is_cut(size: int) -> None:
    array = ArrayOfEvents()
    told = b"".join(array.feed(STREAM[at : at + size]) for at in range(0, len(STREAM), size))
    assert json.loads(told + array.finish()) == [{"a": 1}, {"b": "é"}, [2]]


def test_every_element_is_told_as_soon_as_it_is_whole() -> None:
    array = ArrayOfEvents()
    assert array.feed(b'data: {"a": 1}\n\nda') == b'[{"a": 1}'
    assert array.feed(b'ta: {"b": 2}\n') == b""
    assert array.feed(b"\n") == b',\r\n{"b": 2}'
    assert array.finish() == b"]"


def test_nothing_is_an_empty_array() -> None:
    assert ArrayOfEvents().finish() == b"[]"


def sent(*messages: dict[str, Any]) -> list[Message]:
    seen: list[Message] = []

    async def send(message: Message) -> None:
        seen.append(message)

    async def scenario() -> None:
        through = as_array(send)
        for message in messages:
            await through(message)

    asyncio.run(scenario())
    return seen


def head(content_type: bytes) -> dict[str, Any]:
    headers = [(b"content-type", content_type), (b"x-request-id", b"1")]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def test_only_a_stream_of_events_is_retold() -> None:
    body = {"type": "http.response.body", "body": b'{"error": {}}'}
    plain = [head(b"application/json"), body]
    assert sent(*plain) == plain
    start, first, last = sent(
        head(b"text/event-stream; charset=utf-8"),
        {"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True},
        {"type": "http.response.body", "body": b'data: {"error": 2}\n\n'},
    )
    assert dict(start["headers"]) == {
        b"content-type": b"application/json; charset=utf-8",
        b"x-request-id": b"1",
    }
    assert (first["body"], first["more_body"]) == (b"[1", True)
    assert last["body"] == b',\r\n{"error": 2}]'


@pytest.mark.parametrize(
    ("query", "is_array"),
    [
        (b"", True),
        (b"key=x", True),
        (b"alt=json", True),
        (b"%24alt=json%3Benum-encoding=int", None),
        (b"alt=sse", False),
        (b"key=x&alt=sse", False),
        (b"$alt=sse", False),
        (b"alt=media", None),
        (b"alt=sse&alt=json", None),
        (b"salt=sse", True),
    ],
)
def test_the_address_says_how_a_stream_is_told(query: bytes, is_array: bool | None) -> None:
    if is_array is None:
        with pytest.raises(InvalidRequest) as refusal:
            wants_array(query)
        assert refusal.value.param == "alt"
    else:
        assert wants_array(query) is is_array
