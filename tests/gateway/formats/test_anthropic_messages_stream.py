"""Streamed messages: what each event is, what was used, and how streams go wrong."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.errors import StreamBrokenOff, UpstreamFailed, UpstreamRateLimited
from gateway.formats.anthropic_messages.format import AnthropicMessages
from gateway.formats.contract import StreamReader
from gateway.formats.values import Piece
from ledger.usage import Usage
from tests.recorded import Recording, recordings

MESSAGES = AnthropicMessages()
STREAMS = [one for one in recordings("anthropic-messages") if one.is_stream]
USAGE = {"input_tokens": 7, "output_tokens": 1}
LINE_ENDS = (b"\n", b"\r\n", b"\r")
END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def reader() -> StreamReader:
    document = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "x"}],
        "stream": True,
    }
    return MESSAGES.stream(MESSAGES.read_request(document, b""), count_words)


def count_words(texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)


def event(name: str, **members: object) -> bytes:
    data = json.dumps({"type": name, **members}).encode()
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def started(usage: object = None) -> bytes:
    told = USAGE if usage is None else usage
    return event("message_start", message={"id": "msg_1", "content": [], "usage": told})


def said(text: str, index: int = 0) -> bytes:
    return event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


def stopped(usage: object = None, reason: str = "end_turn") -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return event("message_delta", delta=delta, usage=usage)


def read_all(stream: StreamReader, chunks: Sequence[bytes]) -> list[Piece]:
    return [piece for chunk in chunks for piece in stream.feed(chunk)] + stream.finish()


def kinds(pieces: list[Piece]) -> list[str]:
    return [piece.kind for piece in pieces]


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("recording", STREAMS, ids=lambda one: one.name)
def test_a_recorded_stream_cut_anywhere_gives_the_same_pieces(
    recording: Recording, line_end: bytes
) -> None:
    body = recording.response.replace(b"\n", line_end)
    whole = reader()
    pieces = read_all(whole, [body])
    assert b"".join(piece.raw for piece in pieces).startswith(body)
    assert kinds(pieces)[-1] == "end"
    single = reader()
    assert read_all(single, [body[place : place + 1] for place in range(len(body))]) == pieces
    assert single.usage == whole.usage is not None
    part = b"".join(piece.raw for piece in pieces[:4] + pieces[-4:])
    expected = read_all(reader(), [part])
    for cut in range(len(part)):
        assert read_all(reader(), [part[:cut], part[cut:]]) == expected


@pytest.mark.parametrize("recording", STREAMS, ids=lambda one: one.name)
def test_a_recorded_streams_usage_is_the_providers_last_word(recording: Recording) -> None:
    stream = reader()
    read_all(stream, [recording.response])
    told = recording.usage
    assert stream.usage == Usage(
        input=told["input_tokens"],
        cache_read=told["cache_read_input_tokens"],
        cache_write_5m=told["cache_creation.ephemeral_5m_input_tokens"],
        cache_write_1h=told["cache_creation.ephemeral_1h_input_tokens"],
        output=told["output_tokens"],
    )
    assert (stream.anomaly, stream.error, stream.finished) == (None, None, True)
    assert stream.saw_content


def test_trap_1_a_delta_wins_field_by_field_over_the_start() -> None:
    stream = reader()
    start = {
        "input_tokens": 2_068,
        "cache_creation_input_tokens": 3_068,
        "cache_read_input_tokens": 40,
        "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 1_068},
        "output_tokens": 1,
    }
    grown = {"input_tokens": None, "cache_creation_input_tokens": 3_337, "output_tokens": 12}
    read_all(stream, [started(start), said("a"), stopped(grown), END])
    assert stream.usage == Usage(
        input=2_068, cache_read=40, cache_write_5m=2_269, cache_write_1h=1_068, output=12
    )


def test_trap_1_a_delta_with_output_alone_keeps_the_start() -> None:
    stream = reader()
    read_all(stream, [started(), said("a"), stopped({"output_tokens": 5}), END])
    assert stream.usage == Usage(input=7, output=5)


def test_trap_1_several_deltas_are_cumulative_and_several_starts_are_one() -> None:
    stream = reader()
    running = [stopped({"output_tokens": count}) for count in (3, 9)]
    last = stopped({"input_tokens": 11, "output_tokens": 12})
    read_all(stream, [started(), started(), said("a"), *running, last, END])
    assert stream.usage == Usage(input=11, output=12)


def test_trap_2_iterations_of_a_stream_are_summed() -> None:
    stream = reader()
    told = {
        "output_tokens": 220,
        "iterations": [
            {"type": "compaction", "input_tokens": 55_196, "output_tokens": 300},
            {"type": "message", "input_tokens": 40, "output_tokens": 220},
        ],
    }
    read_all(stream, [started(), said("a"), stopped(told), END])
    assert (stream.usage, stream.anomaly) == (Usage(input=55_236, output=520), None)


def test_a_stream_that_breaks_off_knows_its_prompt_from_the_start() -> None:
    stream = reader()
    read_all(stream, [started(), said("one two three")])
    assert stream.usage == Usage(input=7, output=1)
    assert (stream.finished, stream.delivered.count()) == (False, 3)


def test_a_start_alone_and_zeros_are_no_usage() -> None:
    alone = reader()
    read_all(alone, [started()])
    assert (alone.usage, alone.anomaly) == (None, None)
    zeros = reader()
    read_all(zeros, [started({"input_tokens": 0, "output_tokens": 0}), said("a")])
    assert (zeros.usage, zeros.anomaly) == (None, None)


@pytest.mark.parametrize("usage", [None, {"input_tokens": 9}])
def test_an_end_without_counted_output_is_no_usage_for_the_start_knows_no_output(
    usage: object,
) -> None:
    stream = reader()
    read_all(stream, [started(), said("one two"), stopped(usage), END])
    assert stream.usage is None
    assert stream.anomaly == (None if usage is None else "usage_incomplete")
    assert stream.delivered.count() == 2


def test_a_malformed_usage_is_an_anomaly() -> None:
    stream = reader()
    read_all(stream, [started(), said("a"), stopped({"output_tokens": "many"}), END])
    assert (stream.usage, stream.anomaly) == (None, "usage_malformed")


def test_nothing_after_the_end_is_read() -> None:
    stream = reader()
    assert kinds(stream.feed(started() + said("a") + END + said("b"))) == [
        "comment",
        "content",
        "end",
    ]
    assert (stream.feed(said("c")), stream.finish()) == ([], [])
    assert stream.delivered.count() == 1


def test_pings_and_events_of_the_future_pass_and_are_no_content() -> None:
    stream = reader()
    odd = [
        PING,
        b": keep-alive\n\n",
        event("mood", message="good", index="x", delta=5, error=[]),
        event("content_block_delta", index=0, delta={"type": "aura_delta", "aura": "x"}),
        b'data: {"no":"type"}\n\n',
    ]
    pieces = read_all(stream, odd)
    assert [piece.raw for piece in pieces] == odd
    assert kinds(pieces) == ["comment", "comment", "comment", "content", "comment"]
    assert not stream.saw_content


def test_an_event_may_have_its_kind_in_its_name_alone() -> None:
    stream = reader()
    chunk = b'event: content_block_delta\ndata: {"index":0,"delta":{"text":"one two"}}\n\n'
    assert kinds(stream.feed(chunk)) == ["content"]
    assert stream.delivered.count() == 2


def test_broken_utf8_is_passed_as_it_is_and_counted() -> None:
    stream = reader()
    odd = said("XX yy").replace(b"XX", b"\xff\xfe")
    (piece,) = stream.feed(odd)
    assert (piece.kind, piece.raw) == ("content", odd)
    assert stream.delivered.count() == 2


@pytest.mark.parametrize(
    ("block", "delta"),
    [
        ({"type": "text", "text": "one two"}, {}),
        ({"type": "text", "text": ""}, {"type": "text_delta", "text": "one two"}),
        ({"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "one two"}),
        ({"type": "tool_use", "name": "one ", "input": {}}, {"partial_json": "two"}),
        ({"type": "server_tool_use", "name": "one ", "input": {}}, {"partial_json": "two"}),
        ({"type": "compaction"}, {"type": "compaction_delta", "content": "one two"}),
        ({"type": "tool_use", "name": "one", "input": {"a": 1}}, {}),
    ],
)
def test_whatever_was_generated_is_counted(block: dict[str, Any], delta: dict[str, Any]) -> None:
    stream = reader()
    stream.feed(event("content_block_start", index=0, content_block=block))
    stream.feed(event("content_block_delta", index=0, delta=delta))
    assert stream.saw_content
    assert stream.delivered.count() in (1, 2)
    assert stream.output_tokens_at_least() >= 1


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (event("error", error={"type": "rate_limit_error"}), UpstreamRateLimited),
        (event("error", error={"type": "overloaded_error", "message": "busy"}), UpstreamFailed),
        (event("error", error={"type": "api_error"}), UpstreamFailed),
        (event("error", error="boom"), UpstreamFailed),
        (event("error"), UpstreamFailed),
        (b'event: error\ndata: {"error":{"type":"api_error"}}\n\n', UpstreamFailed),
        (b'data: {"type":"content_block_delta","delta":{"text":"x\n\n', StreamBrokenOff),
        (event("content_block_delta", index=0, delta={"text": 5}), StreamBrokenOff),
        (b"data: nonsense\n\n", StreamBrokenOff),
        (b"data: []\n\n", StreamBrokenOff),
        (b"data: " + b"[" * 100_000 + b"\n\n", StreamBrokenOff),
        (b"data: " + b"x" * 1_000_001 + b"\n\n", StreamBrokenOff),
    ],
)
def test_a_broken_stream_ends_in_one_error(broken: bytes, expected: type[Exception]) -> None:
    stream = reader()
    pieces = read_all(stream, [said("one two"), broken, said("late"), END])
    assert kinds(pieces) == ["content", "error"]
    assert type(pieces[-1].error) is expected
    assert stream.error is pieces[-1].error
    assert not stream.finished
    assert stream.delivered.count() == 2


def test_an_error_tells_no_secret_of_the_providers() -> None:
    stream = reader()
    message = "key sk-ant-api03-abcdefgh of org-AbCdEf123456 at https://internal.example.com"
    told = event("error", error={"type": "invalid_request_error", "message": message})
    (piece,) = stream.feed(told)
    assert piece.error is not None
    shown = MESSAGES.stream_error(piece.error).decode()
    for secret in ("sk-ant", "AbCdEf123456", "internal.example.com"):
        assert secret not in shown


def test_a_stream_cut_in_the_middle_of_an_event() -> None:
    half = reader()
    assert kinds(read_all(half, [started(), said("a"), said("b")[:-9]])) == [
        "comment",
        "content",
        "error",
    ]
    unterminated = reader()
    cut = stopped({"output_tokens": 2})[:-2]
    pieces = read_all(unterminated, [started(), said("a"), cut])
    assert pieces[-1].raw == cut + b"\n\n"
    assert unterminated.finished
    nothing = reader()
    assert read_all(nothing, [b": keep-alive"]) == []


def test_a_missing_end_is_fine_once_there_is_a_reason_to_stop() -> None:
    stream = reader()
    read_all(stream, [started(), said("a"), stopped({"output_tokens": 2})])
    assert stream.finished
    running = reader()
    read_all(running, [started(), said("a")])
    assert not running.finished


def test_a_json_body_in_place_of_a_stream_is_no_content() -> None:
    stream = reader()
    body = json.dumps({"type": "message", "content": [], "usage": USAGE}, indent=1)
    assert read_all(stream, [body.encode()]) == []
    assert (stream.finished, stream.saw_content) == (False, False)


def test_a_usage_is_told_in_the_end_only_where_it_is_missing_and_keeps_the_reason() -> None:
    used = Usage(input=5, cache_read=2, cache_write_1h=1, output=3, reasoning=4)
    told = reader()
    read_all(told, [started(), said("a"), stopped({"output_tokens": 2})])
    assert told.closing(used) == END
    spaced = END.replace(b'"}', b'"   }')
    read_all(told, [spaced])
    assert told.closing(used) == spaced
    stream = reader()
    read_all(stream, [started(), said("a"), stopped(None, "max_tokens")])
    again = reader()
    delta, end = read_all(again, [stream.closing(used)])
    assert (end.kind, end.raw) == ("end", END)
    assert json.loads(delta.data)["delta"] == {"stop_reason": "max_tokens", "stop_sequence": None}
    assert again.usage == used


def test_the_running_estimate_grows_with_events_and_with_bytes() -> None:
    stream = reader()
    for _ in range(5):
        stream.feed(said("a"))
    assert stream.output_tokens_at_least() == 5
    stream.feed(said("é" * 400))
    assert stream.output_tokens_at_least() == 201
