"""Server-sent events: the same events however the bytes are cut and lines are ended."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.sse import SSEEvent, SSEParser, SSETooLong
from tests.recorded import Recording, recordings

STREAMS = [one for one in recordings() if one.is_stream]
LINE_ENDS = (b"\n", b"\r\n", b"\r")
ODD = (
    b"\xef\xbb\xbf: hello\nretry: 10\nid:1\n\ndata:no space\n\ndata:  two spaces\ndata\ndata: \xe2"
    b"\x82\xac\nevent: named\n\n\n\n: comment\n\nunknown: x\nno colon\n\nevent:only\n\ndata: last"
)


def parse(chunks: list[bytes]) -> list[SSEEvent]:
    parser = SSEParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    last = parser.finish()
    return events if last is None else [*events, last]


def feed_all(parser: SSEParser, chunks: list[bytes], seen: list[SSEEvent]) -> None:
    for chunk in chunks:
        seen += parser.feed(chunk)


def one_by_one(stream: bytes) -> list[bytes]:
    return [stream[place : place + 1] for place in range(len(stream))]


def with_line_ends(stream: bytes, line_end: bytes) -> bytes:
    return stream.replace(b"\r\n", b"\n").replace(b"\n", line_end)


def windows(stream: bytes) -> list[bytes]:
    """Runs of three events, one shared, as a cut is felt by its neighbours only; of a long
    stream, whose events are alike, each fifth run and the last.
    """
    raws = [event.raw for event in parse([stream])]
    runs = [b"".join(raws[start : start + 3]) for start in range(0, max(1, len(raws) - 1), 2)]
    return runs if len(stream) <= 20_000 else [*runs[::5], runs[-1]]


def cuts(window: bytes) -> list[int]:
    """Every place in a window; in a large one every place near a line end, and some between."""
    if len(window) <= 2_000:
        return list(range(len(window)))
    near = {
        place
        for found in re.finditer(rb"[\r\n]", window)
        for place in range(max(0, found.start() - 8), min(len(window), found.end() + 8))
    }
    return sorted(near | set(range(0, len(window), 101)))


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("recording", STREAMS, ids=lambda one: one.name)
def test_a_recorded_stream_cut_anywhere_gives_the_same_events(
    recording: Recording, line_end: bytes
) -> None:
    stream = with_line_ends(recording.response, line_end)
    whole = parse([stream])
    assert b"".join(event.raw for event in whole) == stream
    assert parse(one_by_one(stream)) == whole
    for window in windows(stream):
        expected = parse([window])
        for cut in cuts(window):
            assert parse([window[:cut], window[cut:]]) == expected


@pytest.mark.parametrize("recording", STREAMS, ids=lambda one: one.name)
def test_line_ends_change_the_bytes_and_not_what_is_said(recording: Recording) -> None:
    said = [
        [
            (event.event, event.data)
            for event in parse([with_line_ends(recording.response, line_end)])
        ]
        for line_end in LINE_ENDS
    ]
    assert said[0] == said[1] == said[2]
    assert len(said[0]) > 1


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_an_odd_stream_cut_at_every_byte_gives_the_same_events(line_end: bytes) -> None:
    stream = ODD.replace(b"\n", line_end)
    whole = parse([stream])
    for first in range(len(stream) + 1):
        for second in range(first, min(first + 8, len(stream) + 1)):
            assert parse([stream[:first], stream[first:second], stream[second:]]) == whole


@pytest.mark.parametrize("start", [b"\r\n", b"\r\n\r\n", b"\r\r\n", b"\n\r\n", b"\r"])
def test_a_stream_that_begins_with_blank_lines_is_framed_the_same_however_it_is_cut(
    start: bytes,
) -> None:
    for rest in (b"data: a", b"data: a\r\n\r\n", b"data: a\r\n\r\n\r\ndata: b"):
        stream = start + rest
        whole = parse([stream])
        assert [event.data for event in whole if event.data] == [b"a", b"b"][: rest.count(b"data")]
        assert parse(one_by_one(stream)) == whole
        for cut in range(len(stream) + 1):
            assert parse([stream[:cut], stream[cut:]]) == whole


def test_fields_are_read_as_the_standard_says() -> None:
    events = [event for event in parse([ODD]) if event.data]
    assert [(event.event, event.data) for event in events] == [
        (None, b"no space"),
        (b"named", b" two spaces\n\n\xe2\x82\xac"),
        (None, b"last"),
    ]


def test_a_byte_order_mark_counts_at_the_start_only() -> None:
    events = parse([b"\xef\xbb\xbfdata: a\n\n", b"\xef\xbb\xbfdata: b\n\n"])
    assert [event.data for event in events] == [b"a", b""]


@given(
    st.lists(
        st.sampled_from([b"data: x", b"data:", b": c", b"event: e", b"", b"\xe2\x82", b"a:b"]),
        max_size=12,
    ),
    st.data(),
)
def test_mixed_line_ends_cut_anywhere_lose_no_byte(lines: list[bytes], data: st.DataObject) -> None:
    ends = data.draw(st.lists(st.sampled_from(LINE_ENDS), min_size=len(lines), max_size=len(lines)))
    stream = b"".join(line + end for line, end in zip(lines, ends, strict=True))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    bounds = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(bounds)]
    events = parse(chunks)
    assert events == parse([stream])
    assert b"".join(event.raw for event in events) == stream
    assert _dispatched(events) == _reference(stream)


def _dispatched(events: list[SSEEvent]) -> list[bytes]:
    return [event.data for event in events if event.data]


def _reference(stream: bytes) -> list[bytes]:
    """The standard's algorithm, line by line, with a last block that the end terminates."""
    found: list[bytes] = []
    data: list[bytes] = []
    for line in [*re.split(rb"\r\n|\r|\n", stream), b""]:
        if not line:
            if b"\n".join(data):
                found.append(b"\n".join(data))
            data = []
        elif line == b"data" or line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
    return found


