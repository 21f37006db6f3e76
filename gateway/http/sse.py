"""Server-sent events, parsed as they arrive and kept byte for byte.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (9.2.6), with two
differences. Every block is reported, so that what is passed on is exactly what came in (a block
with nothing to dispatch has empty `data`); and `finish` gives the block that the end cuts off.
"""

import re

import msgspec

LINE_MAX_BYTES = 1_000_000
EVENT_MAX_BYTES = 4_000_000

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BLANK_LINE = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")


class SSEEvent(msgspec.Struct, frozen=True, gc=False):
    """One block of the stream, up to and including the blank line that ends it.

    `raw` is its exact bytes, `event` the last event name in it, `data` its data lines joined by
    line feeds; empty when there is nothing to dispatch (comments, `id`, `retry`, blank lines).
    """

    raw: bytes
    data: bytes
    event: bytes | None = None


class SSETooLong(Exception):
    """A line or an event is longer than a stream of ours may have."""


class SSEParser:
    """Turns chunks, cut anywhere, into events; the work is linear in the bytes whatever the cuts.

    A lone CR at the end of a chunk may be half of a CRLF, so it ends a line only once the next
    byte, or the end, is known.
    """

    def __init__(
        self,
        *,
        line_max_bytes: int = LINE_MAX_BYTES,
        event_max_bytes: int = EVENT_MAX_BYTES,
    ) -> None:
        self._line_max_bytes = line_max_bytes
        self._event_max_bytes = event_max_bytes
        self._held: list[bytes] = []  # the parts of the block that has no end yet
        self._held_bytes = 0
        self._open_line_bytes = 0
        self._tail = b""  # enough of the end of `_held` to see a blank line that a cut divides
        self._at_start = True
        self._too_long: str | None = None

    @property
    def pending(self) -> bool:
        """True while bytes are held that no blank line has ended."""
        return bool(self._held)

    def feed(self, chunk: bytes) -> list[SSEEvent]:
        """The events that this chunk completes.

        Raises SSETooLong, now or at the next call when events came before what is too long.
        """
        self._refuse_if_too_long()
        if self._held:
            begins_blank = self._held[0][:1] in (b"\r", b"\n")
            if not begins_blank and _BLANK_LINE.search(self._tail + chunk) is None:
                self._hold(chunk)
                self._refuse_if_too_long()
                return []
            self._held.append(chunk)
            chunk = b"".join(self._held)
            self._release()
        events: list[SSEEvent] = []
        rest = self._read(chunk, events)
        if rest and self._too_long is None:
            self._hold(rest)
        if not events:
            self._refuse_if_too_long()
        return events

    def finish(self) -> SSEEvent | None:
        """What the end of the stream left without its blank line, or None.

        Raises SSETooLong when that was still to be said.
        """
        self._refuse_if_too_long()
        if not self._held:
            return None
        block = b"".join(self._held)
        self._release()
        event = self._parse(block)
        self._refuse_if_too_long()
        return event

    def _refuse_if_too_long(self) -> None:
        if self._too_long is not None:
            self._release()
            raise SSETooLong(self._too_long)

    def _release(self) -> None:
        self._held = []
        self._held_bytes = self._open_line_bytes = 0
        self._tail = b""

    def _hold(self, part: bytes) -> None:
        self._held.append(part)
        self._held_bytes += len(part)
        self._tail = (self._tail + part[-3:])[-3:]
        line_start = max(part.rfind(b"\n"), part.rfind(b"\r")) + 1
        self._open_line_bytes = (
            len(part) - line_start + (0 if line_start else self._open_line_bytes)
        )
        self._check_lengths(self._open_line_bytes, self._held_bytes)

    def _check_lengths(self, line_bytes: int, event_bytes: int) -> None:
        if line_bytes > self._line_max_bytes:
            self._too_long = f"a line exceeds {self._line_max_bytes} bytes"
        elif event_bytes > self._event_max_bytes:
            self._too_long = f"an event exceeds {self._event_max_bytes} bytes"

    def _read(self, buffer: bytes, events: list[SSEEvent]) -> bytes:
        """Append the whole blocks of `buffer` to `events`; answer what is left after them."""
        if b"\r" in buffer or b"\n\n\n" in buffer or buffer[:1] == b"\n":
            return self._read_any_line_ends(buffer, events)
        blocks = buffer.split(b"\n\n")
        rest = blocks.pop()
        line_max_bytes = self._line_max_bytes
        for block in blocks:
            if block[:6] == b"data: " and b"\n" not in block and len(block) <= line_max_bytes:
                events.append(SSEEvent(block + b"\n\n", block[6:]))
            elif not self._append(block + b"\n\n", events):
                return b""
            self._at_start = False
        return rest

    def _read_any_line_ends(self, buffer: bytes, events: list[SSEEvent]) -> bytes:
        start, end = 0, len(buffer)
        while start < end:
            blank = _LINE_END.match(buffer, start) or _BLANK_LINE.search(buffer, start)
            if blank is None or (blank.end() == end and buffer[-1:] == b"\r"):
                break
            if not self._append(buffer[start : blank.end()], events):
                return b""
            self._at_start = False
            start = blank.end()
        return buffer[start:]

    def _append(self, block: bytes, events: list[SSEEvent]) -> bool:
        event = self._parse(block)
        if self._too_long is None:
            events.append(event)
        return self._too_long is None

    def _parse(self, block: bytes) -> SSEEvent:
        event: bytes | None = None
        data: list[bytes] = []
        text = block
        if self._at_start and block.startswith(_BYTE_ORDER_MARK):
            text = block[len(_BYTE_ORDER_MARK) :]
        self._check_lengths(0, len(block))
        for line in _LINE_END.split(text):
            self._check_lengths(len(line), 0)
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value.removeprefix(b" "))
            elif name == b"event":
                event = value.removeprefix(b" ")
        return SSEEvent(block, b"\n".join(data), event)
