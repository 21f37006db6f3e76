"""How large an image is, read from its first bytes; nothing is decoded.

Sources: PNG https://www.w3.org/TR/png-3/#11IHDR, JPEG ITU-T T.81 B.2.2, GIF89a 18, WebP RFC 9649.
"""

import base64
import binascii
from typing import Literal, NamedTuple

HEADER_BYTES_MAX = 64 * 1024
"""How far into a JPEG its frame is looked for: thumbnails and profiles may stand before it."""

_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Size(NamedTuple):
    """Width and height in pixels, neither of them 0."""

    width: int
    height: int


def image_kind(content: bytes) -> str | None:
    """The media type that the first bytes are of, None where they are of none of ours."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def image_size(content: bytes) -> Size | None:
    """The size of a PNG, JPEG, GIF or WebP by its first HEADER_BYTES_MAX bytes, None if unknown."""
    head = content[:HEADER_BYTES_MAX]
    match image_kind(head):
        case "image/png" if head[12:16] == b"IHDR":
            return _size(head[16:20], head[20:24], "big")
        case "image/jpeg":
            return _jpeg(head)
        case "image/gif":
            return _size(head[6:8], head[8:10], "little")
        case "image/webp":
            return _webp(head)
        case _:
            return None


def size_of_base64(data: str) -> Size | None:
    """The same of base64 text, of which no more than the beginning is decoded."""
    wanted = data[: HEADER_BYTES_MAX * 4 // 3 // 4 * 4]
    try:
        return image_size(base64.b64decode(wanted[: len(wanted) // 4 * 4]))
    except (binascii.Error, ValueError):
        return None


def size_of_data_url(url: str) -> Size | None:
    """The same of a data URL in base64; None for any other address."""
    head, comma, data = url[:256].partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    start = len(head) + 1
    return size_of_base64(url[start : start + HEADER_BYTES_MAX * 2]) if data else None


def _jpeg(head: bytes) -> Size | None:
    place = 2
    while place + 9 <= len(head):
        if head[place] != 0xFF:
            return None
        marker = head[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker in _JPEG_FRAMES:
            return _size(head[place + 7 : place + 9], head[place + 5 : place + 7], "big")
        if marker in _JPEG_ALONE:
            place += 2
            continue
        place += 2 + max(2, int.from_bytes(head[place + 2 : place + 4], "big"))
    return None


def _webp(head: bytes) -> Size | None:
    match head[12:16]:
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            width, height = (int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
            return _known(width & 0x3FFF, height & 0x3FFF)
        case b"VP8L" if len(head) >= 25:
            bits = int.from_bytes(head[21:25], "little")
            return _known((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8X" if len(head) >= 30:
            width, height = (int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
            return _known(width + 1, height + 1)
        case _:
            return None


def _size(width: bytes, height: bytes, order: Literal["big", "little"]) -> Size | None:
    if len(height) < len(width):
        return None  # cut off within the number
    return _known(int.from_bytes(width, order), int.from_bytes(height, order))


def _known(width: int, height: int) -> Size | None:
    return Size(width, height) if width and height else None
