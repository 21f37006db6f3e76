"""A streamed message as a provider sends it.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming. Each event is decoded once,
into structs that hold only what is looked at.
"""

from typing import Any

import msgspec

from gateway.conversation.arguments import as_text
from gateway.formats.anthropic_messages.answers.answer import generated_texts, service_in
from gateway.formats.anthropic_messages.answers.usage import (
    merged,
    read_metrics,
    read_usage,
    tells_output,
    tells_prompt,
    write_usage,
)
from gateway.formats.anthropic_messages.errors import failure_in_answer
from gateway.formats.anthropic_messages.tools import ToolCount
from gateway.formats.anthropic_messages.vocabulary import written_event
from gateway.formats.shared.stream_reader import SSEStreamReader
from gateway.formats.values import CountTokens, Piece
from gateway.http.lenient_json import read_object
from gateway.http.sse import SSEEvent
from ledger.usage import Usage

END_MARKER = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_TELLING = ("content_block_start", "content_block_delta", "content_block_stop", "message_delta")
_KNOWN = frozenset({*_TELLING, "message_start", "message_stop", "error"})


class _Delta(msgspec.Struct, gc=False):
    text: str | None = None
    thinking: str | None = None
    partial_json: Any = None
    content: Any = None
    stop_reason: Any = None
    stop_sequence: Any = None
    usage: Any = None


class _Message(msgspec.Struct, gc=False):
    usage: Any = None


class _StreamEvent(msgspec.Struct, gc=False):
    type: str = ""
    index: int | None = None
    delta: _Delta | None = None
    message: _Message | None = None
    content_block: Any = None
    usage: Any = None
    error: Any = None
    metrics: Any = msgspec.field(default=None, name="amazon-bedrock-invocationMetrics")


_decode = msgspec.json.Decoder(_StreamEvent).decode


class MessageStreamReader(SSEStreamReader):
    """Reads one stream."""

    _end_marker = END_MARKER

    def __init__(self, count_tokens: CountTokens) -> None:
        super().__init__(count_tokens)
        self._first_usage: object = None
        self._last_usage: object = None
        self._metrics: object = None
        self._tools = ToolCount()
        self._stop: dict[str, Any] = {}

    @property
    def service(self) -> str | None:
        """The service that answers."""
        return service_in(merged(self._first_usage, self._last_usage))

    @property
    def tools(self) -> Usage:
        """Calls of tools as the last word on usage tells them, else as they were seen."""
        return self._tools.tools(merged(self._first_usage, self._last_usage))

    @property
    def finished(self) -> bool:
        """True once the message has its stop reason, or its end came."""
        return self._ended or bool(self._stop)

    def closing(self, usage: Usage) -> bytes:
        """The end marker in the provider's own bytes, and before it the usage where it told none.

        A `message_delta` also says why the model stopped; a client takes the last one's word.
        """
        if self._tells(usage):
            return self._end_marker
        told = {"delta": self._stop, "usage": write_usage(usage)}
        return written_event("message_delta", told) + self._end_marker

    def _usage(self) -> tuple[Usage | None, str | None]:
        """A start alone tells what a broken stream's prompt was; of its output it knows nothing."""
        last = self._last_usage
        if self._metrics is not None and not tells_output(last):
            return read_metrics(self._metrics)
        is_cut = self.saw_content and not self.finished
        if not tells_output(last) and not (is_cut and tells_prompt(self._first_usage)):
            return None, read_usage(last)[1]
        return read_usage(merged(self._first_usage, self._last_usage))

    def _read(self, event: SSEEvent) -> Piece:
        told = _decoded(event.data)
        kind = told.type or (event.event or b"").decode("ascii", "replace")
        match kind:
            case "message_start" if told.message is not None:
                self._first_usage = told.message.usage
            case "content_block_start":
                self._tools.add(told.content_block)
                self._take("".join(generated_texts(told.content_block)), told.index or 0)
            case "content_block_delta" if told.delta is not None:
                self._take(_generated(told.delta), told.index or 0)
            case "message_delta":
                self._last_usage = merged(self._last_usage, _usage_of(told))
                self._note_stop(told.delta)
            case "message_stop":
                self._last_usage = merged(self._last_usage, _usage_of(told))
                self._metrics = told.metrics
                return self._end(event)
            case "error":
                return self._broken(event.raw, failure_in_answer(told.error))
            case _:
                pass
        return Piece("content" if kind in _TELLING else "comment", event.raw, event.data)

    def _note_stop(self, delta: _Delta | None) -> None:
        if delta is not None and type(delta.stop_reason) is str:
            sequence = delta.stop_sequence if type(delta.stop_sequence) is str else None
            self._stop = {"stop_reason": delta.stop_reason, "stop_sequence": sequence}


def _decoded(data: bytes) -> _StreamEvent:
    """Raises ValidationError, UnreadableAnswer; an event of a kind we do not know may be anything,
    and broken UTF-8 is replaced.
    """
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = read_object(data)
    kind = document.get("type")
    if type(kind) is str and kind not in _KNOWN:
        return _StreamEvent(type=kind)
    return msgspec.convert(document, _StreamEvent)


def _usage_of(told: _StreamEvent) -> object:
    """The usage of an end: beside its delta, as Anthropic tells it, or within as some gateways."""
    holders = (told, told.delta, told.message)
    return next((each.usage for each in holders if each and each.usage is not None), None)


def _generated(delta: _Delta) -> str:
    content = delta.content if type(delta.content) is str else ""  # of a compaction
    return delta.text or delta.thinking or as_text(delta.partial_json) or content
