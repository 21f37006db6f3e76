"""AWS's event stream of a Messages call, retold as the server-sent events it stands for.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html (the frames)
and https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ResponseStream.html
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from botocore.eventstream import EventStreamBuffer, ParserError

from gateway.errors import UpstreamFailed
from gateway.raw_members import edited
from gateway.upstream import UpstreamAnswer

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_METRICS = "amazon-bedrock-invocationMetrics"
_KINDS = {
    "throttlingException": "rate_limit_error",
    "validationException": "invalid_request_error",
    "modelTimeoutException": "timeout_error",
    "serviceUnavailableException": "overloaded_error",
}


class _Chunk(msgspec.Struct):
    bytes: bytes


class _Event(msgspec.Struct):
    type: str


class _Complaint(msgspec.Struct):
    message: str = ""


_read_chunk = msgspec.json.Decoder(_Chunk).decode
_read_event = msgspec.json.Decoder(_Event).decode
_read_complaint = msgspec.json.Decoder(_Complaint).decode


class EventStreamReader:
    """Turns chunks, cut anywhere, into the bytes of whole server-sent events."""

    def __init__(self) -> None:
        self._buffer = EventStreamBuffer()

    def feed(self, chunk: bytes) -> bytes:
        """The events that this chunk completes. Raises UpstreamFailed."""
        self._buffer.add_data(chunk)
        try:
            return b"".join(_retold(message.headers, message.payload) for message in self._buffer)
        except (ParserError, msgspec.DecodeError) as error:
            raise UpstreamFailed("the provider's event stream cannot be read") from error


class RetoldStream:
    """An UpstreamAnswer whose event stream is told as server-sent events."""

    headers: Mapping[str, str] = {"content-type": "text/event-stream"}

    def __init__(self, told: UpstreamAnswer) -> None:
        self._told = told
        self.status = told.status

    async def read(self) -> bytes:
        """All of it. Raises UpstreamFailed, UpstreamTimeout."""
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncIterator[bytes]:
        """As it arrives. Raises UpstreamFailed, UpstreamTimeout."""
        reader = EventStreamReader()
        async for chunk in self._told.pieces():
            events = reader.feed(chunk)
            if events:
                yield events

    def close(self) -> None:
        """Give up what was not read."""
        self._told.close()


def _retold(headers: Mapping[str, Any], payload: bytes) -> bytes:
    kind = headers.get(":message-type")
    if kind == "event":
        return _content(payload) if headers.get(":event-type") == "chunk" else b""
    told = str(headers.get(":exception-type") or headers.get(":error-code") or "")
    try:
        message = _read_complaint(payload).message
    except msgspec.DecodeError:
        message = ""
    message = message or str(headers.get(":error-message") or told)
    error = {"type": _KINDS.get(told, "api_error"), "message": message}
    return _event("error", msgspec.json.encode({"type": "error", "error": error}))


def _content(payload: bytes) -> bytes:
    data = _read_chunk(payload).bytes
    if b"\n" in data or b"\r" in data:  # would end the line; white space to JSON
        data = msgspec.json.format(data, indent=-1)
    if _METRICS.encode() in data:
        data = edited(data, {}, (_METRICS,))
    return _event(_read_event(data).type, data)


def _event(name: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)
