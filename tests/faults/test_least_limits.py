"""C3: a provider that takes no limit as low as the client's is asked for more: that is held for and
charged as it tells, and the client is told no more than it asked for.
"""

import json
from typing import Any

import pytest

from ledger.ids import entity_id
from tests.fake_provider import Script, whole
from tests.faults.conftest import IN_NANOS, OUT_NANOS, Stage

SAYS = "one two three four five six seven eight nine ten"
USAGE = {"input_tokens": 9, "output_tokens": 16, "total_tokens": 25}
ASKED = {
    "/v1/messages": {"messages": [{"role": "user", "content": "count"}], "max_tokens": 5},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "count"}], "max_tokens": 5},
}
CUT = {"/v1/messages": '"stop_reason":"max_tokens"', "/v1/chat/completions": '"length"'}


@pytest.fixture(scope="module")
def model(stage: Stage) -> str:
    name = f"limited-{entity_id()}"
    base_url = stage.provider.base_url(name)
    stage.books.channel({name: "gpt-4.1"}, type_="openai_responses", base_url=base_url, keys=["k"])
    stage.books.price(name, input=1, output=2)
    return name


def script(is_stream: bool) -> Script:
    """What OpenAI answers to a limit of 16 tokens."""
    content = [{"type": "output_text", "text": SAYS, "annotations": []}]
    message = {"id": "m", "type": "message", "role": "assistant", "content": content}
    response = {
        "id": "r", "object": "response", "status": "incomplete", "model": "gpt-4.1",
        "incomplete_details": {"reason": "max_output_tokens"}, "output": [message], "usage": USAGE,
    }  # fmt: skip
    if not is_stream:
        return whole(response)
    at: dict[str, Any] = {"output_index": 0, "content_index": 0, "item_id": "m"}
    part = {"type": "output_text", "text": "", "annotations": []}
    events = [
        {"type": "response.output_item.added", **at, "item": {**message, "content": []}},
        {"type": "response.content_part.added", **at, "part": part},
        *(
            {"type": "response.output_text.delta", **at, "delta": word}
            for word in SAYS.replace(" ", "| ").split("|")
        ),
        {"type": "response.incomplete", "response": response},
    ]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    return (head, *(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events))


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_c3_what_is_beyond_the_clients_limit_is_charged_and_not_told(
    stage: Stage, model: str, path: str, is_stream: bool
) -> None:
    stage.provider.scripts[f"{model}/fine"] = script(is_stream)
    body = {**ASKED[path], "model": model, "stream": is_stream}
    answer = stage.client.call("POST", path, body)
    assert answer.status == 200, answer.body
    assert answer.headers["x-tollgate-lost"] == "max_tokens"
    told = answer.body.decode()
    assert "five" in told
    assert "six" not in told
    assert CUT[path] in told.replace(": ", ":")
    assert stage.provider.calls_of(model)[-1].json()["max_output_tokens"] == 16
    story = stage.books.story(answer.request_id)
    held = story.opening.input_tokens_estimated * IN_NANOS + 16 * OUT_NANOS
    assert (story.opening.output_tokens_max, story.opening.hold_nanos) == (16, held)
    assert story.settled.charged_nanos == 9 * IN_NANOS + 16 * OUT_NANOS
    assert story.names == ["QuotaReserved", "UsageSettled"]


def test_c3_where_bytes_pass_the_vendor_speaks_for_itself(stage: Stage, model: str) -> None:
    stage.provider.scripts[f"{model}/fine"] = script(is_stream=False)
    asked = {"model": model, "input": "count", "max_output_tokens": 5, "store": False}
    answer = stage.client.call("POST", "/v1/responses", asked)
    assert "six" in answer.body.decode()
    assert stage.provider.calls_of(model)[-1].json()["max_output_tokens"] == 5
    assert stage.books.story(answer.request_id).opening.output_tokens_max == 5
