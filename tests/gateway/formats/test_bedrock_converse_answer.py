"""Converse: what is understood of answers and streams, and what is billed for them."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gateway.conversation.parts import Text, Thinking, ToolCall
from gateway.conversation.turn import (
    Begun,
    CitationDelta,
    PartBegun,
    PartEnded,
    SignatureDelta,
    Stopped,
    TextDelta,
    TurnEvent,
)
from gateway.errors import AnswerFailed, UpstreamFailed, UpstreamRateLimited, UpstreamRefused
from gateway.formats.bedrock_converse.format import BedrockConverse
from gateway.formats.contract import StreamReader, UnreadableAnswer
from gateway.formats.registry import FORMATS
from gateway.formats.values import ChatCall
from ledger.pricing import STANDARD
from ledger.usage import Usage
from tests.gateway.providers.event_streams import CONVERSE

FORMAT = BedrockConverse()
TRANSLATION = FORMAT.translation
SAID = [{"role": "user", "content": "hello"}]
CALL = ChatCall("m", True, None, 1, True, {}, b"{}")

# ---------------------------------------------------------------------- answers

PAGE = {"title": "t", "location": {"web": {"url": "https://x.invalid", "domain": "x.invalid"}}}
CITED = {"citationsContent": {"content": [{"text": "so"}], "citations": [PAGE]}}
ANSWER = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
                {"reasoningContent": {"redactedContent": "cg=="}},
                {"text": "a"},
                {
                    "toolUse": {
                        "toolUseId": "s1",
                        "name": "n",
                        "input": {},
                        "type": "server_tool_use",
                    }
                },
                CITED,
                {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
    "serviceTier": {"type": "flex"},
}


def test_a_whole_answer() -> None:
    answer = FORMAT.read_answer(msgspec.json.encode(ANSWER))
    assert (answer.usage, answer.anomaly) == (Usage(input=3, output=4), None)
    assert (answer.service, answer.error) == ("flex", None)
    assert answer.output_texts == ("hm", "a", "n", "so", "f", '{"a":1}')
    turn = TRANSLATION.turn(ANSWER)
    (choice,) = turn.choices
    assert choice.stop == "tool_calls"
    thought, hidden, text, foreign, cited, call = choice.parts
    assert thought == Thinking(text="hm", signature="s", signed_by="bedrock_converse")
    assert hidden == Thinking(
        text="", signature="cg==", signed_by="bedrock_converse", is_redacted=True
    )
    assert text == Text(text="a")
    assert foreign.format == "bedrock_converse"  # type: ignore[union-attr]  # told as foreign
    assert cited == Text(
        text="so",
        citations=({"url": "https://x.invalid", "title": "t"},),
        citing="bedrock_converse",
    )
    assert call == ToolCall(id="c1", name="f", arguments='{"a":1}')
    assert turn.id != TRANSLATION.turn(ANSWER).id


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("a_new_one", "other"),
        (None, "stop"),
    ],
)
def test_why_it_stopped(reason: str | None, stop: str) -> None:
    output = {"message": {"role": "assistant", "content": [{"text": "a"}]}}
    (choice,) = TRANSLATION.turn({"output": output, "stopReason": reason}).choices
    assert choice.stop == stop


@pytest.mark.parametrize("reason", ["malformed_tool_use", "malformed_model_output"])
def test_b4_what_the_model_wrote_wrongly_is_a_failure(reason: str) -> None:
    output = {"message": {"role": "assistant", "content": []}}
    with pytest.raises(AnswerFailed):
        TRANSLATION.turn({"output": output, "stopReason": reason})
    with pytest.raises(AnswerFailed):
        TRANSLATION.reader().read(json.dumps({"messageStop": {"stopReason": reason}}).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"output":{"message":{"content":1}}}'])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        FORMAT.read_answer(body)


@pytest.mark.parametrize(
    ("told", "usage", "anomaly"),
    [
        (
            {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokens": 3,
             "cacheWriteInputTokens": 10, "totalTokens": 16,
             "cacheDetails": [{"ttl": "1h", "inputTokens": 6}, {"ttl": "5m", "inputTokens": 4}]},
            Usage(input=1, output=2, cache_read=3, cache_write_5m=4, cache_write_1h=6),
            None,
        ),
        (
            {"inputTokens": 1, "outputTokens": 2, "cacheWriteInputTokens": 10},
            Usage(input=1, output=2, cache_write_5m=10),
            None,
        ),
        ({"inputTokens": 0, "outputTokens": 0}, Usage(), None),
        ({"inputTokens": 1}, None, "usage_incomplete"),
        ({"inputTokens": -1, "outputTokens": 2}, None, "usage_malformed"),
        ({"inputTokens": True, "outputTokens": 2}, None, "usage_malformed"),
        ({"inputTokens": 1, "outputTokens": 2, "cacheDetails": 3}, None, "usage_malformed"),
        ([], None, "usage_malformed"),
        (None, None, None),
    ],
)  # fmt: skip
def test_usage_in_classes_that_never_overlap(
    told: object, usage: Usage | None, anomaly: str | None
) -> None:
    answer = FORMAT.read_answer(msgspec.json.encode({**ANSWER, "usage": told}))
    assert (answer.usage, answer.anomaly) == (usage, anomaly)


def test_reserved_capacity_is_no_service_of_its_own() -> None:
    body = msgspec.json.encode({**ANSWER, "serviceTier": {"type": "reserved"}})
    assert FORMAT.read_answer(body).service == STANDARD


@pytest.mark.parametrize(
    ("status", "kind", "message", "told"),
    [
        (400, "ValidationException:http://internal/", "too many", UpstreamRefused),
        (429, "ThrottlingException", "slow down", UpstreamRateLimited),
        (400, "ThrottlingException", "slow down", UpstreamRateLimited),
        (404, "ResourceNotFoundException", "none", UpstreamRefused),
        (424, "ModelErrorException", "x", UpstreamFailed),
        (403, "AccessDeniedException", "x", UpstreamFailed),
        (503, "", "x", UpstreamFailed),
        (400, "ValidationException", "The provided model identifier is invalid.", UpstreamFailed),
    ],
)
def test_a_failure_by_its_kind(status: int, kind: str, message: str, told: type) -> None:
    body = msgspec.json.encode({"message": message})
    failure = FORMAT.classify_failure(status, {"x-amzn-errortype": kind}, body)
    assert type(failure) is told
    assert (failure.message == message) is (told is UpstreamRefused)


def test_a_prompt_that_is_too_long_has_its_code() -> None:
    body = b'{"message":"Input is too long for requested model."}'
    assert FORMAT.classify_failure(400, {}, body).code == "context_length_exceeded"
    assert FORMAT.classify_failure(400, {}, b"<html>").code == "invalid_value"


# ---------------------------------------------------------------------- streams


def event(name: str, **told: object) -> bytes:
    return b"event: x\ndata: " + msgspec.json.encode({name: told}) + b"\n\n"


def delta(index: int, **told: object) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=told)


STREAM = b"".join(event(name, **told) for name, told in CONVERSE)
USAGE = Usage(input=11, cache_read=100, cache_write_5m=3, output=5)


def count_words(texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)


def reading() -> StreamReader:
    return FORMAT.stream(CALL, count_words)


def turn_events(*told: bytes) -> list[TurnEvent]:
    reader = TRANSLATION.reader()
    events: list[TurnEvent] = []
    for one in told:
        events += reader.read(one.partition(b"data: ")[2])
    return [*events, *reader.finish()]


def test_a_stream_is_metered_wherever_it_is_cut() -> None:
    for cut in range(len(STREAM) + 1):
        reader = reading()
        pieces = [*reader.feed(STREAM[:cut]), *reader.feed(STREAM[cut:]), *reader.finish()]
        assert [piece.kind for piece in pieces] == ["comment", *["content"] * 10, "usage"]
        assert b"".join(piece.raw for piece in pieces) == STREAM
        assert (reader.usage, reader.anomaly) == (USAGE, None)
        assert reader.finished
        assert reader.saw_content
        assert reader.error is None
        assert reader.delivered.count() == 5
        assert reader.output_tokens_at_least() > 0


def test_a_stream_that_ends_in_the_middle_has_no_usage() -> None:
    reader = reading()
    reader.feed(event("messageStart", role="assistant") + delta(0, text="a b"))
    assert reader.usage is None
    assert not reader.finished
    assert reader.delivered.count() == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("throttlingException", UpstreamRateLimited),
        ("validationException", UpstreamRefused),
        ("modelStreamErrorException", UpstreamFailed),
        ("internalServerException", UpstreamFailed),
        ("newException", UpstreamFailed),
    ],
)
def test_an_exception_breaks_the_stream(name: str, told: type) -> None:
    reader = reading()
    reader.feed(delta(0, text="a"))
    (piece,) = reader.feed(event(name, message="why"))
    assert piece.kind == "error"
    assert type(reader.error) is told
    assert reader.feed(delta(0, text="b")) == []
    assert reader.finish() == []


@pytest.mark.parametrize("data", ["[]", "{}", '{"a":{},"b":{}}', '{"messageStop":1}', "{"])
def test_an_odd_event_breaks_the_stream(data: str) -> None:
    reader = reading()
    (piece,) = reader.feed(f"data: {data}\n\n".encode())
    assert piece.kind == "error"
    assert isinstance(reader.error, UpstreamFailed)


def test_a_stream_as_the_events_of_a_turn() -> None:
    begun, *events = turn_events(*(event(name, **told) for name, told in CONVERSE))
    assert isinstance(begun, Begun)
    assert events == [
        PartBegun(choice=0, number=0, part=Thinking(text="")),
        TextDelta(choice=0, number=0, text="hm"),
        SignatureDelta(choice=0, number=0, signature="c2ln", signed_by="bedrock_converse"),
        PartEnded(choice=0, number=0),
        PartBegun(choice=0, number=1, part=Text(text="")),
        TextDelta(choice=0, number=1, text="a fine\nänswer"),
        PartEnded(choice=0, number=1),
        PartBegun(choice=0, number=2, part=ToolCall(id="tooluse_1", name="weather", arguments="")),
        TextDelta(choice=0, number=2, text='{"city":'),
        TextDelta(choice=0, number=2, text='"Oslo"}'),
        PartEnded(choice=0, number=2),
        Stopped(choice=0, stop="tool_calls"),
    ]


def test_redacted_thoughts_are_told_when_they_are_whole() -> None:
    told = turn_events(
        delta(0, reasoningContent={"redactedContent": "YQ=="}),
        delta(0, reasoningContent={"redactedContent": "Yg=="}),
        delta(1, text="x"),
        event("contentBlockStop", contentBlockIndex=0),
    )
    begun = [one for one in told if isinstance(one, PartBegun)]
    assert [one.part for one in begun] == [
        Text(text=""),
        Thinking(text="", signature="YWI=", signed_by="bedrock_converse", is_redacted=True),
    ]
    assert sum(isinstance(one, PartEnded) for one in told) == 2


def test_a_call_without_arguments_has_an_empty_object() -> None:
    start = {"toolUse": {"toolUseId": "c", "name": "f"}}
    told = turn_events(event("contentBlockStart", contentBlockIndex=0, start=start))
    assert TextDelta(choice=0, number=0, text="{}") in told
    assert told[-1] == Stopped(choice=0, stop="tool_calls")


def test_what_the_provider_does_by_itself_is_nobodys_call() -> None:
    start = {"toolUse": {"toolUseId": "c", "name": "nova_grounding", "type": "server_tool_use"}}
    told = turn_events(
        event("contentBlockStart", contentBlockIndex=0, start=start),
        delta(0, toolUse={"input": "{}"}),
        event("contentBlockStop", contentBlockIndex=0),
        delta(1, text="so"),
        delta(1, citation=PAGE),
    )
    assert [one.number for one in told if isinstance(one, PartBegun)] == [0]
    (cited,) = [one for one in told if isinstance(one, CitationDelta)]
    assert cited.citation == {"url": "https://x.invalid", "title": "t"}
    assert told[-1] == Stopped(choice=0, stop="stop")


def test_a_delta_of_a_call_that_has_not_begun_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswer):
        turn_events(delta(0, toolUse={"input": "{}"}))


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses", "anthropic_messages"])
def test_signatures_come_back_through_clients_of_other_formats(client: str) -> None:
    translation = FORMATS[client].translation
    answer = json.loads(translation.answer(CALL, TRANSLATION.turn(ANSWER), Usage()))
    messages: dict[str, Any]
    if client == "openai_chat":
        messages = {"messages": [*SAID, answer["choices"][0]["message"]]}
    elif client == "openai_responses":
        messages = {"input": [*SAID, *answer["output"]]}
    else:
        sent_back = {"role": "assistant", "content": answer["content"]}
        messages = {"messages": [*SAID, sent_back], "max_tokens": 9}
    document = {"model": "m", **messages}
    call = FORMATS[client].read_request(document, msgspec.json.encode(document))
    sent = TRANSLATION.request(translation.conversation(call), "us.amazon.nova-2-lite-v1:0")
    thoughts = [
        block
        for message in sent.document["messages"]
        for block in message["content"]
        if "reasoningContent" in block
    ]
    assert thoughts == ANSWER["output"]["message"]["content"][:2]  # type: ignore[index]  # of JSON
    assert "thinking" not in sent.losses
