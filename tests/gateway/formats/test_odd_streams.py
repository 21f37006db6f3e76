"""Streams that leave out, repeat or misplace what they should tell: nothing of them is lost."""

import json
from typing import Any

import pytest

from gateway.formats.registry import FORMATS
from tests.gateway.formats.odd_answers import event_of
from tests.gateway.formats.test_translator import asking, count_words, translator
from tests.gateway.formats.told_turns import Told, read_stream, streamed, told_of_events

CLIENTS = ("openai_chat", "anthropic_messages", "gemini", "openai_responses")
OTHERS = [client for client in CLIENTS if client != "openai_responses"]
"""Clients for whom a stream of Responses is written anew."""
CITED = {"type": "url_citation", "url": "https://x.invalid", "title": "t"}
SUMMARY = {"type": "summary_text", "text": "hm"}
THOUGHT: dict[str, Any] = {"type": "reasoning", "id": "r", "summary": [SUMMARY]}
SAID: dict[str, Any] = {
    "type": "message",
    "id": "m",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "one two", "annotations": [CITED]}],
}
CALLED: dict[str, Any] = {
    "type": "function_call",
    "id": "f",
    "call_id": "c1",
    "name": "weather",
    "arguments": '{"city":"Riga"}',
}
OUTPUT: list[dict[str, Any]] = [THOUGHT, SAID, CALLED]


def response(**members: object) -> dict[str, Any]:
    return {"id": "resp_1", "created_at": 1, "model": "m", "status": "completed", **members}


def event(kind: str, index: int | None = None, **members: object) -> dict[str, Any]:
    place: dict[str, Any] = {}
    if index is not None:
        place = {"output_index": index, "item_id": OUTPUT[index]["id"]}
    return {"type": f"response.{kind}", **place, **members}


def everything(*, last: bool = True) -> list[dict[str, Any]]:
    """All that OpenAI sends of `OUTPUT`."""
    text, call = SAID["content"][0], CALLED
    begun_call = {**CALLED, "arguments": ""}
    events = [
        event("created", response=response(status="in_progress", output=[])),
        event("output_item.added", 0, item={**THOUGHT, "summary": []}),
        event("reasoning_summary_part.added", 0, summary_index=0, part={}),
        event("reasoning_summary_text.delta", 0, summary_index=0, delta="hm"),
        event("reasoning_summary_text.done", 0, summary_index=0, text="hm"),
        event("output_item.done", 0, item=THOUGHT),
        event("output_item.added", 1, item={**SAID, "content": []}),
        event("content_part.added", 1, content_index=0, part={**text, "text": ""}),
        event("output_text.delta", 1, content_index=0, delta="one "),
        event("output_text.delta", 1, content_index=0, delta="two"),
        event("output_text.annotation.added", 1, content_index=0, annotation=CITED),
        event("output_text.done", 1, content_index=0, text="one two"),
        event("content_part.done", 1, content_index=0, part=text),
        event("output_item.done", 1, item=SAID),
        event("output_item.added", 2, item=begun_call),
        event("function_call_arguments.delta", 2, delta='{"city":'),
        event("function_call_arguments.delta", 2, delta='"Riga"}'),
        event("function_call_arguments.done", 2, arguments=call["arguments"]),
        event("output_item.done", 2, item=CALLED),
    ]
    return [*events, completed()] if last else events


def completed(output: object = OUTPUT) -> dict[str, Any]:
    return event("completed", response=response(output=output))


def without(*kinds: str) -> list[dict[str, Any]]:
    return [one for one in everything() if not one["type"].endswith(kinds)]


def assert_whole(told: Told, client: str) -> None:
    assert (told.words, told.calls) == ("one two", [("weather", '{"city":"Riga"}')])
    assert told.thoughts == "hm"
    assert told.stop.stop == "tool_calls"
    assert told.raw.count(b"https://x.invalid") == 1, client


@pytest.mark.parametrize("client", OTHERS)
@pytest.mark.parametrize(
    "events",
    [
        everything(),
        [completed()],
        without("content_part.added"),
        without("content_part.added", "output_item.added"),
        without(".delta", "annotation.added"),
        without(".delta", "part.added", "item.added", "part.done", "annotation.added"),
        without(".delta", ".text.done", "_text.done", "arguments.done", "annotation.added"),
        without("item.done", "part.done", "_text.done", "arguments.done"),
        without("item.added", "item.done", "created"),
        [one for one in everything() if one.get("delta") not in ('"Riga"}', "two")],
        [*everything()[:-1], completed([])],
    ],
    ids=[
        "everything", "the last event", "no parts begun", "nothing begun", "no deltas",
        "items done", "items added and done", "nothing done", "deltas alone", "some deltas",
        "nothing in the last event",
    ],
)  # fmt: skip
def test_b1_whatever_a_stream_of_responses_leaves_out_is_told(
    client: str, events: list[dict[str, Any]]
) -> None:
    assert_whole(told_of_events("openai_responses", client, events), client)


@pytest.mark.parametrize("client", OTHERS)
@pytest.mark.parametrize("place", ["none", "all the same", "ids of their own"])
def test_b1_wherever_items_are_said_to_be(client: str, place: str) -> None:
    """Some vendors count no items, and GitHub's name each in every event anew."""
    events = everything()
    for number, one in enumerate(events):
        if place == "none":
            one.pop("output_index", None)
        elif place == "all the same" and "output_index" in one:
            one["output_index"] = 0
        elif place == "ids of their own" and "item_id" in one:
            one["item_id"] = f"x{number}"
            if "item" in one:
                one["item"] = {**one["item"], "id": f"y{number}"}
    assert_whole(told_of_events("openai_responses", client, events), client)


