"""What Gemini says was used, as the ledger's disjoint classes, and back.

Source: https://ai.google.dev/api/generate-content#UsageMetadata. Cached tokens lie within
`promptTokenCount`; thoughts lie beside `candidatesTokenCount`, and so does what tools read:
total = prompt + candidates + thoughts + toolUsePrompt. In a stream every chunk tells a usage, and
the last one counts as a whole: it may leave out what an earlier one had.
"""

from functools import partial
from typing import Any

from gateway.formats.gemini.vocabulary import member
from gateway.formats.shared import usage_reader
from gateway.formats.shared.usage_table import (
    CACHE_BESIDE_PROMPT,
    CACHED_ABOVE_PROMPT,
    Path,
    Row,
    UsageTable,
    paths,
)
from ledger.usage import Usage


def _of(details: str, modality: str) -> Path:
    return Path(details, ("tokenCount",), ("modality", modality))


TABLE = UsageTable(
    wholes={"input": paths("promptTokenCount"), "output": paths("candidatesTokenCount")},
    total=paths("totalTokenCount"),
    rows=(
        Row(
            kind="cache_read",
            within="input",
            paths=paths("cachedContentTokenCount"),
            above=CACHED_ABOVE_PROMPT,
            beside_as=CACHE_BESIDE_PROMPT,
        ),
        Row(
            kind="audio_in",
            within="input",
            paths=(_of("promptTokensDetails", "AUDIO"),),
            less=_of("cacheTokensDetails", "AUDIO"),
        ),
        Row(kind="input", paths=paths("toolUsePromptTokenCount"), inside="input"),
        Row(kind="image_out", within="output", paths=(_of("candidatesTokensDetails", "IMAGE"),)),
        Row(kind="audio_out", within="output", paths=(_of("candidatesTokensDetails", "AUDIO"),)),
        Row(kind="reasoning", paths=paths("thoughtsTokenCount"), inside="output"),
    ),
    output_left_out="always",
    without_input=None,  # blocked before it was read: nothing is told, nothing was used
    hides_thoughts=True,
    keeps_total_below=True,
    member=member,
)

read_usage = partial(usage_reader.read_usage, TABLE)
"""The usage in a decoded `usageMetadata`, and what is wrong with it; see `usage_reader.Read`."""


def write_usage(usage: Usage) -> dict[str, Any]:
    """`usage` in Gemini's words."""
    written = usage.cache_write_5m + usage.cache_write_1h
    prompt = usage.input + usage.cache_read + written + usage.audio_in + usage.image_in
    candidates = usage.output + usage.audio_out + usage.image_out
    told = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": candidates,
        "totalTokenCount": prompt + candidates + usage.reasoning,
    }
    if usage.cache_read:
        told["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        told["thoughtsTokenCount"] = usage.reasoning
    return told
