"""How many tokens media have: by vendors' formulas where the size is known, else by constants."""

import base64
import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.formats.registry import FORMATS
from gateway.media.image_sizes import Size
from gateway.media.tokens import MediaTokens, image
from tests.gateway import images

MOST = 5_000


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        # The examples of OpenAI's guide.
        ("gpt-4o", Size(1_024, 1_024), "high", 765),
        ("gpt-4o", Size(2_048, 4_096), "high", 1_105),
        ("gpt-4o", Size(4_096, 8_192), "low", 85),
        ("gpt-4.1-mini", Size(1_024, 1_024), "", 1_659),
        # What providers billed, as others measured it.
        ("gpt-4.1", Size(2_049, 513), "", 1_445),
        ("gpt-4o-mini", Size(128, 64), "high", 8_500),
        ("gpt-4o-mini", Size(128, 64), "low", 2_833),
        ("o3-2025-04-16", Size(128, 64), "", 225),
        ("gpt-4.1-mini", Size(4_000, 1_474), "", 2_489),
        ("gpt-5-nano", Size(576, 768), "", 648),
        ("gpt-5.4-mini", Size(4_000, 4_000), "", 1_844),
        ("gpt-6-astra", Size(4_032, 3_024), "auto", 14_364),
        ("gpt-5.5", Size(1_920, 1_080), "auto", 2_448),
        ("openai/gpt-5", Size(512, 512), "", 210),
        ("gpt-5.1-2025-11-13", Size(512, 513), "", 350),
        ("gemini-2.5-flash", Size(384, 384), "", 258),
        ("gemini-2.0-flash", Size(960, 540), "", 258 * 6),
    ],
)
def test_an_image_of_known_size_has_what_its_vendor_documents(
    model: str, size: Size, detail: str, tokens: int
) -> None:
    assert image(model, size, detail, MOST) == MediaTokens(tokens, tokens)


def test_claude_counts_by_the_pixel_and_never_beyond_its_bound() -> None:
    known = image("claude-sonnet-4-5", Size(1_000, 750), "", MOST)
    assert known.likely == 1_000
    assert 1_000 < known.most < 1_200
    assert image("claude-opus-4", Size(8_000, 8_000), "", MOST) == MediaTokens(MOST, 1_568)


def test_what_is_unknown_has_the_bound_and_an_estimate_below_it() -> None:
    assert image("m", None, "", MOST) == MediaTokens(MOST, 520)
    assert image("m", Size(10, 10), "", MOST) == MediaTokens(MOST, 520)
    assert image("m", None, "low", 85) == MediaTokens(85, 85)
    assert image("gpt-4o", None, "", MOST) == MediaTokens(MOST, 765)
    assert image("gpt-4o-mini", None, "", MOST).most == 2_833 + 8 * 5_667
    assert image("claude-opus-4", None, "", MOST) == MediaTokens(MOST, 520)
    assert image("gemini-3-pro", None, "", 7_000) == MediaTokens(2_240, 1_120)


def png(width: int, height: int) -> str:
    return base64.b64encode(images.png(width, height)).decode()


REQUESTS: dict[str, Any] = {
    "openai_chat": lambda data: {
        "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}]}]
    },
    "openai_responses": lambda data: {
        "input": [{"role": "user", "content": [
            {"type": "input_image", "image_url": f"data:image/png;base64,{data}"}]}]
    },
    "anthropic_messages": lambda data: {
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "image", "source": {
            "type": "base64", "media_type": "image/png", "data": data}}]}]
    },
    "gemini": lambda data: {
        "contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}]
    },
}  # fmt: skip


@pytest.mark.parametrize("format_name", REQUESTS)
def test_every_format_reads_the_size_and_counts_by_the_models_name(format_name: str) -> None:
    def fixed(width: int, height: int, model: str) -> tuple[int, int]:
        document = REQUESTS[format_name](png(width, height)) | {"model": model}
        asked_format = FORMATS[format_name]
        call = asked_format.read_request(document, json.dumps(document).encode())
        if format_name == "gemini":  # its model stands in the path
            call = replace(call, model=model)
        prompt = asked_format.prompt(call)
        return prompt.fixed_tokens, prompt.estimated_tokens

    small, large = fixed(512, 512, "gpt-4o"), fixed(1_024, 1_024, "gpt-4o")
    assert large[0] - small[0] == large[1] - small[1] == 3 * 170
    most, likely = fixed(512, 512, "mine")
    assert most - likely > 3_000
    assert likely >= 520


def test_unseen_media_are_estimated_by_constants_and_bounded_above_them() -> None:
    chat = FORMATS["openai_chat"]
    parts = [
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "input_audio", "input_audio": {"data": "A" * 400_000, "format": "mp3"}},
        {"type": "video_url", "video_url": {"url": "https://a/b.mp4"}},
    ]
    document = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    prompt = chat.prompt(chat.read_request(document, json.dumps(document).encode()))
    assert 4_096 + 256 + 8_192 <= prompt.estimated_tokens < 4_096 + 256 + 8_192 + 100
    assert prompt.fixed_tokens > 100_000
