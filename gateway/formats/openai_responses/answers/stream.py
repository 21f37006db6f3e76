"""A streamed response as a provider sends it.

Source: https://platform.openai.com/docs/api-reference/responses-streaming. The last event holds the
whole response, and with it the usage; it is held back until the settlement is durable.
"""

from typing import Any

import msgspec

from gateway.formats.openai_responses.answers.answer import generated_texts
from gateway.formats.openai_responses.answers.usage import read_usage
from gateway.formats.openai_responses.tools import Item, counted, ids_of
from gateway.formats.shared.openai_envelope import failure_in_answer
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.shared.stream_reader import SSEStreamReader
from gateway.formats.values import CountTokens, Piece
from gateway.http.lenient_json import read_object, read_struct
from gateway.http.sse import SSEEvent
from ledger.usage import TOOL_CLASSES, Usage

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


class _StreamEvent(msgspec.Struct, gc=False):
    type: str = ""
    delta: Any = None
    output_index: int = 0
    response: _Response | None = None
    item: Item | None = None
    error: Any = None
    usage: Any = None


_EVENT = msgspec.json.Decoder(_StreamEvent)


class ResponseStreamReader(SSEStreamReader):
    """Reads one stream."""

    def __init__(self, count_tokens: CountTokens) -> None:
        super().__init__(count_tokens, has_images=True)
        self._told_usage: object = None
        self._items: list[Item] = []
        self._heard: set[int] = set()
        """Items of the output of which something generated has passed."""
        self._output: list[Item] | None = None

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
        return self._ended

    def _usage(self) -> tuple[Usage | None, str | None]:
        return read_usage(self._told_usage)

    def _read(self, event: SSEEvent) -> Piece:
        if event.data.strip() == b"[DONE]":
            return Piece("comment", event.raw)
        told = read_struct(event.data, _EVENT)
        response = told.response
        self._note_usage(told)
        if told.type == "error" or told.error:
            return self._broken(event.raw, failure_in_answer(told.error or read_object(event.data)))
        if told.type == "response.failed":
            failure = response.error if response else None
            return self._broken(event.raw, failure_in_answer(failure or "the response failed"))
        if told.type in _LAST:
            self._output = response.output if response else None
            self._service = service_of(response.service_tier) if response else None
            if response and type(response.id) is str and response.store is not False:
                self.stored_id = response.id
                self.stored_items = ids_of(self._output or self._items)
            self._take_unheard(event.data)
            return self._end(event)
        if told.type == "response.output_item.done" and told.item is not None:
            self._items.append(told.item)
            self._take_item(told.output_index, event.data)
        if told.type in _SILENT:
            return Piece("comment", event.raw, event.data)
        if type(told.delta) is str and told.delta:
            self._heard.add(told.output_index)
            self._take(told.delta, told.output_index)
        return Piece("content", event.raw, event.data)

    def _take_item(self, index: int, data: bytes) -> None:
        """An item of which no delta came: some vendors tell it whole."""
        if index not in self._heard:
            self._heard.add(index)
            self._take_whole(read_object(data).get("item"), index)

    def _take_unheard(self, data: bytes) -> None:
        """The same for what only the last event tells."""
        if self._output is None or len(self._heard) >= len(self._output):
            return
        response = read_object(data).get("response")
        output = response.get("output") if type(response) is dict else None
        for index, item in enumerate(output if type(output) is list else ()):
            if index not in self._heard:
                self._take_whole(item, index)

    def _take_whole(self, item: object, index: int) -> None:
        for text in generated_texts([item]):
            self._take(text, index)
        if type(item) is dict and item.get("type") == "image_generation_call":
            self._take_image()

    def _note_usage(self, told: _StreamEvent) -> None:
        """The last word counts, in whatever event: completed, incomplete, failed, or one before."""
        in_response = told.response.usage if told.response else None
        if in_response is not None or told.usage is not None:
            self._told_usage = told.usage if in_response is None else in_response
