"""Messages by way of the turn in no format: whole and as streams, to what real clients make."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversation.parts import Foreign, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway.conversation.turn import (
    Begun,
    Choice,
    CitationDelta,
    PartBegun,
    PartEnded,
    SignatureDelta,
    Stopped,
    StopReason,
    TextDelta,
    Turn,
    TurnEvent,
)
from gateway.formats.anthropic_messages.answers import reading_events, writing_events
from gateway.formats.anthropic_messages.format import AnthropicMessages
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.values import ChatCall
from gateway.http.sse import SSEParser
from ledger.usage import Usage
from tests.recorded import Recording, recordings

MESSAGES = AnthropicMessages()
TRANSLATION = MESSAGES.translation
NAME = MESSAGES.name
USED = Usage(input=5, cache_read=2, output=3, reasoning=4)
RECORDED = recordings("anthropic-messages-anthropic")
WHOLE = [one for one in RECORDED if not one.is_stream]
STREAMS = [one for one in RECORDED if one.is_stream]
FOUND = {
    "type": "url_citation",
    "url_citation": {"url": "https://x.org", "title": "X", "start_index": 0, "end_index": 3},
}


def call(**members: object) -> ChatCall:
    told = {"model": "asked", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    document = {**told, **members}
    return MESSAGES.read_request(document, json.dumps(document).encode())


def turn(*parts: Part, format_name: str = "openai_chat", stop: StopReason = "stop") -> Turn:
    return Turn(format=format_name, id="i-1", model="m", choices=(Choice(parts=parts, stop=stop),))


def answered(told: Turn) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(TRANSLATION.answer(call(), told, USED))
    return document


def accumulated(stream: bytes) -> dict[str, Any]:
    """What the real SDK makes of a stream, which must be complete and of whole events."""
    parser = SSEParser()
    events = parser.feed(stream)
    assert not parser.pending
    message: Any = None
    buffers: dict[int, bytes] = {}
    open_blocks: set[int] = set()
    for event in events:
        told = json.loads(event.data)
        assert (event.event or b"").decode() == told["type"]
        if told["type"] == "content_block_start":
            assert told["index"] == (0 if message is None else len(message.content))
            open_blocks.add(told["index"])
        if told["type"] == "content_block_stop":
            open_blocks.remove(told["index"])
        message = accumulate_event(event=told, current_snapshot=message, json_bufs=buffers)
    assert not open_blocks
    assert json.loads(events[-1].data) == {"type": "message_stop"}
    made: dict[str, Any] = message.to_dict()
    return made


def streamed(events: Sequence[TurnEvent]) -> dict[str, Any]:
    writer = TRANSLATION.writer(call(stream=True))
    told = b"".join(writer.write([event]) for event in events)
    return accumulated(told + writer.closing(USED))


def events_of(told: Turn, pieces: int = 2) -> list[TurnEvent]:
    """A turn as its events, each text in pieces."""
    events: list[TurnEvent] = [Begun(id=told.id, model=told.model)]
    (choice,) = told.choices
    for number, part in enumerate(choice.parts):
        events += part_events(number, part, pieces)
    return [*events, Stopped(choice=0, stop=choice.stop, stop_sequence=choice.stop_sequence)]


def part_events(number: int, part: Part, pieces: int = 2) -> list[TurnEvent]:
    begun, texts = part, ""
    events: list[TurnEvent] = []
    match part:
        case ToolCall(arguments=texts):
            begun = msgspec.structs.replace(part, arguments="")
        case Thinking(text=texts, is_redacted=False):
            begun = Thinking(text="")
        case Text(text=texts):
            begun = Text(text="")
        case Refusal(text=texts):
            begun = Refusal(text="")
        case _:
            pass
    size = max(1, len(texts) // pieces)
    cut = [texts[place : place + size] for place in range(0, len(texts), size)]
    events += [TextDelta(choice=0, number=number, text=piece) for piece in cut]
    if isinstance(part, Thinking) and part.signature and not part.is_redacted:
        signature = {"signature": part.signature, "signed_by": part.signed_by}
        events.append(SignatureDelta(choice=0, number=number, **signature))
    if isinstance(part, Text):
        events += [
            CitationDelta(choice=0, number=number, citation=one, citing=part.citing)
            for one in part.citations
        ]
    first = PartBegun(choice=0, number=number, part=begun)
    return [first, *events, PartEnded(choice=0, number=number)]


@pytest.mark.parametrize("recording", WHOLE, ids=lambda one: one.name)
def test_a_recorded_answer_comes_back_as_it_was(recording: Recording) -> None:
    told = json.loads(recording.response)
    written = json.loads(TRANSLATION.answer(call(), TRANSLATION.turn(told), USED))
    for name in ("content", "id", "role", "stop_reason", "stop_sequence", "type"):
        assert written[name] == told[name]
    assert written["model"] == "asked"
    assert (written["usage"]["input_tokens"], written["usage"]["output_tokens"]) == (5, 7)


@pytest.mark.parametrize("recording", STREAMS, ids=lambda one: one.name)
def test_a_recorded_stream_comes_out_as_the_same_message(recording: Recording) -> None:
    reader, writer = TRANSLATION.reader(), TRANSLATION.writer(call(stream=True))
    parser = SSEParser()
    told = [event.data for event in parser.feed(recording.response)]
    rewritten = b"".join(writer.write(reader.read(data)) for data in told)
    rewritten += writer.write(reader.finish()) + writer.closing(USED)
    made, expected = accumulated(rewritten), accumulated(recording.response)
    assert made["content"] == expected["content"]
    for name in ("id", "role", "stop_reason", "stop_sequence"):
        assert made[name] == expected[name]
    assert made["usage"]["cache_read_input_tokens"] == 2
    assert made["usage"]["output_tokens_details"] == {"thinking_tokens": 4}


@pytest.mark.parametrize("recording", STREAMS, ids=lambda one: one.name)
def test_a_recorded_stream_is_the_turn_that_its_message_is(recording: Recording) -> None:
    """Read event by event, or accumulated by the SDK and read whole: the same parts."""
    reader = TRANSLATION.reader()
    parser = SSEParser()
    events = [each for event in parser.feed(recording.response) for each in reader.read(event.data)]
    events += reader.finish()
    (choice,) = TRANSLATION.turn(accumulated(recording.response)).choices
    assert [event.part for event in events if isinstance(event, PartBegun)] == [
        _emptied(part) for part in choice.parts
    ]
    texts = [part.text for part in choice.parts if isinstance(part, Text | Thinking)]
    said: dict[int, str] = {}
    for event in events:
        if isinstance(event, TextDelta):
            said[event.number] = said.get(event.number, "") + event.text
    assert list(said.values()) == [text for text in texts if text]
    assert events[-1] == Stopped(choice=0, stop=choice.stop)


def _emptied(part: Part) -> Part:
    match part:
        case Text():
            return Text(text="")
        case Thinking(is_redacted=False):
            return Thinking(text="")
        case _:
            return part


@pytest.mark.parametrize(
    ("reason", "stop", "again"),
    [
        ("end_turn", "stop", "end_turn"),
        ("stop_sequence", "stop_sequence", "stop_sequence"),
        ("max_tokens", "length", "max_tokens"),
        ("model_context_window_exceeded", "length", "max_tokens"),
        ("tool_use", "tool_calls", "tool_use"),
        ("pause_turn", "pause", "pause_turn"),
        ("refusal", "refusal", "refusal"),
        ("a_new_one", "other", "a_new_one"),
        (None, "stop", "end_turn"),
    ],
)
def test_every_reason_to_stop_has_its_word(reason: str | None, stop: str, again: str) -> None:
    told = TRANSLATION.turn({"content": [], "stop_reason": reason})
    assert told.choices[0].stop == stop
    assert answered(told)["stop_reason"] == again
    reader = TRANSLATION.reader()
    reader.read(json.dumps({"type": "message_delta", "delta": {"stop_reason": reason}}).encode())
    (stopped,) = reader.finish()
    word = "a_new_one" if stop == "other" else ""
    assert stopped == Stopped(choice=0, stop=stop, stop_word=word)
    assert streamed([stopped])["stop_reason"] == again


def test_calls_and_refusals_are_told_even_where_the_provider_says_stop() -> None:
    called = ToolCall(id="1", name="f", arguments="{}")
    assert answered(turn(called))["stop_reason"] == "tool_use"
    assert streamed(events_of(turn(called)))["stop_reason"] == "tool_use"
    assert answered(turn(Refusal(text="no")))["stop_reason"] == "refusal"
    assert streamed(events_of(turn(Refusal(text="no"))))["stop_reason"] == "refusal"
    assert answered(turn(Text(text="a"), stop="content_filter"))["stop_reason"] == "refusal"
    assert (
        TRANSLATION.turn({"content": [{"type": "tool_use", "id": "1", "name": "f"}]})
        .choices[0]
        .stop
        == "tool_calls"
    )


@pytest.mark.parametrize("document", [{}, {"content": None}, {"content": "x"}])
def test_what_has_no_content_is_no_answer(document: dict[str, Any]) -> None:
    with pytest.raises(UnreadableAnswer):
        TRANSLATION.turn(document)


def test_ids_are_of_this_format() -> None:
    assert answered(turn())["id"] == "msg_i-1"
    assert streamed(events_of(turn()))["id"] == "msg_i-1"
    own = msgspec.structs.replace(turn(), id="msg_01")
    assert answered(own)["id"] == "msg_01"
    nameless = msgspec.structs.replace(turn(), id="")
    assert len(answered(nameless)["id"]) > 10


def test_own_members_and_blocks_stay_and_strange_ones_do_not() -> None:
    content = [{"type": "web_search_tool_result", "tool_use_id": "i", "content": []}]
    document = {"content": content, "container": {"id": "c"}, "stop_reason": "end_turn"}
    own = answered(TRANSLATION.turn(document))
    assert (own["content"], own["container"]) == (content, {"id": "c"})
    strange = turn(Foreign(format="openai_chat", kind="audio", value={"id": "a"}))
    assert answered(strange)["content"] == []
    assert streamed(events_of(strange))["content"] == []


# ---------------------------------------------------------------------- signatures


SIGNED = (
    Thinking(text="mine", signature="EqQ=", signed_by=NAME),
    Thinking(text="theirs", signature="abc:def", signed_by="openai_responses"),
    Thinking(text="", signature="blob", signed_by="openai_responses", is_redacted=True),
    Thinking(text="", signature="s", signed_by="gemini"),
    Thinking(text="nobody's"),
    Thinking(text="somebody's", signature="unknown"),
    ToolCall(id="call_1", name="f", arguments="{}", signature="ge/mi+ni=="),
    ToolCall(id="call_2", name="f", arguments='{"a":"b"}'),
)


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_what_a_client_sends_back_is_signed_as_it_was(is_stream: bool) -> None:
    told = turn(*SIGNED)
    message = streamed(events_of(told)) if is_stream else answered(told)
    assert {block["type"] for block in message["content"]} == {
        "thinking",
        "redacted_thinking",
        "tool_use",
    }
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "done"}
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    history = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": results},
    ]
    conversation = TRANSLATION.conversation(call(messages=history))
    assert conversation.messages[1].parts == SIGNED
    assert [
        part.call_id for part in conversation.messages[2].parts if isinstance(part, ToolResult)
    ] == [
        "call_1",
        "call_2",
    ]


def test_ids_that_only_look_signed_stay_as_they_are() -> None:
    for odd in ("x-tollgate-signed-", "x-tollgate-signed-%%%", "x-tollgate-signed-_w"):
        block: dict[str, Any] = {"type": "tool_use", "id": odd, "name": "f", "input": {}}
        (part,) = TRANSLATION.turn({"content": [block]}).choices[0].parts
        assert part == ToolCall(id=odd, name="f", arguments="{}")


# ---------------------------------------------------------------------- citations


def test_citations_with_an_address_are_told_and_no_provider_is_bothered_with_them() -> None:
    text = Text(text="abcdef", citations=(FOUND, {"type": "file_citation"}), citing="openai_chat")
    expected = {
        "type": "web_search_result_location",
        "url": "https://x.org",
        "title": "X",
        "cited_text": "abc",
        "encrypted_index": "",
    }
    whole = answered(turn(text))["content"]
    assert whole == [{"type": "text", "text": "abcdef", "citations": [expected]}]
    assert streamed(events_of(turn(text)))["content"] == whole
    history = [{"role": "user", "content": "x"}, {"role": "assistant", "content": whole}]
    written = TRANSLATION.request(
        TRANSLATION.conversation(call(messages=history)), "claude-opus-4-8"
    )
    assert written.document["messages"][1]["content"] == [{"type": "text", "text": "abcdef"}]
    assert written.losses == ("citations",)


# ---------------------------------------------------------------------- streams


def read(*events: dict[str, Any]) -> list[TurnEvent]:
    reader = TRANSLATION.reader()
    told = [each for event in events for each in reader.read(json.dumps(event).encode())]
    return told + reader.finish()


def test_a_call_without_arguments_has_empty_ones_and_one_told_at_once_keeps_its_own() -> None:
    def begun(**members: object) -> dict[str, Any]:
        block = {"type": "tool_use", "id": "1", "name": "f", **members}
        return {"type": "content_block_start", "index": 0, "content_block": block}

    ended = {"type": "content_block_stop", "index": 0}
    for block, arguments in (
        (begun(input={}), "{}"),
        (begun(), "{}"),
        (begun(input={"a": 1}), '{"a":1}'),
    ):
        told = read(block, ended)
        assert told == [
            PartBegun(choice=0, number=0, part=ToolCall(id="1", name="f", arguments="")),
            TextDelta(choice=0, number=0, text=arguments),
            PartEnded(choice=0, number=0),
            Stopped(choice=0, stop="tool_calls"),
        ]


def test_blocks_that_tell_all_in_their_start_are_told() -> None:
    blocks = [
        {"type": "text", "text": "a", "citations": [{"type": "x"}]},
        {"type": "thinking", "thinking": "b", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    ]
    told = read(
        *(
            {"type": "content_block_start", "index": i, "content_block": b}
            for i, b in enumerate(blocks)
        )
    )
    assert told == [
        PartBegun(choice=0, number=0, part=Text(text="")),
        TextDelta(choice=0, number=0, text="a"),
        CitationDelta(choice=0, number=0, citation={"type": "x"}, citing=NAME),
        PartBegun(choice=0, number=1, part=Thinking(text="")),
        TextDelta(choice=0, number=1, text="b"),
        SignatureDelta(choice=0, number=1, signature="s", signed_by=NAME),
        PartBegun(
            choice=0,
            number=2,
            part=Thinking(text="", signature="d", signed_by=NAME, is_redacted=True),
        ),
        PartEnded(choice=0, number=0),
        PartEnded(choice=0, number=1),
        PartEnded(choice=0, number=2),
        Stopped(choice=0, stop="stop"),
    ]


def test_a_compaction_and_a_providers_call_are_told_whole() -> None:
    told = read(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "compaction"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "c", "content": "sum"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "c", "content": "mary"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "mcp_tool_use", "id": "i", "input": {}},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": '{"a":'}},
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": "1}"}},
        {"type": "content_block_stop", "index": 1},
    )
    values = [event.part.value for event in told if isinstance(event, PartBegun)]  # type: ignore[union-attr]
    assert values == [
        {"type": "compaction", "content": "summary"},
        {"type": "mcp_tool_use", "id": "i", "input": {"a": 1}},
    ]


def test_starts_told_twice_unknown_events_and_late_stops_are_passed_over() -> None:
    started = {"type": "message_start", "message": {"id": "msg_1", "model": "m"}}
    odd = {"type": "content_block_stop", "index": 7}
    told = read(started, started, {"type": "ping"}, {"type": "mood"}, odd)
    assert told == [Begun(id="msg_1", model="m"), Stopped(choice=0, stop="stop")]


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta"}},
        {"type": "content_block_start", "index": 0},
        {"type": "content_block_start", "index": 0, "content_block": {}},
        {"type": "content_block_start", "index": 0, "content_block": 5},
        {"type": "message_start"},
    ],
)
def test_an_odd_event_is_an_error_that_the_gateway_knows(odd: dict[str, Any]) -> None:
    with pytest.raises((UnreadableAnswer, AttributeError, KeyError, TypeError)):
        TRANSLATION.reader().read(json.dumps(odd).encode())


def test_what_is_held_back_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_events, "HELD_MAX_CHARACTERS", 10)
    reader = TRANSLATION.reader()
    block = {"type": "server_tool_use", "id": "i", "input": {}}
    reader.read(
        json.dumps({"type": "content_block_start", "index": 0, "content_block": block}).encode()
    )
    delta = {"type": "content_block_delta", "index": 0, "delta": {"partial_json": "x" * 11}}
    with pytest.raises(UnreadableAnswer):
        reader.read(json.dumps(delta).encode())


def side_by_side(count: int) -> list[TurnEvent]:
    calls = [ToolCall(id=f"c{n}", name="f", arguments=f'{{"n":{n}}}') for n in range(count)]
    each = [part_events(number, one, pieces=4) for number, one in enumerate(calls)]
    begun = [events[0] for events in each]
    deltas = [
        event for group in zip(*(events[1:-1] for events in each), strict=True) for event in group
    ]
    return [*begun, *deltas, *(events[-1] for events in each)]


@pytest.mark.parametrize("bound", [1_000_000, 10])
def test_calls_side_by_side_keep_their_own_arguments(
    bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing_events, "WAITING_MAX_CHARACTERS", bound)
    events = [*side_by_side(3), Stopped(choice=0, stop="tool_calls")]
    content = streamed(events)["content"]
    assert [(one["id"], one["input"]) for one in content] == [
        ("c0", {"n": 0}),
        ("c1", {"n": 1}),
        ("c2", {"n": 2}),
    ]


def test_blocks_follow_one_another_where_calls_run_side_by_side() -> None:
    writer = TRANSLATION.writer(call(stream=True))
    stream = writer.write(side_by_side(3)) + writer.closing(USED)
    order = [
        (told["type"], told["index"])
        for told in (json.loads(event.data) for event in SSEParser().feed(stream))
        if told["type"] in ("content_block_start", "content_block_stop")
    ]
    assert order == [
        (f"content_block_{which}", index) for index in range(3) for which in ("start", "stop")
    ]


def test_parts_that_were_left_open_are_ended_and_an_empty_stream_is_a_message() -> None:
    left = [event for event in side_by_side(2) if not isinstance(event, PartEnded)]
    assert len(streamed(left)["content"]) == 2
    empty = streamed([])
    assert (empty["content"], empty["stop_reason"], empty["model"]) == ([], "end_turn", "asked")


def test_empty_texts_and_other_choices_are_not_told() -> None:
    events = [
        *part_events(0, Text(text="")),
        *part_events(1, Thinking(text="")),
        PartBegun(choice=1, number=0, part=Text(text="other")),
        TextDelta(choice=1, number=0, text="other"),
        *part_events(2, Text(text="said")),
    ]
    assert streamed(events)["content"] == [{"type": "text", "text": "said"}]


def test_the_usage_in_the_end_is_the_truth() -> None:
    writer = TRANSLATION.writer(call(stream=True))
    stream = MESSAGES.stream(call(stream=True), len)
    stream.feed(writer.write(events_of(turn(Text(text="a")))))
    assert (stream.usage, stream.finished) == (None, False)
    stream.feed(writer.closing(USED))
    assert (stream.usage, stream.finished) == (USED, True)


# ---------------------------------------------------------------------- generated turns


WORDS = st.text(min_size=1, max_size=20)
SIGNERS = st.sampled_from([NAME, "gemini", "openai_responses", "openai_chat"])
OBJECTS = st.dictionaries(
    WORDS, st.one_of(st.integers(-(2**53), 2**53), WORDS, st.none()), max_size=3
)
PARTS = st.one_of(
    st.builds(lambda text: Text(text=text), WORDS),
    st.builds(lambda text: Thinking(text=text), WORDS),
    st.builds(
        lambda text, signature, signer: Thinking(text=text, signature=signature, signed_by=signer),
        WORDS,
        st.text(alphabet="aZ09+/=:", min_size=1),
        SIGNERS,
    ),
    st.builds(
        lambda signature, signer: Thinking(
            text="", signature=signature, signed_by=signer, is_redacted=True
        ),
        st.text(alphabet="aZ09+/=:", min_size=1),
        SIGNERS,
    ),
    st.builds(
        lambda call_id, told, signature: ToolCall(
            id=call_id,
            name="f",
            arguments=msgspec.json.encode(told).decode(),
            signature=signature,
        ),
        st.from_regex(r"[A-Za-z0-9_|.]{1,20}", fullmatch=True),
        OBJECTS,
        st.one_of(st.just(""), WORDS),
    ),
)


@given(st.lists(PARTS, max_size=6), st.integers(1, 5))
def test_whole_and_streamed_are_one_and_what_comes_back_is_what_was_said(
    parts: list[Part], pieces: int
) -> None:
    told = turn(*parts)
    whole = answered(told)
    stream = streamed(events_of(told, pieces))
    assert stream["content"] == whole["content"]
    assert (stream["stop_reason"], stream["id"]) == (whole["stop_reason"], whole["id"])
    assert stream["usage"]["output_tokens"] == whole["usage"]["output_tokens"] == 7
    assert TRANSLATION.turn(whole).choices[0].parts == tuple(parts)
    as_stream = accumulated(MESSAGES.as_stream(call(stream=True), json.dumps(whole).encode()))
    assert as_stream["content"] == whole["content"]
