"""A streamed chat completion as a provider sends it.

Each event is decoded once, into structs that hold only what is looked at; what does not fit them is
read again without types, so that an odd provider costs time and not the stream.
"""

from typing import Any

import msgspec

from gateway.errors import StreamBrokenOff
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.openai_chat.answers.generated import generated_texts
from gateway.formats.openai_chat.answers.images import images_in
from gateway.formats.openai_chat.tools import tools_in
from gateway.formats.shared.openai_envelope import failure_in_answer
from gateway.formats.shared.openai_usage import read_usage, write_usage
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.shared.stream_reader import SSEStreamReader
from gateway.formats.shared.usage_places import usage_in
from gateway.formats.values import ChatCall, CountTokens, Piece
from gateway.http.lenient_json import read_object
from gateway.http.sse import SSEEvent
from ledger.usage import Usage

END_MARKER = b"data: [DONE]\n\n"


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    images: Any = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None
    usage: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    object: str | None = None
    service_tier: Any = None
    x_groq: Any = None
    meta: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class ChatStreamReader(SSEStreamReader):
    """Reads one stream."""

    _end_marker = END_MARKER

    def __init__(self, call: ChatCall, count_tokens: CountTokens) -> None:
        super().__init__(count_tokens, has_images=True)
        self._call = call
        self._first_data: bytes | None = None
        self._told_usage: object = None
        self._has_told_client = False
        """Whether the usage was told where clients look for it."""
        self._finished_choices: set[int] = set()

    @property
    def tools(self) -> Usage:
        """Searches, by what the model calls itself and the last usage that was told."""
        return tools_in(self._first().get("model"), self._told_usage)

    @property
    def finished(self) -> bool:
        """True once each choice has its finish reason, or [DONE] came."""
        return self._ended or len(self._finished_choices) >= self._call.choices

    def closing(self, usage: Usage) -> bytes:
        """The end marker, and before it the usage for a client that asked and was told none."""
        if self._call.wants_usage and not (self._has_told_client and self._tells(usage)):
            return self._usage_chunk(usage) + self._end_marker
        return self._end_marker

    def _usage_chunk(self, usage: Usage) -> bytes:
        """The chunk OpenAI sends for `include_usage`, with the id of this stream's chunks."""
        first = self._first()
        chunk = {
            "id": first.get("id"),
            "object": "chat.completion.chunk",
            "created": first.get("created"),
            "model": first.get("model", self._call.model),
            "choices": [],
            "usage": write_usage(usage),
        }
        return b"data: " + msgspec.json.encode(chunk) + b"\n\n"

    def _first(self) -> dict[str, Any]:
        try:
            return read_object(self._first_data or b"")
        except UnreadableAnswer:
            return {}

    def _usage(self) -> tuple[Usage | None, str | None]:
        return read_usage(self._told_usage)

    def _read(self, event: SSEEvent) -> Piece:
        data = event.data
        if data[:1] == b"[" and data.strip() == b"[DONE]":
            return self._end(event)
        self._first_data = self._first_data or data
        try:
            chunk = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._read_untyped(event)
        told_usage = chunk.usage
        if told_usage is not None or chunk.x_groq is not None or chunk.meta is not None:
            told_usage = self._note_usage_of(chunk)
        if chunk.service_tier is not None:
            self._service = service_of(chunk.service_tier)
        if chunk.error or chunk.object == "error" or event.event == b"error":
            return self._told_error(event, chunk.error)
        if not chunk.choices:
            return Piece("comment" if told_usage is None else "usage", event.raw, event.data)
        for choice in chunk.choices:
            self._note(choice)
            if choice.usage is not None:
                self._note_usage_of(chunk)
        return Piece("content", event.raw, event.data)

    def _read_untyped(self, event: SSEEvent) -> Piece:
        try:
            document = read_object(event.data)
        except UnreadableAnswer:
            return self._broken(event.raw, StreamBrokenOff("an event is not a JSON object"))
        told_usage = usage_in(document)
        self._note_usage(told_usage, document.get("usage"))
        if document.get("service_tier") is not None:
            self._service = service_of(document["service_tier"])
        error = document.get("error")
        if error or document.get("object") == "error" or event.event == b"error":
            return self._told_error(event, error)
        choices = document.get("choices")
        if type(choices) is not list or not choices:
            return Piece("comment" if told_usage is None else "usage", event.raw, event.data)
        for choice in choices:
            if type(choice) is dict:
                self._note_untyped(choice)
        return Piece("content", event.raw, event.data)

    def _note_untyped(self, choice: dict[str, Any]) -> None:
        index = choice.get("index")
        index = index if type(index) is int else 0
        delta = choice.get("delta")
        self._take("".join(generated_texts(delta)), index)
        if type(delta) is dict and any(images_in(delta)):
            self._take_image()
        if choice.get("finish_reason"):
            self._finish(index)

    def _note_usage_of(self, chunk: _Chunk) -> object:
        """Take in what a chunk tells of usage, wherever in it; what that was."""
        told = usage_in(
            {
                "usage": chunk.usage,
                "x_groq": chunk.x_groq,
                "choices": [{"usage": choice.usage} for choice in chunk.choices or ()],
                "meta": chunk.meta,
            }
        )
        self._note_usage(told, chunk.usage)
        return told

    def _note_usage(self, told_usage: object, in_its_place: object) -> None:
        if told_usage is not None:
            self._told_usage = told_usage
            self._has_told_client = told_usage is in_its_place

    def _note(self, choice: _Choice) -> None:
        delta = choice.delta
        index = choice.index or 0
        if delta is not None:
            self._take(delta.content or self._other_text(delta), index)
        if choice.finish_reason:
            self._finish(index)

    def _other_text(self, delta: _Delta) -> str:
        """What a delta without words tells."""
        if delta.images:
            self._take_image()
        text = (delta.reasoning_content or delta.reasoning or "") + (delta.refusal or "")
        for call in delta.tool_calls or ():
            text += _called(call.function)
        return text + _called(delta.function_call)

    def _finish(self, index: int) -> None:
        if len(self._finished_choices) < self._call.choices:
            self._finished_choices.add(index)

    def _told_error(self, event: SSEEvent, error: object) -> Piece:
        if not error:  # vLLM's older form, and bare `event: error`: the event is the error
            try:
                error = read_object(event.data)
            except UnreadableAnswer:
                error = None
        return self._broken(event.raw, failure_in_answer(error))


def _called(function: _Function | None) -> str:
    return "" if function is None else (function.name or "") + (function.arguments or "")
