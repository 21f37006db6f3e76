"""A streamed response as a provider sends it.

Source: https://platform.openai.com/docs/api-reference/responses-streaming. The last event holds the
whole response, and with it the usage; it is held back until the settlement is durable.
"""

from typing import Any

import msgspec

from gateway.delivered_text import DeliveredText
from gateway.errors import GatewayError, StreamBrokenOff
from gateway.formats.contract import CountTokens, Piece
from gateway.formats.openai_responses.tools import Item, counted
from gateway.formats.openai_responses.usage import read_usage
from gateway.openai_envelope import failure_in_answer
from gateway.service_tiers import service_of
from gateway.sse import SSEEvent, SSEParser, SSETooLong
from ledger.usage import TOOL_CLASSES, Usage

LINE_MAX_BYTES = 16 * 1024 * 1024
"""The last event repeats everything that was said, images made by a tool included."""

_BYTES_PER_TOKEN = 4
_LAST = frozenset({"response.completed", "response.incomplete"})
_SILENT = frozenset({"response.created", "response.in_progress", "response.queued", "keepalive"})


class _Response(msgspec.Struct, gc=False):
    id: Any = None
    store: Any = None
    usage: Any = None
    service_tier: Any = None
    error: Any = None
    status: str | None = None
    output: list[Item] | None = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: Any = None
    output_index: int = 0
    response: _Response | None = None
    item: Item | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class ResponseStreamReader:
    """Reads one stream; see `gateway.formats.contract.StreamReader`."""

    def __init__(self, count_tokens: CountTokens) -> None:
        self._parser = SSEParser(line_max_bytes=LINE_MAX_BYTES, event_max_bytes=LINE_MAX_BYTES)
        self._told_usage: object = None
        self.kept_id = ""
        self.service: str | None = None
        self._last = b""
        self._items: list[Item] = []
        self._output: list[Item] | None = None
        self._content_events = 0
        self._content_bytes = 0
        self.delivered = DeliveredText(count_tokens)
        self.error: GatewayError | None = None

    @property
    def usage(self) -> Usage | None:
        """What the last event told."""
        return read_usage(self._told_usage)[0]

    @property
    def anomaly(self) -> str | None:
        """What is wrong with the usage that was told."""
        return read_usage(self._told_usage)[1]

    @property
    def tools(self) -> Usage:
        """Calls in the items that were completed; the last event repeats them, or does not."""
        done, repeated = counted(self._items), counted(self._output)
        return Usage(
            **{kind: max(getattr(done, kind), getattr(repeated, kind)) for kind in TOOL_CLASSES}
        )

    @property
    def finished(self) -> bool:
        """True once the response is complete, or as complete as it gets."""
        return bool(self._last)

    @property
    def saw_content(self) -> bool:
        """True once any generated text has passed."""
        return self._content_events > 0

    def output_tokens_at_least(self) -> int:
        """Events with text, or a quarter of its bytes: whichever is more."""
        return max(self._content_events, self._content_bytes // _BYTES_PER_TOKEN)

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces this chunk completes; nothing after `end` or `error`."""
        if self._is_over:
            return []
        try:
            events = self._parser.feed(chunk)
        except SSETooLong as error:
            return [self._broken(b"", StreamBrokenOff(str(error)))]
        return self._pieces(events)

    def finish(self) -> list[Piece]:
        """The last event, if the body ended before the blank line that was to end it."""
        if self._is_over:
            return []
        try:
            event = self._parser.finish()
        except SSETooLong as error:
            return [self._broken(b"", StreamBrokenOff(str(error)))]
        if event is None or not event.data:
            return []
        return [self._read(SSEEvent(event.raw + b"\n\n", event.data, event.event))]

    def closing(self, usage: Usage) -> bytes:  # noqa: ARG002 - the last event tells the provider's
        """The provider's last event."""
        return self._last

    def _pieces(self, events: list[SSEEvent]) -> list[Piece]:
        pieces: list[Piece] = []
        for event in events:
            pieces.append(self._read(event))
            if self._is_over:
                break
        return pieces

    @property
    def _is_over(self) -> bool:
        return self.finished or self.error is not None

    def _read(self, event: SSEEvent) -> Piece:
        if not event.data or event.data.strip() == b"[DONE]":
            return Piece("comment", event.raw)
        try:
            told = _decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._broken(event.raw, StreamBrokenOff("an event is not what its dialect says"))
        response = told.response
        if told.type == "error" or told.error:
            return self._broken(event.raw, failure_in_answer(told.error or _members(event.data)))
        if told.type == "response.failed":
            self._told_usage = response.usage if response else None
            failure = response.error if response else None
            return self._broken(event.raw, failure_in_answer(failure or "the response failed"))
        if told.type in _LAST:
            self._told_usage = response.usage if response else None
            self._output = response.output if response else None
            self.service = service_of(response.service_tier) if response else None
            if response and type(response.id) is str and response.store is not False:
                self.kept_id = response.id
            self._last = event.raw
            return Piece("end", event.raw, event.data)
        if told.type == "response.output_item.done" and told.item is not None:
            self._items.append(told.item)
        if told.type in _SILENT:
            return Piece("comment", event.raw, event.data)
        if type(told.delta) is str and told.delta:
            self._take(told.delta, told.output_index)
        return Piece("content", event.raw, event.data)

    def _take(self, text: str, index: int) -> None:
        self._content_events += 1
        self._content_bytes += (
            len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        )
        self.delivered.add(text, index)

    def _broken(self, raw: bytes, error: GatewayError) -> Piece:
        self.error = error
        return Piece("error", raw, error=error)


def _members(data: bytes) -> object:
    """The error event of this dialect has its words at the top."""
    return msgspec.json.decode(data)
