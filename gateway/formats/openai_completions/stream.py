"""A streamed completion as a provider sends it."""

from typing import Any

import msgspec

from gateway.formats.openai_completions.answer import text_of
from gateway.formats.openai_completions.request import choices_told, prompts_of
from gateway.formats.shared.openai_envelope import failure_in_answer
from gateway.formats.shared.openai_usage import read_usage, write_usage
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.shared.stream_reader import SSEStreamReader
from gateway.formats.shared.usage_places import usage_in
from gateway.formats.values import ChatCall, CountTokens, Piece
from gateway.http.lenient_json import read_object, read_struct
from gateway.http.sse import SSEEvent
from ledger.usage import Usage

END_MARKER = b"data: [DONE]\n\n"


class _Chunk(msgspec.Struct, gc=False):
    id: Any = None
    created: Any = None
    model: Any = None
    choices: list[dict[str, Any]] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    service_tier: Any = None
    x_groq: Any = None
    meta: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class CompletionStreamReader(SSEStreamReader):
    """Reads one stream."""

    _end_marker = END_MARKER

    def __init__(self, call: ChatCall, count_tokens: CountTokens) -> None:
        super().__init__(count_tokens)
        self._call = call
        self._first: _Chunk | None = None
        self._told_usage: object = None
        self._has_told_client = False
        """Whether the usage was told where clients look for it."""
        # A call of another format may be answered here as well: it has one prompt of its own.
        is_own = "prompt" in call.document
        self._choices = choices_told(call.document) if is_own else call.choices
        self._finished: set[int] = set()
        self._echo = _Echo(call) if is_own and call.document.get("echo") else None

    @property
    def finished(self) -> bool:
        """True once each choice has its finish reason, or [DONE] came."""
        return self._ended or len(self._finished) >= self._choices

    def closing(self, usage: Usage) -> bytes:
        """The end marker, and before it the usage for a client that asked and was told none."""
        is_told = self._has_told_client and self._tells(usage)
        if is_told or not self._call.wants_usage:
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

    def _usage(self) -> tuple[Usage | None, str | None]:
        return read_usage(self._told_usage)

    def _read(self, event: SSEEvent) -> Piece:
        if event.data.strip() == b"[DONE]":
            return self._end(event)
        chunk = read_struct(event.data, _CHUNK)
        self._first = self._first or chunk
        told_usage = usage_in(
            {
                "usage": chunk.usage,
                "x_groq": chunk.x_groq,
                "choices": chunk.choices,
                "meta": chunk.meta,
            }
        )
        if told_usage is not None:
            self._told_usage = told_usage
            self._has_told_client = told_usage is chunk.usage
        self._service = service_of(chunk.service_tier) or self._service
        if chunk.error or chunk.object == "error" or event.event == b"error":
            told = chunk.error or read_object(event.data)
            return self._broken(event.raw, failure_in_answer(told))
        if not chunk.choices:
            return Piece("comment" if told_usage is None else "usage", event.raw, event.data)
        for choice in chunk.choices:
            self._note(choice)
        return Piece("content", event.raw, event.data)

    def _note(self, choice: dict[str, Any]) -> None:
        told = choice.get("index")
        index = told if type(told) is int else 0
        text = text_of(choice)
        if text and self._echo is not None:
            text = self._echo.without(text, index)
        self._take(text, index)
        if choice.get("finish_reason") and len(self._finished) < self._choices:
            self._finished.add(index)


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
