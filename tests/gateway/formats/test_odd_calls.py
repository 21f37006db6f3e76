"""Calls of tools as no provider should tell them: each comes whole, once, and under its own id."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.conversation.parts import ToolCall
from gateway.errors import AnswerFailed
from tests.gateway.formats.told_turns import Told, told_of_answer, told_of_events

CLIENTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
OTHERS = {name: [one for one in CLIENTS if one != name] for name in (*CLIENTS, "bedrock_converse")}
OF_CHAT = OTHERS["openai_chat"]


def chunk(*calls: dict[str, Any], **choice: object) -> dict[str, Any]:
    delta = {"role": "assistant", "tool_calls": list(calls)} if calls else {}
    return {"choices": [{"index": 0, "delta": delta, **choice}]}


def piece(
    arguments: object = "", name: str | None = None, own_id: str | None = None, index: object = 0
) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    told: dict[str, Any] = {"type": "function", "function": function}
    told |= {"id": own_id} if own_id else {}
    return told if index is None else told | {"index": index}


def numbered(number: int) -> str:
    return json.dumps({"x": number}, separators=(",", ":"))


DONE = chunk(finish_reason="tool_calls")


# ---------------------------------------------------------------------- B3: which call it is


@pytest.mark.parametrize("client", OF_CHAT)
@pytest.mark.parametrize("index", [0, None])
@pytest.mark.parametrize("is_one_chunk", [False, True])
def test_b3_a_new_id_begins_a_new_call(client: str, index: object, is_one_chunk: bool) -> None:
    calls = [piece('{"x":1}', "f", "a", index), piece('{"x":2}', "f", "b", index)]
    chunks = [chunk(*calls)] if is_one_chunk else [chunk(one) for one in calls]
    told = told_of_events("openai_chat", client, [*chunks, DONE])
    assert told.calls == [("f", '{"x":1}'), ("f", '{"x":2}')]
    assert told.call_ids == ["a", "b"]
    assert told.stop.stop == "tool_calls"


@pytest.mark.parametrize("client", OF_CHAT)
def test_b3_pieces_without_an_id_belong_to_the_last_call_of_their_place(client: str) -> None:
    events = [
        chunk(piece('{"x"', "f", "a")),
        chunk(piece(":1}")),
        chunk(piece("", "g", "b")),
        chunk(piece('{"y"')),
        chunk(piece(":2}")),
        DONE,
    ]
    told = told_of_events("openai_chat", client, events)
    assert told.calls == [("f", '{"x":1}'), ("g", '{"y":2}')]


@pytest.mark.parametrize("client", OF_CHAT)
@pytest.mark.parametrize(
    "pieces",
    [
        [piece("", None, "a"), piece("", "weather"), piece("{}")],
        [piece("", "wea", "a"), piece("", "ther"), piece("{}")],
        [piece("", "weather", "a"), piece("{}", "weather", "a")],
        [piece("{", None, "a"), piece("}", "weather")],
        [piece("", "weather"), piece("{}", None, "a")],
        [piece("", "weather", "a"), piece("{", "weather", "a"), piece("}", "weather", "a")],
    ],
    ids=["later", "in two", "again", "after its arguments", "before its id", "in each"],
)
def test_b3_a_name_is_added_up(client: str, pieces: list[dict[str, Any]]) -> None:
    told = told_of_events("openai_chat", client, [*map(chunk, pieces), DONE])
    assert told.calls == [("weather", "{}")]
    assert told.call_ids == ["a"]


@pytest.mark.parametrize("client", OF_CHAT)
@pytest.mark.parametrize("names", ["ff", "fg"])
def test_b3_calls_that_nobody_names_apart_are_told_apart_by_their_arguments(
    client: str, names: str
) -> None:
    chunks = [chunk(piece(numbered(number), name)) for number, name in enumerate(names)]
    told = told_of_events("openai_chat", client, [*chunks, DONE])
    assert told.calls == [(names[0], '{"x":0}'), (names[1], '{"x":1}')]
    assert len(set(told.call_ids)) == 2


@pytest.mark.parametrize("client", OF_CHAT)
def test_b3_a_call_without_arguments_is_told(client: str) -> None:
    told = told_of_events("openai_chat", client, [chunk(piece("", "f", "a")), DONE])
    assert [name for name, _ in told.calls] == ["f"]
    assert json.loads(told.calls[0][1] or "{}") == {}


@pytest.mark.parametrize("client", OTHERS["anthropic_messages"])
def test_b3_neighbours_blocks_of_one_place(client: str) -> None:
    events = [
        *block("a", '{"x":1}'),
        *block("b", '{"x":2}'),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    told = told_of_events("anthropic_messages", client, events)
    assert told.calls == [("f", '{"x":1}'), ("f", '{"x":2}')]
    assert told.call_ids == ["a", "b"]


def block(call_id: str, arguments: object) -> list[dict[str, Any]]:
    begun = {"type": "tool_use", "id": call_id, "name": "f", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": arguments}
    return [
        {"type": "content_block_start", "index": 0, "content_block": begun},
        {"type": "content_block_delta", "index": 0, "delta": delta},
    ]


@pytest.mark.parametrize("client", OTHERS["openai_responses"])
def test_b3_neighbours_items_of_one_place(client: str) -> None:
    calls = [
        {"type": "function_call", "id": f"i{own}", "call_id": own, "name": "f", "arguments": ""}
        for own in "ab"
    ]
    events: list[dict[str, Any]] = []
    for number, call in enumerate(calls):
        at = {"output_index": 0}
        text = numbered(number + 1)
        kind = "response.function_call_arguments.delta"
        events += [
            {"type": "response.output_item.added", "item": call, **at},
            {"type": kind, "delta": text, **at},
        ]
        call["arguments"] = text
    told = told_of_events("openai_responses", client, [*events, completed(calls)])
    assert told.calls == [("f", '{"x":1}'), ("f", '{"x":2}')]
    assert told.call_ids == ["a", "b"]


def completed(output: object, **members: object) -> dict[str, Any]:
    response = {"id": "resp_1", "status": "completed", "output": output, **members}
    return {"type": "response.completed", "response": response}


# ---------------------------------------------------------------------- B5: arguments

OBJECT = {"x": [1, {"y": None}]}
TEXT = '{"x":[1,{"y":null}]}'


def whole(provider: str, arguments: object, finish: str | None = None) -> dict[str, Any]:
    """An answer that is one call."""
    match provider:
        case "openai_chat":
            call = {"id": "a", "function": {"name": "f", "arguments": arguments}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            reason = finish or "tool_calls"
            return {"choices": [{"index": 0, "message": message, "finish_reason": reason}]}
        case "openai_responses":
            item = {"type": "function_call", "call_id": "a", "name": "f", "arguments": arguments}
            return {"id": "resp_1", "status": "completed", "output": [item]}
        case "anthropic_messages":
            use = {"type": "tool_use", "id": "a", "name": "f", "input": arguments}
            return {"content": [use], "stop_reason": finish or "tool_use"}
        case "gemini":
            part: dict[str, Any] = {"functionCall": {"id": "a", "name": "f", "args": arguments}}
            reason = finish or "STOP"
            return {"candidates": [{"content": {"parts": [part]}, "finishReason": reason}]}
        case _:
            use = {"toolUse": {"toolUseId": "a", "name": "f", "input": arguments}}
            return {"output": {"message": {"content": [use]}}, "stopReason": finish or "tool_use"}


PAIRS = [(provider, client) for provider, clients in OTHERS.items() for client in clients]


@pytest.mark.parametrize(("provider", "client"), PAIRS)
@pytest.mark.parametrize("arguments", [OBJECT, TEXT], ids=["an object", "text"])
def test_b5_arguments_are_the_same_as_an_object_and_as_text(
    provider: str, client: str, arguments: object
) -> None:
    told = told_of_answer(provider, client, whole(provider, arguments))
    assert [(name, json.loads(text)) for name, text in told.calls] == [("f", OBJECT)]
    assert told.stop.stop == "tool_calls"


@pytest.mark.parametrize(("provider", "client"), PAIRS)
def test_b5_a_call_of_nothing_has_an_empty_object(provider: str, client: str) -> None:
    nothing = "" if provider.startswith("openai") else {}
    told = told_of_answer(provider, client, whole(provider, nothing))
    assert [(name, json.loads(text or "{}")) for name, text in told.calls] == [("f", {})]


@pytest.mark.parametrize("client", OF_CHAT)
def test_b5_an_object_in_a_stream(client: str) -> None:
    events = [chunk(piece(OBJECT, "f", "a")), DONE]
    assert told_of_events("openai_chat", client, events).calls == [("f", TEXT)]


@pytest.mark.parametrize("client", OTHERS["anthropic_messages"])
def test_b5_an_object_in_a_stream_of_messages(client: str) -> None:
    end = [
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    told = told_of_events("anthropic_messages", client, [*block("a", OBJECT), *end])
    assert told.calls == [("f", TEXT)]


@pytest.mark.parametrize("client", OTHERS["openai_responses"])
def test_b5_an_object_in_a_stream_of_responses(client: str) -> None:
    call = whole("openai_responses", OBJECT)["output"][0]
    told = told_of_events("openai_responses", client, [completed([call])])
    assert told.calls == [("f", TEXT)]


CUT = '{"x":48151'


@pytest.mark.parametrize("client", OF_CHAT)
@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("finish", ["length", "tool_calls"])
def test_b5_what_was_cut_is_told_as_cut(client: str, is_stream: bool, finish: str) -> None:
    """Gemini's clients carry out every call that they see: it is told of in words there."""
    if is_stream:
        events = [chunk(piece(CUT, "f", "a")), chunk(finish_reason=finish)]
        told = read_told(lambda: told_of_events("openai_chat", client, events))
    else:
        document = whole("openai_chat", CUT, finish)
        told = read_told(lambda: told_of_answer("openai_chat", client, document))
    if told is None:
        assert (client, finish) == ("gemini", "tool_calls")
        return
    if finish == "length":
        assert told.stop.stop == "length"
    if client == "gemini":
        assert told.calls == []
        assert json.dumps(CUT)[1:-1].encode() in told.raw.partition(b'"finishMessage"')[2]
    elif client == "openai_responses":
        assert told.calls == [("f", CUT)]
        assert b'"status":"incomplete"' in told.raw
    else:
        assert [text for _, text in told.calls] == [CUT]


