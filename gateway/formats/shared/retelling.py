"""A provider's stream in a client's format, event by event."""

from collections.abc import Callable, Sequence

from gateway.conversation.turn import TurnEvent
from gateway.conversation.well_formed import checked_events
from gateway.errors import AnswerFailed, GatewayError, StreamBrokenOff
from gateway.formats.contract import (
    Delivered,
    EventReader,
    EventWriter,
    StreamReader,
    UnreadableAnswer,
)
from gateway.formats.values import Piece
from gateway.http.lenient_json import STUMBLES
from ledger.usage import Usage

Change = Callable[[Sequence[TurnEvent]], list[TurnEvent]]
"""What is told of some events in their place."""


class Retelling:
    """A provider's stream read by its own reader, its pieces in the client's format."""

    def __init__(
        self,
        inner: StreamReader,
        reader: EventReader,
        writer: EventWriter,
        changes: Sequence[Change],
        kept_alive: bytes,
    ) -> None:
        self._inner = inner
        self._reader = reader
        self._writer = writer
        self._changes = changes
        self._kept_alive = kept_alive
        self._last = b""
        self._error: GatewayError | None = None

    @property
    def usage(self) -> Usage | None:
        return self._inner.usage

    @property
    def anomaly(self) -> str | None:
        return self._inner.anomaly

    @property
    def service(self) -> str | None:
        return self._inner.service

    @property
    def stored_id(self) -> str:
        return self._inner.stored_id

    @property
    def stored_items(self) -> tuple[str, ...]:
        return self._inner.stored_items

    @property
    def tools(self) -> Usage:
        return self._inner.tools

    @property
    def finished(self) -> bool:
        return self._inner.finished

    @property
    def saw_content(self) -> bool:
        return self._inner.saw_content

    @property
    def error(self) -> GatewayError | None:
        return self._error or self._inner.error

    @property
    def delivered(self) -> Delivered:
        return self._inner.delivered

    def output_tokens_at_least(self) -> int:
        return self._inner.output_tokens_at_least()

    def feed(self, chunk: bytes) -> list[Piece]:
        """The client's pieces for what this chunk completes."""
        return [] if self._error else self._retold(self._inner.feed(chunk))

    def finish(self) -> list[Piece]:
        """The pieces left at the end of the body."""
        return [] if self._error else self._retold(self._inner.finish())

    def closing(self, usage: Usage) -> bytes:
        """The end, and before it the parts that were left open. Raises UnreadableAnswer."""
        try:
            left = self._written(self._reader.finish())
            return self._last + left + self._writer.closing(usage)
        except (AnswerFailed, *STUMBLES) as error:
            raise UnreadableAnswer("the answer has no end that can be told") from error

    def _retold(self, pieces: list[Piece]) -> list[Piece]:
        told: list[Piece] = []
        for piece in pieces:
            if piece.kind == "error":
                return [*told, piece]
            if not piece.data:
                told.append(Piece("comment", self._kept_alive))
                continue
            try:
                raw = self._written(self._reader.read(piece.data))
            except (UnreadableAnswer, *STUMBLES):
                self._error = StreamBrokenOff("an odd event")
            except AnswerFailed as failed:
                self._error = failed
            if self._error is not None:
                return [*told, Piece("error", b"", error=self._error)]
            if piece.kind == "end":  # held back, as every end is
                self._last, raw = raw, b""
            # What only told of usage is the client's content now, if anything is left of it.
            kind = "content" if raw and piece.kind == "usage" else piece.kind
            told.append(Piece(kind, raw))
        return told

    def _written(self, events: list[TurnEvent]) -> bytes:
        events = checked_events(events)
        for change in self._changes:
            events = change(events)
        return self._writer.write(events)