def test_pending_tells_of_a_block_without_its_blank_line() -> None:
    parser = SSEParser()
    pending = [parser.pending]
    assert parser.feed(b"data: a\n") == []
    pending.append(parser.pending)
    assert parser.feed(b"\n") == [SSEEvent(b"data: a\n\n", b"a")]
    pending.append(parser.pending)
    assert parser.finish() is None
    parser.feed(b"data: b")
    pending.append(parser.pending)
    assert parser.finish() == SSEEvent(b"data: b", b"b")
    pending.append(parser.pending)
    assert pending == [False, True, False, True, False]


@pytest.mark.parametrize("chunk_bytes", [1, 64, 10_000])
def test_a_line_above_its_limit_is_refused_in_any_cut(chunk_bytes: int) -> None:
    parser = SSEParser(line_max_bytes=1_000)
    stream = b"data: ok\n\ndata: " + b"x" * 2_000 + b"\n\n"
    seen: list[SSEEvent] = []
    starts = range(0, len(stream) + chunk_bytes, chunk_bytes)
    with pytest.raises(SSETooLong):
        feed_all(parser, [stream[start : start + chunk_bytes] for start in starts], seen)
    assert seen == [SSEEvent(b"data: ok\n\n", b"ok")]


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_an_event_of_many_lines_above_its_limit_is_refused(line_end: bytes) -> None:
    parser = SSEParser(event_max_bytes=1_000)
    with pytest.raises(SSETooLong):
        feed_all(parser, [b"data: xxxx" + line_end] * 200, [])
    whole = SSEParser(event_max_bytes=1_000)
    with pytest.raises(SSETooLong):
        whole.feed((b"data: xxxx" + line_end) * 200 + line_end + b"data")


def test_a_line_without_end_is_refused_before_it_is_all_there() -> None:
    parser = SSEParser()
    with pytest.raises(SSETooLong):
        feed_all(parser, [b"x" * 65_536] * 20, [])
