"""Reading a body from the ASGI channel: sizes, encodings, time, and clients that leave."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Callable, MutableMapping
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    GatewayError,
    InvalidRequest,
    RequestTimeout,
    RequestTooLarge,
    UnsupportedMediaType,
)
from gateway.http.body import BodyLimits, ClientGone, Receive, read_body, require_json_type

SMALL = BodyLimits(max_bytes=1_000)
IMPATIENT = BodyLimits(total_s=0.2, grace_s=0.05, min_bytes_per_s=1_000)

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


class Channel:
    """An ASGI `receive` that hands out pieces, and then stalls or reports a disconnect."""

    def __init__(self, *pieces: bytes, ends: str = "complete", pause_s: float = 0.0) -> None:
        self.pieces = list(pieces)
        self.ends = ends
        self.pause_s = pause_s
        self.received = 0

    async def __call__(self) -> MutableMapping[str, Any]:
        if self.pause_s:
            await asyncio.sleep(self.pause_s)
        self.received += 1
        if not self.pieces and self.ends == "stall":
            await asyncio.Event().wait()
        if not self.pieces and self.ends == "disconnect":
            return {"type": "http.disconnect"}
        body = self.pieces.pop(0) if self.pieces else b""
        more_body = bool(self.pieces) or self.ends != "complete"
        return {"type": "http.request", "body": body, "more_body": more_body}


def read(
    receive: Receive, limits: BodyLimits | None = None, headers: dict[str, str] | None = None
) -> bytes:
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return asyncio.run(read_body(raw, receive, limits or BodyLimits()))


def split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_a_body_in_one_piece_is_read() -> None:
    assert read(Channel(b"{}"), headers={"content-length": "2"}) == b"{}"


@pytest.mark.parametrize("pause_s", [0.0, 0.001])
def test_a_body_in_pieces_is_joined(pause_s: float) -> None:
    assert read(Channel(b"ab", b"", b"c", b"de", pause_s=pause_s)) == b"abcde"


@pytest.mark.parametrize("pieces", [[], [b"abc"]])
def test_a_cancelled_reader_is_cancelled(pieces: list[bytes]) -> None:
    async def cancel() -> None:
        reader = asyncio.ensure_future(read_body([], Channel(*pieces, ends="stall"), BodyLimits()))
        await asyncio.sleep(0.01)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

    asyncio.run(cancel())


def test_an_empty_body_is_empty() -> None:
    assert read(Channel()) == b""


def test_b064_an_announced_excess_is_refused_before_reading() -> None:
    channel = Channel(b"x" * 2_000)
    with pytest.raises(RequestTooLarge):
        read(channel, SMALL, {"content-length": "2000"})
    assert channel.received == 0


@pytest.mark.parametrize("pieces", [[b"x" * 1_001], [b"x" * 600] * 100])
def test_b065_an_unannounced_excess_stops_at_the_cap(pieces: list[bytes]) -> None:
    channel = Channel(*pieces)
    with pytest.raises(RequestTooLarge):
        read(channel, SMALL)
    assert channel.received <= 2


def test_a_body_of_exactly_the_cap_is_read() -> None:
    assert len(read(Channel(b"x" * 1_000), SMALL, {"content-length": "1000"})) == 1_000
    assert len(read(Channel(b"x" * 400, b"x" * 600), SMALL)) == 1_000


@pytest.mark.parametrize("length", ["", "+5", "-1", "5, 5", "1" * 5_000, "\N{SUPERSCRIPT TWO}"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    with pytest.raises(InvalidRequest):
        read(Channel(b"hello"), headers={"content-length": length})


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_b062_a_compressed_body_is_decoded_in_pieces_of_any_size(encoding: str, size: int) -> None:
    plain = b"".join(b"message %d; " % number for number in range(2_000))
    pieces = split(COMPRESS[encoding](plain), size)
    assert read(Channel(*pieces), headers={"content-encoding": encoding.upper()}) == plain


@pytest.mark.parametrize("encoding", COMPRESS)
def test_a_large_well_compressed_body_is_decoded_whole(encoding: str) -> None:
    plain = bytes(3 * 1024 * 1024)
    assert read(Channel(COMPRESS[encoding](plain)), headers={"content-encoding": encoding}) == plain


@pytest.mark.parametrize("encoding", COMPRESS)
def test_b063_a_bomb_stops_at_the_cap(encoding: str) -> None:
    bomb = COMPRESS[encoding](bytes(30_000_000))
    assert len(bomb) < 40_000
    tracemalloc.start()
    try:
        with pytest.raises(RequestTooLarge):
            read(
                Channel(*split(bomb, 65_536)),
                BodyLimits(max_bytes=1_000_000),
                {"content-encoding": encoding},
            )
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20_000_000


def test_a_compressed_excess_on_the_wire_is_refused() -> None:
    noise = b"".join(bytes([number * 7 % 251, number * 11 % 241]) for number in range(5_000))
    with pytest.raises(RequestTooLarge):
        read(Channel(gzip.compress(noise)), SMALL, {"content-encoding": "gzip"})


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:0],
        lambda data: data[:-5],
        lambda data: data + b"trailing",
        lambda data: b"\x00" + data,
        lambda data: b"{}" + data[:0],
    ],
    ids=["empty", "truncated", "trailing", "shifted", "not compressed"],
)
def test_a_corrupt_compressed_body_is_an_invalid_value(
    encoding: str, damage: Callable[[bytes], bytes]
) -> None:
    body = damage(COMPRESS[encoding](b'{"model":"m"}' * 10))
    with pytest.raises(InvalidRequest) as refusal:
        read(Channel(body), headers={"content-encoding": encoding})
    assert (refusal.value.status, refusal.value.code) == (400, "invalid_value")


def test_gzip_members_follow_each_other() -> None:
    body = gzip.compress(b"ab") + gzip.compress(b"cd")
    for size in (1, 1_000):
        assert read(Channel(*split(body, size)), headers={"content-encoding": "gzip"}) == b"abcd"


@pytest.mark.parametrize(
    "encoding", ["deflate", "compress", "gzip, gzip", "identity, gzip", "utf-8", "gzip;q=1"]
)
def test_an_encoding_we_do_not_read_is_unsupported(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        read(Channel(zlib.compress(b"{}")), headers={"content-encoding": encoding})


def test_two_encodings_in_two_headers_are_unsupported() -> None:
    headers = [(b"content-encoding", b"gzip"), (b"content-encoding", b"gzip")]
    with pytest.raises(UnsupportedMediaType):
        asyncio.run(read_body(headers, Channel(gzip.compress(b"{}")), BodyLimits()))


@pytest.mark.parametrize("encoding", ["identity", ""])
def test_identity_is_plain(encoding: str) -> None:
    assert read(Channel(b"{}"), headers={"content-encoding": encoding}) == b"{}"


@pytest.mark.parametrize("pieces", [[], [b"abc"]])
def test_b066_a_body_that_stalls_is_timed_out(pieces: list[bytes]) -> None:
    with pytest.raises(RequestTimeout):
        read(Channel(*pieces, ends="stall"), IMPATIENT)


def test_b071_a_body_slower_than_the_minimum_is_timed_out() -> None:
    with pytest.raises(RequestTimeout):
        read(Channel(*[b"x"] * 100, pause_s=0.02), BodyLimits(grace_s=0.05, min_bytes_per_s=500))


def test_a_slow_body_above_the_minimum_is_read() -> None:
    limits = BodyLimits(grace_s=0.05, min_bytes_per_s=100)
    assert len(read(Channel(*[b"x" * 50] * 10, pause_s=0.02), limits)) == 500


def test_the_whole_body_has_a_deadline_however_fast_it_comes() -> None:
    limits = BodyLimits(total_s=0.2, grace_s=0.05, min_bytes_per_s=1)
    with pytest.raises(RequestTimeout):
        read(Channel(*[b"x" * 1_000] * 1_000, pause_s=0.01), limits)


@pytest.mark.parametrize("pieces", [[], [b"abc"]])
def test_a_client_that_leaves_is_gone_and_no_error_of_ours(pieces: list[bytes]) -> None:
    with pytest.raises(ClientGone) as gone:
        read(Channel(*pieces, ends="disconnect"))
    assert not isinstance(gone.value, GatewayError)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json; profile=x; charset=utf8",
        "application/vnd.api+json",
    ],
)
def test_a_json_type_is_accepted(content_type: str) -> None:
    require_json_type([(b"content-type", content_type.encode())])


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json, text/plain",
        "application/jsonp",
        "text/json",
    ],
)
def test_b061_another_type_or_none_is_unsupported(content_type: str | None) -> None:
    headers = [] if content_type is None else [(b"content-type", content_type.encode())]
    with pytest.raises(UnsupportedMediaType) as refusal:
        require_json_type(headers)
    assert refusal.value.status == 415


def test_two_content_types_are_unsupported() -> None:
    with pytest.raises(UnsupportedMediaType):
        require_json_type([(b"content-type", b"application/json")] * 2)


@given(st.sampled_from(sorted(COMPRESS)), st.binary(max_size=2_000), st.integers(1, 500))
def test_whatever_was_compressed_is_read_back(encoding: str, plain: bytes, size: int) -> None:
    channel = Channel(*split(COMPRESS[encoding](plain), size))
    assert read(channel, headers={"content-encoding": encoding}) == plain


@given(
    st.sampled_from(sorted(COMPRESS)),
    st.binary(max_size=500),
    st.lists(st.tuples(st.integers(0), st.binary(max_size=3)), min_size=1, max_size=4),
)
def test_a_mutated_compressed_body_is_read_or_refused_and_nothing_else(
    encoding: str, plain: bytes, edits: list[tuple[int, bytes]]
) -> None:
    body = bytearray(COMPRESS[encoding](plain))
    for place, replacement in edits:
        start = place % (len(body) + 1)
        body[start : start + 1] = replacement
    try:
        decoded = read(Channel(bytes(body)), headers={"content-encoding": encoding})
    except GatewayError:
        return
    assert len(decoded) <= BodyLimits().max_bytes
