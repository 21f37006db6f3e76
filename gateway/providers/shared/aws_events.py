"""AWS's event streams, retold as the server-sent events they stand for.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html (the frames)
and https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ResponseStream.html and
.../API_runtime_ConverseStreamOutput.html (what they hold)
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
from botocore.eventstream import EventStreamBuffer, ParserError

from gateway.errors import UpstreamFailed
from gateway.http.raw_members import edited
from gateway.http.upstream import UpstreamAnswer

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_EXCEPTION = "Exception"
_UNNAMED_EXCEPTION = "internalServerException"
_NAME = re.compile(r"[A-Za-z]{1,64}")
_METRICS = "amazon-bedrock-invocationMetrics"
_KINDS = {
    "throttlingException": "rate_limit_error",
    "validationException": "invalid_request_error",
    "modelTimeoutException": "timeout_error",
    "serviceUnavailableException": "overloaded_error",
}


Retelling = Callable[[Mapping[str, Any], bytes], bytes]
"""A frame's headers and payload as a server-sent event, or as nothing. Raises DecodeError."""


class _Chunk(msgspec.Struct):
    bytes: bytes


class _Frame(msgspec.Struct):
    type: str


class _Complaint(msgspec.Struct):
    message: str = ""


_read_chunk = msgspec.json.Decoder(_Chunk).decode
_read_event = msgspec.json.Decoder(_Frame).decode
_read_complaint = msgspec.json.Decoder(_Complaint).decode


class EventStreamReader:
    """Turns chunks, cut anywhere, into the bytes of whole server-sent events."""

    def __init__(self, retold: Retelling) -> None:
        self._retold = retold
        self._buffer = EventStreamBuffer()

    def feed(self, chunk: bytes) -> bytes:
        """The events that this chunk completes. Raises UpstreamFailed."""
        self._buffer.add_data(chunk)
        try:
            return b"".join(
                self._retold(message.headers, message.payload) for message in self._buffer
            )
        except (ParserError, msgspec.DecodeError) as error:
            raise UpstreamFailed("the provider's event stream cannot be read") from error


class RetoldStream:
    """An UpstreamAnswer whose event stream is told as server-sent events."""

    headers: Mapping[str, str] = {"content-type": "text/event-stream"}

    def __init__(self, told: UpstreamAnswer, retold: Retelling) -> None:
        self._told = told
        self._retold = retold
        self.status = told.status

    async def read(self) -> bytes:
        """All of it. Raises UpstreamFailed, UpstreamTimeout."""
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncIterator[bytes]:
        """As it arrives. Raises UpstreamFailed, UpstreamTimeout."""
        reader = EventStreamReader(self._retold)
        async for chunk in self._told.pieces():
            events = reader.feed(chunk)
            if events:
                yield events

    def close(self) -> None:
        """Give up what was not read."""
        self._told.close()


def messages_event(headers: Mapping[str, Any], payload: bytes) -> bytes:
    """A frame of InvokeModel: a chunk holds an event of Messages."""
    if _is_event(headers):
        return _content(payload) if headers.get(":event-type") == "chunk" else b""
    kind, message = _failure(headers, payload)
    error = {"type": _KINDS.get(kind, "api_error"), "message": message}
    return _event("error", msgspec.json.encode({"type": "error", "error": error}))


def converse_event(headers: Mapping[str, Any], payload: bytes) -> bytes:
    """A frame of Converse: its name stands in the headers, and here as the one member of an object
    around what it tells.
    """
    if not _is_event(headers):
        kind, message = _failure(headers, payload)
        name = kind if kind.endswith(_EXCEPTION) else _UNNAMED_EXCEPTION
        return _named(name, msgspec.json.encode({"message": message}))
    return _named(str(headers.get(":event-type") or ""), payload)


def _is_event(headers: Mapping[str, Any]) -> bool:
    return headers.get(":message-type") == "event"


def _failure(headers: Mapping[str, Any], payload: bytes) -> tuple[str, str]:
    """The kind of an exception or an error, and its words."""
    kind = str(headers.get(":exception-type") or headers.get(":error-code") or "")
    try:
        message = _read_complaint(payload).message
    except msgspec.DecodeError:
        message = ""
    return kind, message or str(headers.get(":error-message") or kind)


def _named(name: str, payload: bytes) -> bytes:
    if not _NAME.fullmatch(name):
        return b""
    return _event(name, b'{"%s":%s}' % (name.encode(), _in_one_line(payload)))


def _content(payload: bytes) -> bytes:
    data = _in_one_line(_read_chunk(payload).bytes)
    if _METRICS.encode() in data:
        data = edited(data, {}, (_METRICS,))
    return _event(_read_event(data).type, data)


def _in_one_line(data: bytes) -> bytes:
    """JSON without what would end a line of an event; to JSON it is white space."""
    if b"\n" in data or b"\r" in data:
        return msgspec.json.format(data, indent=-1)
    return data


def _event(name: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)
