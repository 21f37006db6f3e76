"""Providers that keep their responses, and what they answer."""

import json
from collections.abc import Iterable
from typing import Any

from openai import OpenAI

from tests.bookkeeping import Books
from tests.fake_provider import (
    EVENT_STREAM,
    FakeProvider,
    Received,
    Script,
    event_chunk,
    opened,
    stream,
    whole,
)

USAGE: dict[str, Any] = {
    "input_tokens": 700,
    "input_tokens_details": {"cached_tokens": 100},
    "output_tokens": 300,
    "output_tokens_details": {"reasoning_tokens": 200},
    "total_tokens": 1_000,
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "a fine answer", "annotations": []}],
}


def response(response_id: str, **members: object) -> dict[str, Any]:
    return {
        "id": response_id,
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "up",
        "output": [MESSAGE],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "store": True,
        "usage": USAGE,
        **members,
    }


def keep_behind(books: Books, provider: FakeProvider, model: str) -> None:
    """Two channels with two keys each, so that it shows where something is kept."""
    for prefix in ("ka", "kb"):
        books.channel(
            {model: "up"},
            type_="openai_responses",
            base_url=provider.base_url(prefix),
            keys=[f"{prefix}-key-1", f"{prefix}-key-2"],
        )


def answers(provider: FakeProvider, content: object, status: int = 200) -> None:
    """Whatever is asked next at either channel is answered with this."""
    for prefix in ("ka", "kb"):
        provider.scripts[f"{prefix}/fine"] = whole(content, status=status)


def events_of(events: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - a script
    told = [
        event_chunk(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode()) for one in events
    ]
    return (opened(EVENT_STREAM), *told, b"0\r\n\r\n")


def last_of(events: Iterable[Any]) -> Any:  # noqa: ANN401 - a response
    """The response that a stream ends with."""
    *_, last = events
    assert last.type == "response.completed"
    return last.response


def place(received: Received) -> tuple[str, str]:
    """The channel and the key that were used."""
    return received.path.split("/")[1], received.headers["authorization"]


def translated(sdk: OpenAI, provider: FakeProvider, model: str, script: Script | None) -> Any:  # noqa: ANN401 - a response
    """A response of a model behind `kc`; with a script it is asked for, and told, as a stream."""
    if script is None:
        return sdk.responses.create(model=model, input="x")
    provider.scripts["kc/fine"] = script
    try:
        return last_of(sdk.responses.create(model=model, input="x", stream=True))
    finally:
        del provider.scripts["kc/fine"]


STREAMED_OR_NOT = (None, stream(), whole())
"""Not at all, by the provider too, by us alone."""
