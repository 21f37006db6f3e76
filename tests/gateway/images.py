"""The first bytes of images of any size: all that a size is read from."""

import struct


def png(width: int, height: int) -> bytes:
    """A PNG up to its header chunk."""
    return (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + struct.pack(">II", width, height) + b"\x08\x06"
    )


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x00\x00\x00"


def jpeg(width: int, height: int, before: int = 0, marker: int = 0xC0) -> bytes:
    """A JPEG up to its frame, with `before` bytes of application data in front of it."""
    app = b"\xff\xe1" + struct.pack(">H", before + 2) + b"\x00" * before if before else b""
    frame = b"\xff" + bytes([marker]) + struct.pack(">HBHHB", 17, 8, height, width, 3)
    return b"\xff\xd8" + app + b"\xff\xff" + b"\xff\xdb\x00\x04\x00\x00" + frame + b"\x00" * 9


def webp_lossy(width: int, height: int) -> bytes:
    return _webp(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height))


def webp_lossless(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return _webp(b"VP8L", b"\x2f" + struct.pack("<I", bits))


def webp_extended(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return _webp(b"VP8X", b"\x00\x00\x00\x00" + size)


def _webp(kind: bytes, content: bytes) -> bytes:
    return b"RIFF\x00\x00\x00\x00WEBP" + kind + struct.pack("<I", len(content)) + content
