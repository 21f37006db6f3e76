"""How large an image is, from its first bytes."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.image_sizes import (
    HEADER_BYTES_MAX,
    Size,
    image_kind,
    image_size,
    size_of_base64,
    size_of_data_url,
)
from tests.gateway import images

Made = Callable[[int, int], bytes]
MAKERS: dict[str, Made] = {
    "image/png": images.png,
    "image/gif": images.gif,
    "image/jpeg": images.jpeg,
    "image/webp": images.webp_lossy,
}


@pytest.mark.parametrize(
    "made",
    [
        *MAKERS.values(),
        images.webp_lossless,
        images.webp_extended,
        lambda width, height: images.jpeg(width, height, before=60_000),
        lambda width, height: images.jpeg(width, height, marker=0xC2),
    ],
)
def test_the_size_stands_in_the_first_bytes(made: Made) -> None:
    assert image_size(made(640, 481)) == Size(640, 481)
    assert image_size(made(1, 1)) == Size(1, 1)
    assert image_size(made(16_383, 9)) == Size(16_383, 9)


@pytest.mark.parametrize(("kind", "made"), MAKERS.items())
def test_the_kind_does_too(kind: str, made: Made) -> None:
    assert image_kind(made(3, 4)) == kind
    for length in range(10):
        assert image_size(made(300, 400)[:length]) is None


def test_what_is_no_size_is_none() -> None:
    assert image_size(images.png(0, 5)) is None
    assert image_size(b"<svg/>") is None
    assert image_size(images.jpeg(3, 4, before=65_533)[: HEADER_BYTES_MAX - 9]) is None
    assert image_size(b"\xff\xd8\xff" + b"\x00" * 64) is None


def test_base64_and_data_urls_are_decoded_no_further_than_needed() -> None:
    data = base64.b64encode(images.jpeg(640, 480, before=50_000) + b"x" * 1_000_000).decode()
    assert size_of_base64(data) == Size(640, 480)
    assert size_of_data_url(f"data:image/jpeg;base64,{data}") == Size(640, 480)
    assert size_of_base64("not base64 ä") is None
    for url in ("https://example.org/a.png", "data:image/png,abc", "data:;base64,", "data:"):
        assert size_of_data_url(url) is None


@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"RIFFxxxxWEBPVP8 "]),
    st.binary(max_size=300),
)
def test_no_bytes_whatever_bring_it_down(start: bytes, rest: bytes) -> None:
    size = image_size(start + rest)
    assert size is None or (size.width > 0 and size.height > 0)
    assert size_of_base64(base64.b64encode(start + rest).decode()) == size
