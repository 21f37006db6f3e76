"""Text in a PDF, in whatever script it is.

What Helvetica has is set in Helvetica, which every reader of PDF has. Other alphabets (Cyrillic,
Greek, Vietnamese, ...) are set in DejaVu Sans, which lies in `fonts/`; what is used of it goes into
the file. Chinese, Japanese and Korean are set in the Asian fonts that readers of PDF bring (CID
fonts, ISO 32000-1, 9.7.5.2). A character that none of them has becomes a box. Text runs from left
to right and letters are not joined: names in scripts that need more are legible at best.
"""

import functools
import unicodedata
from bisect import bisect_right
from importlib import resources
from io import BytesIO
from itertools import groupby
from typing import NamedTuple

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

PLAIN = "Helvetica"
BOLD = "Helvetica-Bold"
BOX = "\u25a1"

_OTHER_ALPHABETS = "DejaVuSans"
_JAPANESE = "HeiseiKakuGo-W5"
_KOREAN = "HYGothic-Medium"
_CHINESE = "STSong-Light"
_ASIAN = (
    (0x2E80, 0x2FDF), (0x3000, 0x30FF), (0x3130, 0x318F), (0x31F0, 0x32FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFF00, 0xFFEF),
)  # fmt: skip


class Run(NamedTuple):
    """Some characters in one font."""

    font: str
    text: str


@functools.cache
def _other_alphabets() -> TTFont:
    content = (resources.files("ledger.export") / "fonts" / "DejaVuSans.ttf").read_bytes()
    font = TTFont(_OTHER_ALPHABETS, BytesIO(content))
    pdfmetrics.registerFont(font)
    return font


@functools.cache
def _asian(name: str) -> str:
    pdfmetrics.registerFont(UnicodeCIDFont(name))
    return name


def runs(text: str, font: str = PLAIN) -> list[Run]:
    """The text, cut into runs of one font; `font` is for a text that Helvetica has all of.

    A text that needs another alphabet is set in that whole, so that no word is of two designs.
    """
    normal = unicodedata.normalize("NFC", text)
    if _is_plain(normal):
        return [Run(font, normal)]
    asian = _asian_font(normal)
    shown = "".join(map(_or_box, normal))
    western = "".join(character for character in shown if not _is_asian(character))
    others = font if _is_plain(western) else _other_alphabets().fontName
    fonts = [_asian(asian) if _is_asian(character) else others for character in shown]
    pairs = zip(fonts, shown, strict=True)
    return [
        Run(name, "".join(character for _, character in group))
        for name, group in groupby(pairs, lambda pair: pair[0])
    ]


def width(text: str, size: float, font: str = PLAIN) -> float:
    """In points."""
    return float(sum(_width_of(run, size) for run in runs(text, font)))


@functools.lru_cache(maxsize=1_000)
def wrapped(text: str, size: float, room: float, font: str = PLAIN) -> tuple[str, ...]:
    """Lines of words that each find room, in points; a longer word goes on in the next line."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if width(longer, size, font) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while (kept := _fitting(line, size, room, font)) < len(line):
            lines.append(line[:kept])
            line = line[kept:]
    return (*lines, line)


def _fitting(word: str, size: float, room: float, font: str) -> int:
    """So many characters of its beginning find room; one in any case."""
    ends = range(1, len(word) + 1)
    return max(1, bisect_right(ends, room, key=lambda end: width(word[:end], size, font)))


def draw(canvas: Canvas, x: float, y: float, text: str, size: float, font: str = PLAIN) -> None:
    """Set a text from x on."""
    for run in runs(text, font):
        canvas.setFont(run.font, size)
        canvas.drawString(x, y, run.text)
        x += _width_of(run, size)


def _width_of(run: Run, size: float) -> float:
    points: float = pdfmetrics.stringWidth(run.text, run.font, size)
    return points


def _is_plain(text: str) -> bool:
    """Whether Helvetica has all of it."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _is_asian(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _ASIAN)


def _or_box(character: str) -> str:
    """The character, if any of the fonts has it."""
    is_known = (
        _is_plain(character)
        or _is_asian(character)
        or ord(character) in _other_alphabets().face.charToGlyph
    )
    return character if is_known else BOX


def _asian_font(text: str) -> str:
    """Han characters are written in every one of these languages: its neighbours tell which."""
    if any("\u3040" <= character <= "\u30ff" for character in text):
        return _JAPANESE
    if any("\uac00" <= character <= "\ud7a3" for character in text):
        return _KOREAN
    return _CHINESE
