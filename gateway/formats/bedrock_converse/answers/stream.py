"""A streamed answer as a provider sends it, its frames told as server-sent events.

There is no end marker: `messageStop` ends the message, `metadata` with the usage follows it.
"""

from collections.abc import Mapping
from typing import Any

from gateway.formats.bedrock_converse.answers.answer import service_in
from gateway.formats.bedrock_converse.answers.events import is_exception, read_event
from gateway.formats.bedrock_converse.answers.usage import read_usage
from gateway.formats.bedrock_converse.errors import failure_in_stream
from gateway.formats.shared.stream_reader import SSEStreamReader
from gateway.formats.values import CountTokens, Piece
from gateway.http.sse import SSEEvent
from ledger.usage import Usage

_TELLING = frozenset({"contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop"})


class ConverseStreamReader(SSEStreamReader):
    """Reads one stream."""

    def __init__(self, count_tokens: CountTokens) -> None:
        super().__init__(count_tokens)
        self._told_usage: object = None
        self.finished = False

    def _usage(self) -> tuple[Usage | None, str | None]:
        return read_usage(self._told_usage)

    def _read(self, event: SSEEvent) -> Piece:
        name, told = read_event(event.data)
        if is_exception(name):
            return self._broken(event.raw, failure_in_stream(name, told))
        match name:
            case "contentBlockStart":
                self._take(_begun(told), _index(told))
            case "contentBlockDelta":
                self._take(_generated(told.get("delta")), _index(told))
            case "messageStop":
                self.finished = True
            case "metadata":
                self._told_usage = told.get("usage")
                self._service = service_in(told) or self._service
                return Piece("usage", event.raw, event.data)
            case _:
                pass
        return Piece("content" if name in _TELLING else "comment", event.raw, event.data)


def _index(told: Mapping[str, Any]) -> int:
    index = told.get("contentBlockIndex")
    return index if type(index) is int else 0


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
