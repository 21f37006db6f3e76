"""A streamed generateContent as a provider sends it: every event a response with a part of it.

There is no end marker; the stream is over when every candidate has its finish reason.
"""

from typing import Any

import msgspec

from gateway.delivered_text import DeliveredText
from gateway.errors import GatewayError, StreamBrokenOff
from gateway.formats.contract import ChatCall, CountTokens, Piece
from gateway.formats.gemini.answer import generated_texts
from gateway.formats.gemini.errors import failure_in_answer
from gateway.formats.gemini.tools import ToolCount
from gateway.formats.gemini.usage import read_usage
from gateway.service_tiers import service_of
from gateway.sse import SSEEvent, SSEParser, SSETooLong
from ledger.usage import Usage

LINE_MAX_BYTES = 16 * 1024 * 1024
"""Images come as one part of one event."""

_BYTES_PER_TOKEN = 4


class _Chunk(msgspec.Struct, rename="camel", gc=False):
    candidates: list[dict[str, Any]] | None = None
    usage_metadata: dict[str, Any] | None = None
    prompt_feedback: Any = None
    model_version: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class ContentStreamReader:
    """Reads one stream; see `gateway.formats.contract.StreamReader`."""

    kept_id = ""

    def __init__(self, call: ChatCall, count_tokens: CountTokens) -> None:
        self._choices = call.choices
        self._tools = ToolCount()
        self._model: object = call.model
        self._parser = SSEParser(line_max_bytes=LINE_MAX_BYTES, event_max_bytes=LINE_MAX_BYTES)
        self._told_usage: object = None
        self._finished: set[int] = set()
        self._is_blocked = False
        self._content_events = 0
        self._content_bytes = 0
        self.service: str | None = None
        self.delivered = DeliveredText(count_tokens)
        self.error: GatewayError | None = None

    @property
    def usage(self) -> Usage | None:
        """The last usage that was told, as a whole."""
        return read_usage(self._told_usage)[0]

    @property
    def anomaly(self) -> str | None:
        """What is wrong with the last usage that was told."""
        return read_usage(self._told_usage)[1]

    @property
    def tools(self) -> Usage:
        """Calls of tools in everything that was told so far."""
        return self._tools.tools(self._model)

    @property
    def finished(self) -> bool:
        """True once each candidate has its finish reason, or the prompt was blocked."""
        return self._is_blocked or len(self._finished) >= self._choices

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

    def closing(self, usage: Usage) -> bytes:  # noqa: ARG002 - every event told the provider's
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
            chunk = _decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._broken(event.raw, StreamBrokenOff("an event is not what its dialect says"))
        if chunk.error is not None:
            return self._broken(event.raw, failure_in_answer(chunk.error))
        if chunk.usage_metadata is not None:
            self._told_usage = chunk.usage_metadata
            self.service = service_of(chunk.usage_metadata.get("serviceTier")) or self.service
        self._model = chunk.model_version or self._model
        self._is_blocked |= chunk.prompt_feedback is not None and not chunk.candidates
        for candidate in chunk.candidates or ():
            index = candidate.get("index")
            place = index if type(index) is int else 0
            self._tools.add(candidate)
            self._take("".join(generated_texts(candidate)), place)
            if candidate.get("finishReason") and len(self._finished) < self._choices:
                self._finished.add(place)
        return Piece("content" if chunk.candidates else "comment", event.raw, event.data)

    def _take(self, text: str, index: int) -> None:
        if text:
            self._content_events += 1
            self._content_bytes += (
                len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
            )
            self.delivered.add(text, index)

    def _broken(self, raw: bytes, error: GatewayError) -> Piece:
        self.error = error
        return Piece("error", raw, error=error)