def read_told(read: Callable[[], Told]) -> Told | None:
    """None where the client's own format says that the call is malformed."""
    try:
        return read()
    except AnswerFailed:
        return None


# ---------------------------------------------------------------------- B13: ids


def unnamed(provider: str) -> dict[str, Any]:
    text = json.dumps(whole(provider, {"x": 1}))
    for name in ('"id": "a"', '"call_id": "a"', '"toolUseId": "a"'):
        text = text.replace(f"{name}, ", "").replace(name, '"x": 1')
    answer: dict[str, Any] = json.loads(text)
    return answer


@pytest.mark.parametrize(("provider", "client"), PAIRS)
def test_b13_ids_that_a_provider_does_not_give_are_unique_over_a_conversation(
    provider: str, client: str
) -> None:
    answers = [told_of_answer(provider, client, unnamed(provider)) for _ in range(3)]
    ids = [one for told in answers for one in told.call_ids]
    assert len(set(ids)) == len(ids) == 3
    assert all(one.isascii() and 8 < len(one) <= 40 for one in ids)


@pytest.mark.parametrize("client", OF_CHAT)
def test_b13_in_streams_as_well(client: str) -> None:
    events = [chunk(piece("{}", "f"), piece("{}", "g", index=1)), DONE]
    answers = [told_of_events("openai_chat", client, events) for _ in range(3)]
    ids = [one for told in answers for one in told.call_ids]
    assert len(set(ids)) == len(ids) == 6


@pytest.mark.parametrize("client", OTHERS["gemini"])
def test_b13_in_streams_of_gemini(client: str) -> None:
    answers = [told_of_events("gemini", client, [unnamed("gemini")]) for _ in range(3)]
    ids = [one for told in answers for one in told.call_ids]
    assert len(set(ids)) == len(ids) == 3


@pytest.mark.parametrize("client", OF_CHAT)
def test_b13_one_id_for_two_calls_names_the_first(client: str) -> None:
    answer = whole("openai_chat", "{}")
    calls = answer["choices"][0]["message"]["tool_calls"]
    calls.append(calls[0])
    first, second = told_of_answer("openai_chat", client, answer).call_ids
    assert first == "a"
    assert second not in ("", "a")


def test_b13_an_id_that_is_given_is_kept() -> None:
    for provider, client in PAIRS:
        told = told_of_answer(provider, client, whole(provider, {}))
        assert [part.id for part in told.parts if isinstance(part, ToolCall)] == ["a"]
