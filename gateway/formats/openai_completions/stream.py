"""A streamed completion as a provider sends it."""

from typing import Any

import msgspec

from gateway.delivered_text import DeliveredText
from gateway.errors import GatewayError, StreamBrokenOff
from gateway.formats.contract import ChatCall, CountTokens, Piece
from gateway.formats.openai_completions.answer import text_of
from gateway.formats.openai_completions.request import choices_told, prompts_of
from gateway.openai_envelope import failure_in_answer
from gateway.openai_usage import read_usage, write_usage
from gateway.service_tiers import service_of
from gateway.sse import SSEEvent, SSEParser, SSETooLong
from ledger.usage import Usage

END_MARKER = b"data: [DONE]\n\n"

_BYTES_PER_TOKEN = 4


class _Chunk(msgspec.Struct, gc=False):
    id: Any = None
    created: Any = None
    model: Any = None
    choices: list[dict[str, Any]] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    service_tier: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class CompletionStreamReader:
    """Reads one stream; see `gateway.formats.contract.StreamReader`."""

    kept_id = ""
    tools = Usage()

    def __init__(self, call: ChatCall, count_tokens: CountTokens) -> None:
        self._call = call
        self._parser = SSEParser()
        self._first: _Chunk | None = None
        self._told_usage: object = None
        # A call of another dialect may be answered here as well: it has one prompt of its own.
        is_own = "prompt" in call.document
        self._choices = choices_told(call.document) if is_own else call.choices
        self._finished: set[int] = set()
        self._ended = False
        self._end_marker = END_MARKER
        self._content_events = 0
        self._content_bytes = 0
        self._echo = _Echo(call) if is_own and call.document.get("echo") else None
        self.service: str | None = None
        self.delivered = DeliveredText(count_tokens)
        self.error: GatewayError | None = None

    @property
    def usage(self) -> Usage | None:
        """The last usage that was told; never a sum."""
        return read_usage(self._told_usage)[0]

    @property
    def anomaly(self) -> str | None:
        """What is wrong with the last usage that was told."""
        return read_usage(self._told_usage)[1]

    @property
    def finished(self) -> bool:
        """True once each choice has its finish reason, or [DONE] came."""
        return self._ended or len(self._finished) >= self._choices

    @property
    def saw_content(self) -> bool:
        """True once any text has passed."""
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

    def closing(self, usage: Usage) -> bytes:
        """The end marker, and before it the usage for a client that asked and was told none."""
        if not self._call.wants_usage or self.usage is not None:
            return self._end_marker
        first = self._first or _Chunk()
        chunk = {
            "id": first.id,
            "object": "text_completion",
            "created": first.created,
            "model": first.model or self._call.model,
            "choices": [],
            "usage": write_usage(usage),
        }
        return b"data: " + msgspec.json.encode(chunk) + b"\n\n" + self._end_marker

    def _pieces(self, events: list[SSEEvent]) -> list[Piece]:
        pieces: list[Piece] = []
        for event in events:
            pieces.append(self._read(event))
            if self._is_over:
                break
        return pieces

    @property
    def _is_over(self) -> bool:
        return self._ended or self.error is not None

    def _read(self, event: SSEEvent) -> Piece:
        if not event.data:
            return Piece("comment", event.raw)
        if event.data.strip() == b"[DONE]":
            self._ended, self._end_marker = True, event.raw
            return Piece("end", event.raw, event.data)
        try:
            chunk = _decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._broken(event.raw, StreamBrokenOff("an event is not what its dialect says"))
        self._first = self._first or chunk
        if chunk.usage is not None:
            self._told_usage = chunk.usage
        self.service = service_of(chunk.service_tier) or self.service
        if chunk.error or chunk.object == "error" or event.event == b"error":
            told = chunk.error or msgspec.json.decode(event.data)
            return self._broken(event.raw, failure_in_answer(told))
        if not chunk.choices:
            return Piece("comment" if chunk.usage is None else "usage", event.raw, event.data)
        for choice in chunk.choices:
            self._take(choice)
        return Piece("content", event.raw, event.data)

    def _take(self, choice: dict[str, Any]) -> None:
        told = choice.get("index")
        index = told if type(told) is int else 0
        text = text_of(choice)
        if text and self._echo is not None:
            text = self._echo.without(text, index)
        if text:
            self._content_events += 1
            self._content_bytes += (
                len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
            )
            self.delivered.add(text, index)
        if choice.get("finish_reason") and len(self._finished) < self._choices:
            self._finished.add(index)

    def _broken(self, raw: bytes, error: GatewayError) -> Piece:
        self.error = error
        return Piece("error", raw, error=error)


class _Echo:
    """Takes the prompt off what each choice says first: it was not generated, and is no output."""

    def __init__(self, call: ChatCall) -> None:
        self._prompts = prompts_of(call.document)
        self._choices_each = call.document.get("n") or 1
        self._left_characters: dict[int, int] = {}

    def without(self, text: str, index: int) -> str:
        """What of `text` is new."""
        place = min(max(index, 0) // self._choices_each, len(self._prompts) - 1)
        left = self._left_characters.get(index, len(self._prompts[place]))
        self._left_characters[index] = max(0, left - len(text))
        return text[left:]
