"""Bedrock's event stream becomes the server-sent events that it stands for, wherever it is cut."""

import json

import pytest

from gateway.errors import UpstreamFailed
from gateway.http.sse import SSEParser
from gateway.providers.shared.aws_events import EventStreamReader, converse_event, messages_event
from tests.gateway.providers.event_streams import (
    CONVERSE,
    MESSAGE,
    chunk,
    converse_frame,
    exception,
    frame,
)

STREAM = b"".join(chunk(event) for event in MESSAGE)


def test_it_reads_the_same_at_every_cut() -> None:
    whole = EventStreamReader(messages_event).feed(STREAM)
    for cut in range(len(STREAM) + 1):
        reader = EventStreamReader(messages_event)
        assert reader.feed(STREAM[:cut]) + reader.feed(STREAM[cut:]) == whole
    reader = EventStreamReader(messages_event)
    assert b"".join(reader.feed(bytes([byte])) for byte in STREAM) == whole


def test_the_events_are_the_providers_own_but_for_its_measurements() -> None:
    events = SSEParser().feed(EventStreamReader(messages_event).feed(STREAM))
    told = [json.loads(event.data) for event in events]
    assert told == [*MESSAGE[:-1], {"type": "message_stop"}]
    assert [event.event for event in events] == [one["type"].encode() for one in told]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("throttlingException", "rate_limit_error"),
        ("validationException", "invalid_request_error"),
        ("internalServerException", "api_error"),
    ],
)
def test_an_exception_is_an_error_of_the_messages_format(kind: str, told: str) -> None:
    (event,) = SSEParser().feed(
        EventStreamReader(messages_event).feed(exception(kind, "slow down"))
    )
    error = {"type": told, "message": "slow down"}
    assert (event.event, json.loads(event.data)) == (b"error", {"type": "error", "error": error})


def test_an_error_without_a_body_is_told_by_its_headers() -> None:
    headers = {":message-type": "error", ":error-code": "500", ":error-message": "broken"}
    (event,) = SSEParser().feed(EventStreamReader(messages_event).feed(frame(headers, b"")))
    assert json.loads(event.data)["error"] == {"type": "api_error", "message": "broken"}


CONVERSE_STREAM = b"".join(converse_frame(name, told) for name, told in CONVERSE)


def test_converses_frames_are_told_by_their_names_at_every_cut() -> None:
    whole = EventStreamReader(converse_event).feed(CONVERSE_STREAM)
    events = SSEParser().feed(whole)
    assert [json.loads(event.data) for event in events] == [{name: told} for name, told in CONVERSE]
    assert [event.event for event in events] == [name.encode() for name, _ in CONVERSE]
    for cut in range(len(CONVERSE_STREAM) + 1):
        reader = EventStreamReader(converse_event)
        told = reader.feed(CONVERSE_STREAM[:cut]) + reader.feed(CONVERSE_STREAM[cut:])
        assert told == whole


def test_converses_exceptions_keep_their_names() -> None:
    headers = {":message-type": "error", ":error-code": "500", ":error-message": "broken"}
    for broken, told in (
        (exception("throttlingException", "slow down"), "throttlingException"),
        (frame(headers, b""), "internalServerException"),
    ):
        (event,) = SSEParser().feed(EventStreamReader(converse_event).feed(broken))
        ((name, words),) = json.loads(event.data).items()
        assert (name, words["message"]) == (told, "broken" if "internal" in told else "slow down")


def test_a_payload_over_several_lines_stays_one_event() -> None:
    headers = {":message-type": "event", ":event-type": "messageStart"}
    (event,) = SSEParser().feed(
        EventStreamReader(converse_event).feed(frame(headers, b'{\n"role":\r\n"assistant"}'))
    )
    assert json.loads(event.data) == {"messageStart": {"role": "assistant"}}


def test_frames_without_a_name_of_converse_say_nothing() -> None:
    for name in ("initial-response", "", "a b"):
        headers = {":message-type": "event", ":event-type": name}
        assert EventStreamReader(converse_event).feed(frame(headers, b"{}")) == b""


def test_events_of_other_kinds_say_nothing() -> None:
    headers = {":message-type": "event", ":event-type": "news"}
    assert (
        EventStreamReader(messages_event)
        .feed(frame(headers, b"{}") + STREAM)
        .startswith(b"event: message")
    )


@pytest.mark.parametrize("position", [0, 9, 30, len(chunk(MESSAGE[0])) - 1])
def test_a_changed_byte_breaks_the_stream(position: int) -> None:
    broken = bytearray(chunk(MESSAGE[0]))
    broken[position] ^= 1
    with pytest.raises(UpstreamFailed):
        EventStreamReader(messages_event).feed(bytes(broken) + STREAM)


def test_a_payload_that_is_no_chunk_breaks_the_stream() -> None:
    headers = {":message-type": "event", ":event-type": "chunk"}
    for payload in (b"{}", b'{"bytes":"!"}', b'{"bytes":"e30="}', b"\xff"):
        with pytest.raises(UpstreamFailed):
            EventStreamReader(messages_event).feed(frame(headers, payload))
