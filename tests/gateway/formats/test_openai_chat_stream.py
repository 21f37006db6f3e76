"""Streamed answers: what each event is, what was used, and how streams go wrong."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.errors import StreamBrokenOff, UpstreamFailed, UpstreamRateLimited
from gateway.formats.contract import StreamReader
from gateway.formats.registry import FORMATS
from gateway.formats.shared.delivered_text import KEPT_MAX_CHARACTERS, DeliveredText
from gateway.formats.shared.stream_reader import LINE_MAX_BYTES
from gateway.formats.values import Piece
from ledger.usage import Usage
from tests.recorded import Recording, recordings

CHAT = FORMATS["openai_chat"]
STREAMS = [one for one in recordings("openai-chat") if one.is_stream]
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
DONE = b"data: [DONE]\n\n"
LINE_ENDS = (b"\n", b"\r\n", b"\r")


def reader(choices: int = 1, wants_usage: bool = False) -> StreamReader:
    document = {"model": "m", "messages": [{"role": "user", "content": "x"}], "n": choices}
    options = {"stream": True, "stream_options": {"include_usage": wants_usage}}
    call = CHAT.read_request(document | options, b"")
    return CHAT.stream(call, count_words)


def count_words(texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)


def event(**members: object) -> bytes:
    return b"data: " + json.dumps(members).encode() + b"\n\n"


def said(text: str, index: int = 0, **members: object) -> bytes:
    return event(id="c", choices=[{"index": index, "delta": {"content": text}} | members])


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
    ends = pieces if len(body) < 5_000 else pieces[:4] + pieces[-4:]
    part = b"".join(piece.raw for piece in ends)
    expected = read_all(reader(), [part])
    for cut in range(len(part)):
        assert read_all(reader(), [part[:cut], part[cut:]]) == expected


def test_a_recorded_tool_call_is_understood() -> None:
    (recording,) = [one for one in STREAMS if "tool-call" in one.name]
    stream = reader()
    pieces = read_all(stream, [recording.response])
    assert kinds(pieces) == ["content"] * (len(pieces) - 2) + ["usage", "end"]
    assert stream.usage == Usage(input=53, output=15)
    assert (stream.finished, stream.saw_content, stream.anomaly, stream.error) == (
        True,
        True,
        None,
        None,
    )
    assert stream.output_tokens_at_least() >= 5


def test_recorded_reasoning_is_understood_and_usage_rides_on_the_last_choice() -> None:
    (recording,) = [one for one in STREAMS if "reasoning-content" in one.name]
    stream = reader()
    pieces = read_all(stream, [recording.response])
    assert set(kinds(pieces[:-1])) == {"content"}
    assert stream.usage == Usage(input=6, output=14, reasoning=198)
    assert 200 <= stream.output_tokens_at_least() <= 240
    assert stream.delivered.count() > 100


def test_usage_may_be_followed_by_other_events() -> None:
    stream = reader()
    moderation = event(choices=[], moderation={"flagged": False})
    chunks = [said("a"), said("", finish_reason="stop"), event(choices=[], usage=USAGE), moderation]
    assert kinds(read_all(stream, [*chunks, DONE])) == [
        "content",
        "content",
        "usage",
        "comment",
        "end",
    ]
    assert stream.usage == Usage(input=7, output=3)


def test_of_several_usages_the_last_one_counts() -> None:
    stream = reader()
    running = [
        event(
            choices=[{"index": 0, "delta": {"content": "x"}}],
            usage={"prompt_tokens": 7, "completion_tokens": count},
        )
        for count in (1, 2, 3)
    ]
    nulls = event(choices=[], usage=None)
    read_all(stream, [*running, nulls, DONE])
    assert stream.usage == Usage(input=7, output=3)


def test_a_malformed_last_usage_is_an_anomaly() -> None:
    stream = reader()
    read_all(stream, [event(choices=[], usage=USAGE), event(choices=[], usage="lots"), DONE])
    assert (stream.usage, stream.anomaly) == (None, "usage_malformed")


def test_without_usage_there_is_none_and_nothing_is_wrong() -> None:
    stream = reader()
    read_all(stream, [said("one two"), said(" three", finish_reason="stop"), DONE])
    assert (stream.usage, stream.anomaly) == (None, None)
    assert stream.delivered.count() == 3


def test_zero_usage_is_a_usage() -> None:
    stream = reader()
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    read_all(stream, [said("a"), event(choices=[], usage=zero), DONE])
    assert stream.usage == Usage()


def test_nothing_after_the_end_marker_is_read() -> None:
    stream = reader()
    late = event(choices=[], usage=USAGE)
    assert kinds(stream.feed(said("a") + DONE + late)) == ["content", "end"]
    assert stream.feed(late) == []
    assert stream.finish() == []
    assert stream.usage is None
    assert stream.finished


@pytest.mark.parametrize(
    "end", [b"data:[DONE]\n\n", b"data: [DONE] \n\n", b"data: [DONE]\r\n\r\n", b"data: [DONE]"]
)
def test_the_end_marker_is_known_in_each_spelling(end: bytes) -> None:
    stream = reader()
    pieces = read_all(stream, [said("a"), end])
    assert kinds(pieces) == ["content", "end"]
    assert stream.finished


def test_a_missing_end_marker_is_fine_once_every_choice_has_ended() -> None:
    stream = reader(choices=2)
    read_all(stream, [said("a", 0, finish_reason="stop"), said("b", 1)])
    assert not stream.finished
    read_all(stream, [said("", 1, finish_reason="length")])
    assert stream.finished


def test_a_stream_that_just_ends_is_not_finished() -> None:
    stream = reader()
    read_all(stream, [said("a"), said("b")])
    assert not stream.finished
    assert stream.error is None


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (event(error={"message": "busy", "code": 429}), UpstreamRateLimited),
        (event(error={"message": "boom", "type": "server_error"}), UpstreamFailed),
        (event(error="boom"), UpstreamFailed),
        (event(object="error", message="boom", type="InternalServerError"), UpstreamFailed),
        (
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
            UpstreamFailed,
        ),
        (b'event: error\ndata: {"message":"boom"}\n\n', UpstreamFailed),
        (b"event: error\ndata: boom\n\n", StreamBrokenOff),
        (event(choices=[{"delta": {"content": ""}}], error={"code": 502}), UpstreamFailed),
        (event(choices="odd", error={"code": 502}), UpstreamFailed),
        (b'data: {"choices":[{"delta":{"content":"x"\n\n', StreamBrokenOff),
        (b"data: nonsense\n\n", StreamBrokenOff),
        (b"data: []\n\n", StreamBrokenOff),
        (b"data: " + b"[" * 100_000 + b"\n\n", StreamBrokenOff),
        (b"data: " + b"x" * (LINE_MAX_BYTES + 1) + b"\n\n", StreamBrokenOff),
    ],
)
def test_a_broken_stream_ends_in_one_error(broken: bytes, expected: type[Exception]) -> None:
    stream = reader()
    pieces = read_all(stream, [said("one two"), broken, said("late"), DONE])
    assert kinds(pieces) == ["content", "error"]
    assert type(pieces[-1].error) is expected
    assert stream.error is pieces[-1].error
    assert not stream.finished
    assert stream.delivered.count() == 2


def test_events_before_one_that_is_too_long_are_not_lost() -> None:
    stream = reader()
    too_long = b"data: " + b"x" * (LINE_MAX_BYTES + 1) + b"\n\n"
    assert kinds(stream.feed(said("a") + too_long)) == ["content"]
    assert kinds(stream.feed(said("late"))) == ["error"]
    assert stream.delivered.count() == 1


def test_an_unterminated_last_event_is_read_and_gets_its_blank_line() -> None:
    stream = reader()
    cut = said("a", finish_reason="stop")[:-2]
    pieces = read_all(stream, [cut])
    assert [(piece.kind, piece.raw) for piece in pieces] == [("content", cut + b"\n\n")]
    assert stream.finished
    half = reader()
    assert kinds(read_all(half, [said("a"), said("b")[:-9]])) == ["content", "error"]
    nothing = reader()
    assert read_all(nothing, [b": keep-alive"]) == []


def test_a_json_body_in_place_of_a_stream_is_no_content() -> None:
    stream = reader()
    body = json.dumps({"choices": [{"message": {"content": "hi"}}], "usage": USAGE}, indent=1)
    assert read_all(stream, [body.encode()]) == []
    assert (stream.finished, stream.saw_content) == (False, False)


@pytest.mark.parametrize(
    "odd",
    [
        event(choices=[{"index": 0, "delta": None}]),
        event(choices=[{"index": None, "delta": {"content": None, "tool_calls": None}}]),
        event(choices=[{"index": "zero", "delta": {"role": "assistant"}}]),
        event(choices=[{"delta": {"content": 5}, "finish_reason": None}]),
        event(choices=[None, 5]),
        event(choices=[{"index": -7, "delta": {"content": ""}}]),
    ],
)
def test_odd_chunks_pass(odd: bytes) -> None:
    stream = reader()
    assert [(piece.kind, piece.raw) for piece in stream.feed(odd)] == [("content", odd)]
    assert not stream.saw_content


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "one two"},
        {"content": None, "reasoning_content": "one two"},
        {"reasoning": "one two", "content": ""},
        {"refusal": "one two"},
        {"tool_calls": [{"index": 3, "function": {"name": "one ", "arguments": "two"}}]},
        {"function_call": {"arguments": "one two"}},
        {"content": [{"type": "text", "text": "one two"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "one two"}]}]},
        {"tool_calls": [{"custom": {"input": "one two"}}], "content": []},
    ],
)
def test_whatever_was_generated_is_counted(delta: dict[str, Any]) -> None:
    stream = reader()
    stream.feed(event(choices=[{"index": 0, "delta": delta}]))
    assert stream.saw_content
    assert stream.delivered.count() == 2
    assert stream.output_tokens_at_least() == 1


def test_broken_utf8_is_passed_as_it_is_and_counted() -> None:
    stream = reader()
    odd = said("XX yy").replace(b"XX", b"\xff\xfe")
    assert stream.feed(odd) == [Piece("content", odd, odd[6:-2])]
    assert stream.delivered.count() == 2


def test_comments_and_silent_events_are_not_content() -> None:
    stream = reader()
    for silent in (b": OPENROUTER PROCESSING\n\n", b"retry: 5\n\n", event(choices=[]), event(x=1)):
        (piece,) = stream.feed(silent)
        assert (piece.kind, piece.raw) == ("comment", silent)
    assert not stream.saw_content


def test_interleaved_choices_are_counted_apart() -> None:
    stream = reader(choices=2)
    read_all(stream, [said("on", 0), said("tw", 1), said("e", 0), said("o", 1), said("?", 10**9)])
    assert stream.delivered.count() == 2


def test_the_running_estimate_grows_with_events_and_with_bytes() -> None:
    stream = reader()
    for _ in range(5):
        stream.feed(said("a"))
    assert stream.output_tokens_at_least() == 5
    stream.feed(said("é" * 400))
    assert stream.output_tokens_at_least() == 201


def test_delivered_text_is_counted_only_when_asked_and_never_kept_without_bound() -> None:
    counted: list[int] = []

    def count(texts: Sequence[str]) -> int:
        counted.append(sum(map(len, texts)))
        return counted[-1]

    delivered = DeliveredText(count)
    for _ in range(KEPT_MAX_CHARACTERS // 64):
        delivered.add("x" * 64)
    assert counted == []
    delivered.add("y")
    assert counted == [KEPT_MAX_CHARACTERS + 1]
    delivered.add("z" * 10)
    assert delivered.count() == KEPT_MAX_CHARACTERS + 11
    assert counted == [KEPT_MAX_CHARACTERS + 1, 10]
    assert delivered.count() == KEPT_MAX_CHARACTERS + 11


def test_a_usage_that_is_told_in_the_end_looks_like_the_streams_own() -> None:
    stream = reader(wants_usage=True)
    stream.feed(event(id="c-1", created=5, model="up", choices=[{"index": 0, "delta": {}}]))
    used = Usage(input=5, cache_read=2, cache_write_5m=1, audio_in=1, output=3, reasoning=4)
    told, end = read_all(reader(), [stream.closing(used)])
    assert end.raw == b"data: [DONE]\n\n"
    assert told.kind == "usage"
    chunk = json.loads(told.raw[6:])
    assert (chunk["id"], chunk["created"], chunk["model"], chunk["choices"]) == ("c-1", 5, "up", [])
    assert (chunk["object"], chunk["usage"]["total_tokens"]) == ("chat.completion.chunk", 16)
    again = reader()
    again.feed(told.raw)
    assert again.usage == used
    assert b'"model":"m"' in reader(wants_usage=True).closing(used)


def test_usage_is_told_in_the_end_only_to_whom_it_is_missing() -> None:
    used = Usage(input=5, output=3)
    assert reader().closing(used) == b"data: [DONE]\n\n"
    stream = reader(wants_usage=True)
    stream.feed(event(choices=[], usage={"prompt_tokens": 1, "completion_tokens": 1}))
    assert stream.closing(used) == b"data: [DONE]\n\n"