@pytest.mark.parametrize("client", OTHERS)
def test_b1_arguments_before_the_name_wait_for_it(client: str) -> None:
    events = [one for one in everything() if one.get("output_index") != 2]
    arguments = [one for one in everything() if "arguments.delta" in one["type"]]
    done = event("output_item.done", 2, item={**CALLED, "arguments": ""})
    told = told_of_events(
        "openai_responses", client, [*events[:-1], *arguments, done, completed([])]
    )
    assert told.calls == [("weather", '{"city":"Riga"}')]


@pytest.mark.parametrize(("events", "least"), [([completed()], 3), (without(".delta"), 3)])
def test_b1_what_no_delta_brought_counts_as_delivered(events: list[Any], least: int) -> None:
    reader = FORMATS["openai_responses"].stream(asking("openai_responses", True), count_words)
    reader.feed(b"".join(event_of(one) for one in events))
    assert reader.finished
    assert reader.saw_content
    assert reader.delivered.count() >= least
    whole = FORMATS["openai_responses"].stream(asking("openai_responses", True), count_words)
    whole.feed(b"".join(event_of(one) for one in everything()))
    assert reader.delivered.count() <= whole.delivered.count() + 1


@pytest.mark.parametrize("client", CLIENTS)
def test_b1_a_chat_that_tells_its_message_where_a_delta_belongs(client: str) -> None:
    if client == "openai_chat":
        return
    message = {"role": "assistant", "content": "one two", "tool_calls": [chat_call("c1")]}
    chunk = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    told = told_of_events("openai_chat", client, [chunk])
    assert (told.words, told.calls) == ("one two", [("f", '{"x":1}')])


@pytest.mark.parametrize("client", [one for one in CLIENTS if one != "anthropic_messages"])
def test_b1_blocks_of_messages_that_nobody_began(client: str) -> None:
    start = {"type": "message_start", "message": {"id": "m", "model": "m"}}
    told = told_of_events(
        "anthropic_messages",
        client,
        [
            start,
            block_delta(0, {"type": "thinking_delta", "thinking": "hm"}),
            block_delta(1, {"type": "text_delta", "text": "one "}),
            block_delta(1, {"type": "text_delta", "text": "two"}),
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            {"type": "message_stop"},
        ],
    )
    assert (told.thoughts, told.words, told.stop.stop) == ("hm", "one two", "stop")


def block_delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def chat_call(call_id: str) -> dict[str, Any]:
    return {
        "id": call_id, "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}
    }  # fmt: skip


# ---------------------------------------------------------------------- annotations, keep-alives

PAGES = [{"web": {"uri": f"https://{name}.invalid", "title": name}} for name in "ab"]


@pytest.mark.parametrize("times", [1, 3])
def test_b12_citations_come_to_a_chat_in_one_chunk(times: int) -> None:
    """openai-python puts chunks together, and raises for a list without indexes in a second."""
    said = {"content": {"parts": [{"text": "one"}]}, "groundingMetadata": {}}
    grounded = {**said, "groundingMetadata": {"groundingChunks": PAGES}}
    ended = {**grounded, "finishReason": "STOP"}
    events = [{"candidates": [one]} for one in (said, *[grounded] * (times - 1), ended)]
    body = b"".join(event_of(one) for one in events)
    told = streamed("gemini", "openai_chat", body)
    assert told.count(b'"annotations"') == 1
    urls = {each["url_citation"]["url"] for each in deltas_of(told, "annotations")}
    assert urls == {"https://a.invalid", "https://b.invalid"}


def test_b12_neighbours_signatures_of_thoughts_have_an_index() -> None:
    blocks = [
        {"type": "content_block_start", "index": index, "content_block": block}
        for index, block in enumerate(
            [
                {"type": "thinking", "thinking": "hm", "signature": "s1"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "thinking", "thinking": "so", "signature": "s2"},
            ]
        )
    ]
    end = [
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    body = b"".join(event_of(one) for one in [*blocks, *end])
    told = streamed("anthropic_messages", "openai_chat", body)
    assert [each["index"] for each in deltas_of(told, "reasoning_details")] == [0, 1, 2]
    thoughts = read_stream("openai_chat", told).thoughts
    assert thoughts == "hmso"


def deltas_of(stream: bytes, name: str) -> list[Any]:
    lines = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: {")]
    deltas = [
        choice["delta"].get(name, []) for line in lines for choice in json.loads(line)["choices"]
    ]
    return [entry for delta in deltas for entry in delta]


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize("provider", ["openai_chat", "anthropic_messages", "gemini"])
def test_b11_nothing_keeps_a_client_alive_that_its_sdk_stumbles_over(
    provider: str, client: str
) -> None:
    """Google's takes every line that is no data as a piece of JSON."""
    reader = translator(client, provider).stream(asking(client, is_stream=True), count_words)
    pieces = reader.feed(b": PROCESSING\n\n: PROCESSING\n\n")
    told = b"".join(piece.raw for piece in pieces)
    if client == "gemini":
        assert told == b""
    else:
        assert told.startswith(b":")
    assert {piece.kind for piece in pieces} == {"comment"}
