"""A stream of server-sent events told as one JSON array instead, element by element.

This is how Google's APIs stream to whoever did not ask for events, errors included:
https://cloud.google.com/apis/design/design_patterns (streaming over HTTP/1.1).
"""

from gateway.http.exchange import Message, Send
from gateway.http.sse import SSEEvent, SSEParser

_EVENT_MAX_BYTES = 16 * 1024 * 1024
"""Images come as one part of one event."""
_JSON = (b"content-type", b"application/json; charset=utf-8")
_STILL_HERE = b"\n"


def as_array(send: Send) -> Send:
    """Sends an exchange's messages on; an answer that is an event stream becomes an array."""
    return _Retold(send).send


class ArrayOfEvents:
    """The array, as it grows."""

    def __init__(self) -> None:
        self._parser = SSEParser(line_max_bytes=_EVENT_MAX_BYTES, event_max_bytes=_EVENT_MAX_BYTES)
        self._is_open = False

    def feed(self, chunk: bytes) -> bytes:
        """What these bytes of the event stream add to the array. Raises SSETooLong."""
        return b"".join(self._told(event) for event in self._parser.feed(chunk))

    def finish(self) -> bytes:
        """The end of the array. Raises SSETooLong."""
        left = self._parser.finish()
        last = self._told(left) if left is not None and left.data else b""
        return last + (b"]" if self._is_open else b"[]")

    def _told(self, event: SSEEvent) -> bytes:
        if not event.data:
            return _STILL_HERE  # between elements of JSON, white space is as good as a comment
        opening, self._is_open = (b",\r\n" if self._is_open else b"["), True
        return opening + event.data


class _Retold:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._array: ArrayOfEvents | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if _is_event_stream(message):
                headers = [each for each in message["headers"] if each[0] != b"content-type"]
                self._array = ArrayOfEvents()
                message = {**message, "headers": [_JSON, *headers]}
        elif self._array is not None:
            more = message.get("more_body", False)
            told = self._array.feed(message.get("body", b""))
            message = {**message, "body": told if more else told + self._array.finish()}
        await self._send(message)


def _is_event_stream(message: Message) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in message["headers"]
    )
