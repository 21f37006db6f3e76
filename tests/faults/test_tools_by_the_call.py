"""Tools billed by the call: held before, counted after, and covered where there were more."""

import json
from typing import Any

import pytest

from ledger.fsck import check_ledger
from ledger.ids import entity_id
from ledger.pricing import Price
from ledger.streams import price
from tests.bookkeeping import ACTOR, ChargeStory
from tests.fake_provider import Script, whole
from tests.faults.conftest import Stage

SEARCH_NANOS = 10_000_000
SOLD = Price(rates={"input": 0, "output": 0, "web_search": SEARCH_NANOS * 1_000})


def response(searches: int) -> dict[str, Any]:
    output: list[dict[str, Any]] = [
        {
            "type": "web_search_call",
            "id": f"w{n}",
            "status": "completed",
            "action": {"type": "search"},
        }
        for n in range(searches)
    ]
    output.append({"type": "message", "role": "assistant", "content": []})
    usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    return {
        "id": "r",
        "object": "response",
        "status": "completed",
        "output": output,
        "usage": usage,
    }


def script(document: dict[str, Any], is_stream: bool) -> Script:
    if not is_stream:
        return whole(document)
    event = {"type": "response.completed", "response": document}
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    return (head, b"event: response.completed\ndata: " + json.dumps(event).encode() + b"\n\n")


@pytest.fixture(scope="module")
def model(stage: Stage) -> str:
    name = f"searching-{entity_id()}"
    stage.books.channel(
        [name], type_="openai_responses", base_url=stage.provider.base_url(), keys=["k"]
    )
    command = price.SetPrice(name, SOLD, 0, ACTOR)
    stage.books.command(price.STREAM, price.price_stream_id(name), command, seen=True)
    return name


def asked(stage: Stage, model: str, script_: Script, **fields: object) -> ChargeStory:
    stage.provider.scripts["search"] = script_
    body = {
        "model": model, "input": "hi", "tools": [{"type": "web_search"}],
        "metadata": {"script": "search"}, **fields,
    }  # fmt: skip
    answer = stage.client.call("POST", "/v1/responses", body)
    assert answer.status == 200, answer.body
    return stage.books.story(answer.request_id)


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_calls_of_a_tool_are_held_counted_and_charged(
    stage: Stage, model: str, is_stream: bool
) -> None:
    story = asked(stage, model, script(response(2), is_stream), stream=is_stream, max_tool_calls=3)
    assert story.opening.hold_nanos == 3 * SEARCH_NANOS
    assert story.opening.tool_calls_max == {"web_search": 3}
    settled = story.settled
    assert (settled.usage.web_search, settled.usage.calls) == (2, 1)
    assert [(line.kind, line.units) for line in settled.lines] == [("web_search", 2)]
    assert settled.charged_nanos == 2 * SEARCH_NANOS
    assert story.names == ["QuotaReserved", "UsageSettled"]


def test_more_calls_than_were_held_for_are_covered_at_the_settlement(
    stage: Stage, model: str
) -> None:
    story = asked(stage, model, script(response(9), False), max_tool_calls=3)
    assert story.names == ["QuotaReserved", "QuotaReserved", "UsageSettled"]
    assert (story.settled.charged_nanos, story.settled.shortfall_nanos) == (9 * SEARCH_NANOS, 0)
    assert list(check_ledger(stage.gateway.app_dsn)) == []


def test_a_tool_that_is_not_offered_holds_nothing(stage: Stage, model: str) -> None:
    story = asked(stage, model, script(response(0), False), tools=[])
    assert (story.opening.hold_nanos, story.opening.tool_calls_max) == (0, {})
