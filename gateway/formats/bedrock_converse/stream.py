"""A streamed answer as a provider sends it, its frames told as server-sent events.

There is no end marker: `messageStop` ends the message, `metadata` with the usage follows it.
"""

from collections.abc import Mapping
from typing import Any

from gateway.delivered_text import DeliveredText
from gateway.errors import GatewayError, StreamBrokenOff
from gateway.formats.bedrock_converse.answer import service_in
from gateway.formats.bedrock_converse.errors import failure_in_stream
from gateway.formats.bedrock_converse.events import is_exception, read_event
from gateway.formats.bedrock_converse.usage import read_usage
from gateway.formats.contract import CountTokens, Piece, UnreadableAnswer
from gateway.sse import SSEEvent, SSEParser, SSETooLong
from ledger.usage import Usage

_BYTES_PER_TOKEN = 4
_TELLING = frozenset({"contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop"})


class ConverseStreamReader:
    """Reads one stream; see `gateway.formats.contract.StreamReader`."""

    kept_id = ""
    tools = Usage()

    def __init__(self, count_tokens: CountTokens) -> None:
        self._parser = SSEParser()
        self._told_usage: object = None
        self._content_events = 0
        self._content_bytes = 0
        self.service: str | None = None
        self.finished = False
        self.delivered = DeliveredText(count_tokens)
        self.error: GatewayError | None = None

    @property
    def usage(self) -> Usage | None:
        """What was told behind the end of the message."""
        return read_usage(self._told_usage)[0]

    @property
    def anomaly(self) -> str | None:
        """What is wrong with the usage that was told."""
        return read_usage(self._told_usage)[1]

    @property
    def saw_content(self) -> bool:
        """True once any generated text has passed."""
        return self._content_events > 0

    def output_tokens_at_least(self) -> int:
        """Events with text, or a quarter of its bytes: whichever is more."""
        return max(self._content_events, self._content_bytes // _BYTES_PER_TOKEN)

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces this chunk completes; nothing after an `error`."""
        if self.error is not None:
            return []
        try:
            events = self._parser.feed(chunk)
        except SSETooLong as error:
            return [self._broken(b"", StreamBrokenOff(str(error)))]
        return self._pieces(events)

    def finish(self) -> list[Piece]:
        """The last event, if the body ended before the blank line that was to end it."""
        if self.error is not None:
            return []
        try:
            event = self._parser.finish()
        except SSETooLong as error:
            return [self._broken(b"", StreamBrokenOff(str(error)))]
        if event is None or not event.data:
            return []
        return self._pieces([SSEEvent(event.raw + b"\n\n", event.data, event.event)])

    def closing(self, usage: Usage) -> bytes:  # noqa: ARG002 - no client reads this dialect
        """Nothing: the stream just ends."""
        return b""

    def _pieces(self, events: list[SSEEvent]) -> list[Piece]:
        pieces: list[Piece] = []
        for event in events:
            pieces.append(self._read(event))
            if self.error is not None:
                break
        return pieces

    def _read(self, event: SSEEvent) -> Piece:
        if not event.data:
            return Piece("comment", event.raw)
        try:
            name, told = read_event(event.data)
        except UnreadableAnswer:
            return self._broken(event.raw, StreamBrokenOff("an event is not what its dialect says"))
        if is_exception(name):
            return self._broken(event.raw, failure_in_stream(name, told))
        match name:
            case "contentBlockStart":
                self._take(_begun(told), told)
            case "contentBlockDelta":
                self._take(_generated(told.get("delta")), told)
            case "messageStop":
                self.finished = True
            case "metadata":
                self._told_usage = told.get("usage")
                self.service = service_in(told) or self.service
                return Piece("usage", event.raw, event.data)
            case _:
                pass
        return Piece("content" if name in _TELLING else "comment", event.raw, event.data)

    def _take(self, text: str, told: Mapping[str, Any]) -> None:
        if text:
            index = told.get("contentBlockIndex")
            self._content_events += 1
            self._content_bytes += (
                len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
            )
            self.delivered.add(text, index if type(index) is int else 0)

    def _broken(self, raw: bytes, error: GatewayError) -> Piece:
        self.error = error
        return Piece("error", raw, error=error)


def _begun(told: Mapping[str, Any]) -> str:
    match told.get("start"):
        case {"toolUse": {"name": str(name)}}:
            return name
        case _:
            return ""


def _generated(delta: object) -> str:
    match delta:
        case {"text": str(text)}:
            return text
        case {"reasoningContent": {"text": str(text)}}:
            return text
        case {"toolUse": {"input": str(text)}}:
            return text
        case _:
            return ""
