"""What all readers of providers' streams share: events from bytes, and what of them was generated.

A format says what one event means; see `gateway.formats.contract.StreamReader` for the whole.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from gateway.errors import GatewayError, StreamBrokenOff
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.shared.delivered_text import DeliveredText
from gateway.formats.shared.usage_table import MALFORMED
from gateway.formats.values import CountTokens, Piece
from gateway.http.lenient_json import NODES_MAX, STUMBLES, check_values
from gateway.http.sse import SSEEvent, SSEParser, SSETooLong
from ledger.pricing import output_tokens, prompt_tokens
from ledger.usage import Usage

LINE_MAX_BYTES = 16 * 1024 * 1024
"""Of formats whose models make images: each is one line of one event."""
_BYTES_PER_TOKEN = 4
_NOTHING = Usage()


class SSEStreamReader(ABC):
    """Reads one stream. Formats give `_read`, `_usage` and `finished`."""

    stored_id = ""
    stored_items: tuple[str, ...] = ()
    _service: str | None = None
    _has_comments = True
    """Whether SDKs of the format pass over lines that are no data."""
    _end_marker = b""
    """What ends the stream: as the provider sent it, once it did."""

    def __init__(self, count_tokens: CountTokens, has_images: bool = False) -> None:
        most = {"line_max_bytes": LINE_MAX_BYTES, "event_max_bytes": LINE_MAX_BYTES}
        self._parser = SSEParser(**most) if has_images else SSEParser()
        self._ended = self._is_over = False
        self._content_events = 0
        self._content_bytes = 0
        self._known: tuple[Usage | None, str | None] | None = None
        """The usage so far, once somebody asked, until more comes."""
        self.delivered = DeliveredText(count_tokens)
        self.error: GatewayError | None = None

    @property
    def usage(self) -> Usage | None:
        """What the provider told so far; never a sum, as providers that tell several accumulate."""
        return self._usage_so_far()[0]

    @property
    def anomaly(self) -> str | None:
        """What is wrong with the usage that was told."""
        return self._usage_so_far()[1]

    @property
    def service(self) -> str | None:
        """The service that answers, where that was told."""
        return self._service

    @property
    def tools(self) -> Usage:
        """Calls of the provider's own tools; most formats have none."""
        return _NOTHING

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
        self._known = None
        try:
            events = self._parser.feed(chunk)
        except SSETooLong as error:
            return [self._broken(b"", StreamBrokenOff(str(error)))]
        return self._pieces(events)

    def finish(self) -> list[Piece]:
        """The last event, if the body ended before the blank line that was to end it.

        Its `raw` gets that line, so that what follows does not run into it.
        """
        if self._is_over:
            return []
        self._known = None
        try:
            event = self._parser.finish()
        except SSETooLong as error:
            return [self._broken(b"", StreamBrokenOff(str(error)))]
        if event is None or not event.data:
            return []
        return self._pieces([SSEEvent(event.raw + b"\n\n", event.data, event.event)])

    def closing(self, usage: Usage) -> bytes:  # noqa: ARG002 - of formats whose events told it
        """The end marker, if the format has one."""
        return self._end_marker

    def _tells(self, billed: Usage) -> bool:
        """Whether the provider tells of everything that is billed: a client needs no other word."""
        told = self.usage
        if told is None:
            return False
        return all(
            theirs or not ours
            for theirs, ours in zip(_lengths(told), _lengths(billed), strict=True)
        )

    @abstractmethod
    def _read(self, event: SSEEvent) -> Piece:
        """What an event is that has data, with whatever it tells taken in."""

    @abstractmethod
    def _usage(self) -> tuple[Usage | None, str | None]:
        """The usage that was told, and what is wrong with it."""

    def _usage_so_far(self) -> tuple[Usage | None, str | None]:
        if self._known is None:
            try:
                self._known = self._usage()
            except STUMBLES:
                self._known = None, MALFORMED
        return self._known

    def _pieces(self, events: Iterable[SSEEvent]) -> list[Piece]:
        pieces: list[Piece] = []
        for event in events:
            if not event.data:
                pieces.append(Piece("comment", event.raw if self._has_comments else b""))
                continue
            try:
                if len(event.data) > NODES_MAX:  # a value takes a byte at least
                    check_values(event.data)
                pieces.append(self._read(event))
            except (UnreadableAnswer, *STUMBLES):
                pieces.append(self._unreadable(event))
            if self._is_over:
                break
        return pieces

    def _take(self, text: str, index: int) -> None:
        """Count what was generated; `index`: of the choice, or of the block."""
        if text:
            self._content_events += 1
            self._content_bytes += (
                len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
            )
            self.delivered.add(text, index)

    def _take_image(self) -> None:
        """Count what was made and is no text: nothing estimates its tokens."""
        self._content_events += 1

    def _end(self, event: SSEEvent) -> Piece:
        self._ended = self._is_over = True
        self._end_marker = event.raw
        return Piece("end", event.raw, event.data)

    def _broken(self, raw: bytes, error: GatewayError) -> Piece:
        self.error, self._is_over = error, True
        return Piece("error", raw, error=error)

    def _unreadable(self, event: SSEEvent) -> Piece:
        return self._broken(event.raw, StreamBrokenOff("an event is not what its format says"))


def _lengths(usage: Usage) -> tuple[int, int]:
    return prompt_tokens(usage), output_tokens(usage)
