"""A request's body from the ASGI channel: bounded in bytes, in time, and after decompression.

The budget is one number for what arrives on the wire and for what it unfolds to, so neither a
large body nor a small bomb can take more memory than that.
"""

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

import brotli
import zstandard

from gateway.errors import InvalidRequest, RequestTimeout, RequestTooLarge, UnsupportedMediaType

Headers = Iterable[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class ClientGone(Exception):
    """The client closed the connection; there is nobody left to answer."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What one body may take; each route has its own."""

    max_bytes: int = 32 * 1024 * 1024
    total_s: float = 300.0
    grace_s: float = 5.0
    """Time before the rate is looked at."""
    min_bytes_per_s: float = 1_000.0


async def read_body(headers: Headers, receive: Receive, limits: BodyLimits) -> bytes:
    """The whole body, decoded.

    Raises RequestTooLarge, UnsupportedMediaType (an encoding that is not identity, gzip, br or
    zstd, or more than one), InvalidRequest (not what its encoding says), RequestTimeout, and
    ClientGone.
    """
    announced_bytes, encoding = _framing(headers)
    if announced_bytes > limits.max_bytes:
        _refuse_size(limits)
    first = _Started(receive())
    if first.message is not None and not encoding and not first.message.get("more_body"):
        return _only_piece(first.message, limits)
    return await _read_pieces(first, receive, limits, encoding)


def _only_piece(message: Message, limits: BodyLimits) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGone
    data = bytes(message.get("body", b""))
    if len(data) > limits.max_bytes:
        _refuse_size(limits)
    return data


async def _read_pieces(
    receiving: Awaitable[Message], receive: Receive, limits: BodyLimits, encoding: bytes
) -> bytes:
    body = _Body(limits, _DECODERS[encoding]() if encoding else None)
    began_s = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(began_s + min(limits.grace_s, limits.total_s)) as deadline:
            while True:
                message = await receiving
                if message["type"] == "http.disconnect":
                    raise ClientGone
                await body.take(message.get("body", b""))
                if not message.get("more_body"):
                    return body.whole()
                earned_s = limits.grace_s + body.wire_bytes / limits.min_bytes_per_s
                deadline.reschedule(began_s + min(earned_s, limits.total_s))
                receiving = receive()
    except TimeoutError as error:
        raise RequestTimeout("The request body did not arrive in time.") from error


class _Started:
    """A `receive` taken up to where it would wait, and awaited from there.

    Mostly the body came with the headers and nothing waits at all; then there is nothing to put
    a deadline on, and the deadline would have cost more than the rest of the reading.
    """

    def __init__(self, receiving: Awaitable[Message]) -> None:
        self.message: Message | None = None
        self._waiting_for: object = None
        self._steps = receiving.__await__()
        try:
            self._waiting_for = next(self._steps)
        except StopIteration as done:
            self.message = done.value

    def __await__(self) -> Generator[object, None, Message]:
        if self.message is not None:
            return self.message
        try:
            yield self._waiting_for
        except BaseException:  # cancelled, for instance by the deadline
            self._steps.close()
            raise
        return (yield from self._steps)


def require_json_type(headers: Headers) -> None:
    """Refuse (UnsupportedMediaType) a body that is not announced as JSON in UTF-8."""
    given = [value for name, value in headers if name == b"content-type"]
    if len(given) == 1 and (given[0] == b"application/json" or _is_json_in_utf8(given[0])):
        return
    raise UnsupportedMediaType("The Content-Type must be application/json, in UTF-8.")


def _is_json_in_utf8(content_type: bytes) -> bool:
    media_type, *parameters = content_type.lower().split(b";")
    if not _JSON_TYPE.fullmatch(media_type.strip()):
        return False
    pairs = [parameter.partition(b"=") for parameter in parameters]
    charsets = [value.strip().strip(b'"') for name, _, value in pairs if name.strip() == b"charset"]
    return all(charset in (b"utf-8", b"utf8") for charset in charsets)


_JSON_TYPE = re.compile(rb"application/(?:json|[a-z0-9.!#$&^_-]+\+json)")


class _Body:
    """What has arrived so far, decoded, and counted against the budget."""

    def __init__(self, limits: BodyLimits, decoder: "_Decoder | None") -> None:
        self.wire_bytes = 0
        self._limits = limits
        self._decoder = decoder
        self._decoded = bytearray()
        self._decoded_since_pause_bytes = 0

    async def take(self, data: bytes) -> None:
        self.wire_bytes += len(data)
        if self.wire_bytes > self._limits.max_bytes:
            _refuse_size(self._limits)
        if self._decoder is None:
            self._decoded += data
            return
        try:
            for piece in self._decoder.feed(data):
                self._decoded += piece
                if len(self._decoded) > self._limits.max_bytes:
                    _refuse_size(self._limits)
                await self._let_others_run(len(piece))
        except _CORRUPT as error:
            raise InvalidRequest(_CORRUPT_MESSAGE) from error

    async def _let_others_run(self, decoded_bytes: int) -> None:
        """A little of a bomb is a lot of work: other requests get their turn in between."""
        self._decoded_since_pause_bytes += decoded_bytes
        if self._decoded_since_pause_bytes >= _PIECE_MAX_BYTES:
            self._decoded_since_pause_bytes = 0
            await asyncio.sleep(0)

    def whole(self) -> bytes:
        if self._decoder is not None and not self._decoder.is_complete():
            raise InvalidRequest(_CORRUPT_MESSAGE)
        return bytes(self._decoded)


def _framing(headers: Headers) -> tuple[int, bytes]:
    """The announced length (0 where it is not) and the encoding (empty for identity)."""
    announced_bytes = 0
    encoding = b""
    encodings = 0
    for name, value in headers:
        if name == b"content-length":
            announced_bytes = _length(value)
        elif name == b"content-encoding":
            encodings += 1
            encoding = value.strip().lower()
    if encoding == b"identity":
        encoding = b""
    if encodings > 1 or (encoding and encoding not in _DECODERS):
        raise UnsupportedMediaType("The Content-Encoding must be one of gzip, br and zstd.")
    return announced_bytes, encoding


def _length(value: bytes) -> int:
    # Twenty digits are more than any budget, and int() of thousands would not be cheap.
    if not value.isdigit() or len(value) > 20:
        raise InvalidRequest("The Content-Length is not a length.", param="Content-Length")
    return int(value)


def _refuse_size(limits: BodyLimits) -> None:
    raise RequestTooLarge(f"The request body is larger than {limits.max_bytes} bytes.")


class _Decoder(Protocol):
    """One Content-Encoding, undone piece by piece."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` unfolds to, in pieces of bounded size; raises one of _CORRUPT."""

    def is_complete(self) -> bool:
        """Whether the data so far ends where its format says it ends."""


class _Gzip:
    """RFC 1952, several members included."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._untouched = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            self._untouched = False
            yield self._member.decompress(data, _PIECE_MAX_BYTES)
            data = self._member.unconsumed_tail or self._member.unused_data
        # A piece of full size may leave more in the window than the input shows.
        while not self._member.eof and (piece := self._member.decompress(b"", _PIECE_MAX_BYTES)):
            yield piece

    def is_complete(self) -> bool:
        return self._member.eof and not self._untouched


class _Brotli:
    """RFC 7932."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or not self._stream.is_finished():
            piece = self._stream.process(data, output_buffer_limit=_PIECE_MAX_BYTES)
            if not (data or piece):
                return
            yield piece
            data = b""  # taken whole; what it unfolds to comes out over several calls

    def is_complete(self) -> bool:
        return bool(self._stream.is_finished())


class _Zstd:
    """RFC 8878. One block, 4 bytes at least, unfolds to 128 KB at most: small slices bound it."""

    def __init__(self) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX_BYTES)
        self._frame = decompressor.decompressobj()

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_SLICE_BYTES):
            yield self._frame.decompress(data[start : start + _ZSTD_SLICE_BYTES])
            if self._frame.unused_data:
                raise zstandard.ZstdError("data after the end of the frame")

    def is_complete(self) -> bool:
        return self._frame.eof


_PIECE_MAX_BYTES = 256 * 1024
_ZSTD_SLICE_BYTES = 64
_ZSTD_WINDOW_MAX_BYTES = 8 * 1024 * 1024
"""What RFC 8878 (3.1.1.1.2) asks every decoder to support, and lets it refuse beyond."""

_DECODERS: dict[bytes, Callable[[], _Decoder]] = {
    b"gzip": _Gzip,
    b"x-gzip": _Gzip,
    b"br": _Brotli,
    b"zstd": _Zstd,
}
_CORRUPT = (zlib.error, brotli.error, zstandard.ZstdError)
_CORRUPT_MESSAGE = "The request body is not what its Content-Encoding says."
