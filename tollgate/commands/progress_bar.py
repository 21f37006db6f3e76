"""How far a long command is: one line that is written anew on a terminal, or lines now and then."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from ledger import clock

_EVERY_S = 0.1
_LINE_EVERY_S = 5.0
_WIDTH = 20


@contextlib.contextmanager
def progress_bar(
    doing: str, *, lines_elsewhere: bool = False, out: TextIO | None = None
) -> Iterator[Callable[[int, int], None]]:
    """Gives what is to be told (done, total) events, as often as one likes.

    On a terminal the line is gone afterwards. Elsewhere nothing is written, or, with
    `lines_elsewhere`, a line every five seconds and one at the end. `out` is standard error.
    """
    line = _Line(doing, out or sys.stderr)
    if line.is_terminal:
        try:
            yield line.redraw
        finally:
            line.erase()
    elif lines_elsewhere:
        yield line.print_now_and_then
    else:
        yield lambda _done, _total: None


class _Line:
    def __init__(self, doing: str, out: TextIO) -> None:
        self._doing = doing
        self._out = out
        self._started_s = clock.monotonic_s()
        self._written_s = 0.0
        self._written = ""

    @property
    def is_terminal(self) -> bool:
        return self._out.isatty()

    def redraw(self, done: int, total: int) -> None:
        now_s = clock.monotonic_s()
        if now_s - self._written_s >= _EVERY_S or done >= total:
            self._written_s = now_s
            filled = _WIDTH * done // total if total else _WIDTH
            bar = "#" * filled + "-" * (_WIDTH - filled)
            self._write(f"[{bar}] {self._text(done, total)}")

    def print_now_and_then(self, done: int, total: int) -> None:
        now_s = clock.monotonic_s()
        is_last = done >= total
        if now_s - max(self._written_s, self._started_s) >= _LINE_EVERY_S or is_last:
            self._written_s = now_s
            text = self._text(done, total)
            if text != self._written:
                print(text, file=self._out, flush=True)
                self._written = text

    def erase(self) -> None:
        self._write("")
        self._out.write("\r")
        self._out.flush()

    def _write(self, text: str) -> None:
        padding = " " * (len(self._written) - len(text))
        self._out.write(f"\r{text}{padding}")
        self._out.flush()
        self._written = text

    def _text(self, done: int, total: int) -> str:
        percent = 100 * done // total if total else 100
        text = f"{self._doing} {done:,} of {total:,} events, {percent}%"
        spent_s = clock.monotonic_s() - self._started_s
        if not done or spent_s <= 0:
            return text
        per_second = done / spent_s
        left_s = (total - done) / per_second
        return f"{text}, {per_second:,.0f}/s, {left_s:.0f} s left"
