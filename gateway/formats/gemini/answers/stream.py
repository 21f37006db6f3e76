"""A streamed generateContent as a provider sends it: every event a response with a part of it.

There is no end marker; the stream is over when every candidate has its finish reason.
"""

from typing import Any

import msgspec

from gateway.formats.gemini.answers.answer import generated_texts
from gateway.formats.gemini.answers.usage import read_usage
from gateway.formats.gemini.errors import failure_in_answer
from gateway.formats.gemini.requests.contents import parts_of
from gateway.formats.gemini.tools import ToolCount
from gateway.formats.gemini.vocabulary import member
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.shared.stream_reader import SSEStreamReader
from gateway.formats.values import ChatCall, CountTokens, Piece
from gateway.http.lenient_json import read_struct
from gateway.http.sse import SSEEvent
from ledger.usage import Usage


class _Chunk(msgspec.Struct, rename="camel", gc=False):
    candidates: list[dict[str, Any]] | None = None
    usage_metadata: dict[str, Any] | None = None
    in_snake_case: dict[str, Any] | None = msgspec.field(default=None, name="usage_metadata")
    prompt_feedback: Any = None
    model_version: Any = None
    error: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class ContentStreamReader(SSEStreamReader):
    """Reads one stream."""

    _has_comments = False

    def __init__(self, call: ChatCall, count_tokens: CountTokens) -> None:
        super().__init__(count_tokens, has_images=True)
        self._choices = call.choices
        self._tools = ToolCount()
        self._model: object = call.model
        self._told_usage: object = None
        self._finished: set[int] = set()
        self._is_blocked = False

    @property
    def tools(self) -> Usage:
        """Calls of tools in everything that was told so far."""
        return self._tools.tools(self._model)

    @property
    def finished(self) -> bool:
        """True once each candidate has its finish reason, or the prompt was blocked."""
        return self._is_blocked or len(self._finished) >= self._choices

    def _usage(self) -> tuple[Usage | None, str | None]:
        return read_usage(self._told_usage)

    def _note_usage(self, told: dict[str, Any]) -> None:
        """Every event may tell one, and the last that counts a prompt counts as a whole."""
        if told and (self._told_usage is None or member(told, "promptTokenCount") is not None):
            self._told_usage = told
        self._service = service_of(member(told, "serviceTier")) or self._service

    def _read(self, event: SSEEvent) -> Piece:
        chunk = read_struct(event.data, _CHUNK)
        if chunk.error is not None:
            return self._broken(event.raw, failure_in_answer(chunk.error))
        self._note_usage(chunk.usage_metadata or chunk.in_snake_case or {})
        self._model = chunk.model_version or self._model
        self._is_blocked |= chunk.prompt_feedback is not None and not chunk.candidates
        for candidate in chunk.candidates or ():
            self._take_candidate(candidate)
        return Piece("content" if chunk.candidates else "comment", event.raw, event.data)

    def _take_candidate(self, candidate: dict[str, Any]) -> None:
        index = candidate.get("index")
        place = index if type(index) is int else 0
        self._tools.add(candidate)
        self._take("".join(generated_texts(candidate)), place)
        parts = parts_of(candidate.get("content"))
        if any(type(part) is dict and member(part, "inlineData") for part in parts):
            self._take_image()
        if member(candidate, "finishReason") and len(self._finished) < self._choices:
            self._finished.add(place)
