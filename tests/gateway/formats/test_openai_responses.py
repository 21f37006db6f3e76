"""Responses: read for what they cost, told as streams, and by way of no format there and back."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gateway.conversation.parts import Foreign, Part, Refusal, Text, Thinking, ToolCall
from gateway.conversation.request import Conversation, Message, Sampling
from gateway.conversation.turn import SignatureDelta, Stopped, TextDelta
from gateway.errors import GatewayError, InvalidRequest, UpstreamFailed, UpstreamRateLimited
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.openai_chat.format import OpenAIChat
from gateway.formats.openai_responses.format import OpenAIResponses
from gateway.formats.values import ChatCall, Piece
from gateway.http.sse import SSEParser
from ledger.usage import Usage
from tests.recorded import Recording, recordings

RESPONSES = OpenAIResponses()
TRANSLATION = RESPONSES.translation
ANSWERED = recordings("openai-responses-responses")
STREAMS = [each for each in ANSWERED if each.is_stream]
WHOLE = [each for each in ANSWERED if not each.is_stream]
USED = Usage(input=5, cache_read=2, output=3, reasoning=4)


def count_words(texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)


def call(**members: object) -> ChatCall:
    document = {"model": "m", "input": "x", **members}
    return RESPONSES.read_request(document, json.dumps(document).encode())


def call_of(recording: Recording) -> ChatCall:
    document = recording.document
    document.pop("background", None)
    document.pop("previous_response_id", None)
    return RESPONSES.read_request(document, recording.request.encode())


def read_all(chunks: list[bytes]) -> tuple[Any, list[Piece]]:
    reader = RESPONSES.stream(call(), count_words)
    pieces = [piece for chunk in chunks for piece in reader.feed(chunk)]
    return reader, [*pieces, *reader.finish()]


def told_usage(recording: Recording) -> Usage:
    told = recording.usage
    cached = told["input_tokens_details.cached_tokens"]
    written = told.get("input_tokens_details.cache_write_tokens", 0)
    reasoning = told["output_tokens_details.reasoning_tokens"]
    return Usage(
        input=told["input_tokens"] - cached - written,
        cache_read=cached,
        cache_write_5m=written,
        output=told["output_tokens"] - reasoning,
        reasoning=reasoning,
    )


@pytest.mark.parametrize("recording", WHOLE, ids=lambda each: each.name)
def test_a_recorded_answer_costs_what_it_tells(recording: Recording) -> None:
    answer = RESPONSES.read_answer(recording.response)
    assert (answer.usage, answer.anomaly, answer.error) == (told_usage(recording), None, None)
    assert answer.output_texts


@pytest.mark.parametrize("recording", STREAMS, ids=lambda each: each.name)
def test_a_recorded_stream_passes_whole_but_for_its_held_end(recording: Recording) -> None:
    reader, pieces = read_all([recording.response])
    assert reader.finished
    assert reader.saw_content
    assert reader.usage == told_usage(recording)
    passed = b"".join(piece.raw for piece in pieces if piece.kind in ("content", "comment"))
    held = [piece.raw for piece in pieces if piece.kind == "end"]
    assert held == [reader.closing(USED)]
    assert recording.response.startswith(passed + held[0])


@pytest.mark.parametrize("recording", STREAMS, ids=lambda each: each.name)
def test_cuts_change_nothing(recording: Recording) -> None:
    stream = recording.response[:3_000] + recording.response[-3_000:]
    start = stream.index(b"\n\n", 3_000) + 2
    stream = stream[:3_000].rpartition(b"\n\n")[0] + b"\n\n" + stream[start:]
    _, whole = read_all([stream])
    for size in (1, 2, 7, 501):
        _, cut = read_all([stream[at : at + size] for at in range(0, len(stream), size)])
        assert cut == whole


@pytest.mark.parametrize(
    ("status", "usage"),
    [("incomplete", {"input_tokens": 3, "output_tokens": 4}), ("completed", None)],
)
def test_an_incomplete_response_ends_well_and_is_billed(status: str, usage: object) -> None:
    event = {"type": f"response.{status}", "response": {"status": status, "usage": usage}}
    reader, pieces = read_all([b"data: " + json.dumps(event).encode() + b"\n\n"])
    assert [piece.kind for piece in pieces] == ["end"]
    assert reader.usage == (None if usage is None else Usage(input=3, output=4))


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, UpstreamRateLimited),
        ({"error": {"message": "boom", "code": 500}}, UpstreamFailed),
        ({"type": "response.failed", "response": {"error": {"message": "no"}}}, UpstreamFailed),
        ({"type": "response.failed", "response": {}}, UpstreamFailed),
    ],
)
def test_a_failure_within_a_stream_is_named(event: dict[str, Any], kind: type) -> None:
    reader, pieces = read_all([b"data: " + json.dumps(event).encode() + b"\n\n", b"data: {}\n\n"])
    assert [piece.kind for piece in pieces] == ["error"]
    assert isinstance(reader.error, kind)


def test_a_failed_response_tells_its_usage_all_the_same() -> None:
    response = {"error": {"message": "x"}, "usage": {"input_tokens": 9, "output_tokens": 1}}
    event = {"type": "response.failed", "response": response}
    reader, _ = read_all([b"data: " + json.dumps(event).encode() + b"\n\n"])
    assert reader.usage == Usage(input=9, output=1)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"output": 3}'])
def test_what_is_no_response_is_not_read_as_one(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        RESPONSES.read_answer(body)


@pytest.mark.parametrize(
    "members",
    [
        {"model": None},
        {"input": None},
        {"input": [1]},
        {"input": [{"role": 3, "content": "x"}]},
        {"input": [{"role": "user"}]},
        {"input": [{"role": "user", "content": [{}]}]},
        {"max_output_tokens": 0},
        {"previous_response_id": ""},
        {"previous_response_id": 3},
        {"conversation": "c"},
        {"prompt": {"id": "p"}},
        {"background": True},
        {"tools": [{}]},
        {"tools": [{"type": "function"}]},
        {"tool_choice": 3},
        {"temperature": "hot"},
        {"metadata": {"k": 1}},
    ],
)
def test_a_malformed_request_is_refused_by_its_parameter(members: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        call(**members)
    assert (refusal.value.param or "").startswith(next(iter(members)))


def test_c19_what_only_the_provider_knows_is_refused_with_the_reason() -> None:
    for name, value in (("prompt", {"id": "pmpt_1", "version": "2"}), ("conversation", "conv_1")):
        for given in ({}, {"input": None}):
            with pytest.raises(InvalidRequest) as refusal:
                call(**{name: value}, **given)
            assert (refusal.value.param, refusal.value.code) == (name, "unsupported_parameter")
            assert refusal.value.message.startswith(f"'{name}' is not supported here: ")


def test_c19_nothing_new_may_be_asked_where_a_response_is_gone_on_from() -> None:
    assert call(input=None, previous_response_id="resp_1").continues == "resp_1"
    with pytest.raises(InvalidRequest) as refusal:
        call(input=None)
    assert (refusal.value.param, refusal.value.code) == ("input", "missing_required_parameter")
    with pytest.raises(InvalidRequest):
        call(input=[], previous_response_id="resp_1")


def test_the_body_passes_but_for_the_model_and_what_is_stripped() -> None:
    body = b'{"model":"m","input":"x", "api_key": "k","odd":1e0}'
    one = RESPONSES.read_request(json.loads(body), body)
    assert RESPONSES.provider_body(one, "up") == b'{"model":"up","input":"x","odd":1e0}'
    plain = call()
    assert RESPONSES.provider_body(plain, "m") is plain.body


@pytest.mark.parametrize("recording", ANSWERED, ids=lambda each: each.name)
def test_a_recorded_request_comes_back_as_it_was(recording: Recording) -> None:
    written = TRANSLATION.request(TRANSLATION.conversation(call_of(recording)), "m")
    assert written.losses == ()
    again = TRANSLATION.conversation(
        RESPONSES.read_request(written.document, json.dumps(written.document).encode())
    )
    assert _same(again) == _same(TRANSLATION.conversation(call_of(recording)))


def _same(conversation: Conversation) -> object:
    """What a request means: nothing is stored at providers that was not asked to be."""
    return (
        [(message.role, message.parts) for message in conversation.messages],
        conversation.tools,
        conversation.tool_choice,
        conversation.sampling,
        conversation.reasoning and conversation.reasoning.effort,
        conversation.output,
        conversation.service,
        conversation.is_stream,
    )


@pytest.mark.parametrize("recording", WHOLE, ids=lambda each: each.name)
def test_a_recorded_answer_keeps_what_it_says(recording: Recording) -> None:
    turn = TRANSLATION.turn(json.loads(recording.response))
    written = TRANSLATION.answer(call(), turn, told_usage(recording))
    again = TRANSLATION.turn(json.loads(written))
    assert again.choices == turn.choices
    assert RESPONSES.read_answer(written).usage == told_usage(recording)


@pytest.mark.parametrize("recording", STREAMS, ids=lambda each: each.name)
def test_a_recorded_stream_comes_out_as_the_same_turn(recording: Recording) -> None:
    reader, writer = TRANSLATION.reader(), TRANSLATION.writer(call(stream=True))
    told = b"".join(writer.write(reader.read(data)) for data in events_of(recording.response))
    told += writer.write(reader.finish()) + writer.closing(USED)
    last = json.loads(events_of(told)[-1])["response"]
    before = json.loads(events_of(recording.response)[-1])["response"]
    assert _all_said(last) == _all_said(before)
    assert last["status"] == before["status"]
    numbers = [json.loads(data)["sequence_number"] for data in events_of(told)]
    assert numbers == list(range(len(numbers)))


def _all_said(response: dict[str, Any]) -> list[object]:
    """What a response says, but for items of tools: some are not streamed."""
    parts = TRANSLATION.turn(response).choices[0].parts
    return [_said(part) for part in parts if not isinstance(part, Foreign)]


def _said(part: Part) -> object:
    """A thought is sealed anew whenever it is told."""
    if isinstance(part, Thinking):
        return part.text, bool(part.signature)
    if isinstance(part, ToolCall):
        return part.name, part.arguments
    assert isinstance(part, Text | Refusal)
    return part.text


def events_of(stream: bytes) -> list[bytes]:
    return [event.data for event in SSEParser().feed(stream) if event.data]


def test_a_whole_answer_becomes_the_stream_of_the_same_turn() -> None:
    recording = WHOLE[0]
    stream = RESPONSES.as_stream(call(stream=True), recording.response)
    reader, pieces = read_all([stream])
    assert reader.finished
    assert reader.usage == told_usage(recording)
    assert b"".join(piece.raw for piece in pieces) == stream


def test_a_chat_with_tools_goes_through_and_back() -> None:
    """Chat -> Responses -> Chat: text beside calls, results, and what is forced."""
    chat = OpenAIChat()
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "what?"},
        {
            "role": "assistant",
            "content": "I look",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "2", "type": "function", "function": {"name": "g", "arguments": "[]"}},
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "2", "content": "two"},
        {"role": "user", "content": "so?"},
    ]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    document = {
        "model": "m",
        "messages": messages,
        "tools": tools,
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True},
        },
    }
    asked = chat.translation.conversation(chat.read_request(document, b""))
    written = TRANSLATION.request(asked, "m")
    assert written.losses == ()
    again = TRANSLATION.conversation(RESPONSES.read_request(written.document, b""))
    back = chat.translation.request(again, "m").document
    for name in ("messages", "tool_choice", "response_format"):
        assert back[name] == document[name]


def test_what_it_cannot_say_is_named_or_refused() -> None:
    conversation = Conversation(
        format="anthropic_messages",
        messages=(
            Message(role="user", parts=(Text(text="x"),)),
            Message(
                role="assistant",
                parts=(Thinking(text="hm", signature="s", signed_by="anthropic_messages"),),
            ),
        ),
        sampling=Sampling(top_k=4, stop=("a",), seed=0),
    )
    assert TRANSLATION.request(conversation, "m").losses == ("thinking", "top_k", "seed")
    with pytest.raises(InvalidRequest):
        TRANSLATION.request(
            Conversation(format="openai_chat", messages=conversation.messages[:1], choices=2), "m"
        )


def test_a_strangers_signature_comes_back_from_the_client() -> None:
    thought = Thinking(text="hm", signature="s", signed_by="anthropic_messages")
    turn = TRANSLATION.turn({"id": "i", "output": []})
    (choice,) = turn.choices
    turn = msgspec.structs.replace(
        turn, choices=(msgspec.structs.replace(choice, parts=(thought,)),)
    )
    (item,) = json.loads(TRANSLATION.answer(call(), turn, USED))["output"]
    conversation = TRANSLATION.conversation(call(input=[{"role": "user", "content": "x"}, item]))
    assert conversation.messages[1].parts == (thought,)


def test_the_seal_of_a_thought_is_told_when_its_item_is_done() -> None:
    reader = TRANSLATION.reader()
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"}
    events = reader.read(
        json.dumps({"type": "response.output_item.added", "item": {**item}}).encode()
    )
    events += reader.read(
        json.dumps({"type": "response.output_item.done", "item": {**item}}).encode()
    )
    events += reader.finish()
    signed = [event for event in events if isinstance(event, SignatureDelta)]
    assert [(one.signature, one.signed_by) for one in signed] == [("rs_1\ne", "openai_responses")]
    assert not [event for event in events if isinstance(event, TextDelta)]
    assert events[-1] == Stopped(choice=0, stop="stop")


def test_an_error_of_ours_is_told_in_both_ways_that_clients_read() -> None:
    event = RESPONSES.stream_error(GatewayError("broken"))
    told = json.loads(event.partition(b"data: ")[2])
    assert (told["type"], told["message"], told["error"]["message"]) == (
        "error",
        "broken",
        "broken",
    )
