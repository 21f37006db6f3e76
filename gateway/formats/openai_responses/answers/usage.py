"""What a provider says was used, in the words of Responses, as the ledger's classes and back.

Source: https://platform.openai.com/docs/api-reference/responses/object (usage). Cached and
cache-written tokens lie within `input_tokens`, reasoning within `output_tokens`. Some gateways tell
it in the words of chat completions.
"""

from functools import partial
from typing import Any

from gateway.formats.shared import usage_reader
from gateway.formats.shared.usage_table import (
    AS_DOCUMENTED,
    CACHE_BESIDE_PROMPT,
    PARTS_ABOVE_WHOLE,
    Row,
    UsageTable,
    paths,
)
from ledger.usage import Usage

TABLE = UsageTable(
    wholes={
        "input": paths("input_tokens", "prompt_tokens"),
        "output": paths("output_tokens", "completion_tokens"),
    },
    total=paths("total_tokens"),
    rows=(
        Row(
            kind="cache_read",
            within="input",
            paths=paths(
                "input_tokens_details.cached_tokens",
                "prompt_tokens_details.cached_tokens",
                # https://docs.perplexity.ai/api-reference/responses-post
                "input_tokens_details.cache_read_input_tokens",
            ),
            above=PARTS_ABOVE_WHOLE,
            beside_as=CACHE_BESIDE_PROMPT,
        ),
        Row(
            kind="cache_write_5m",
            within="input",
            paths=paths(
                "input_tokens_details.cache_write_tokens",
                "prompt_tokens_details.cache_write_tokens",
            ),
            above=PARTS_ABOVE_WHOLE,
            beside_as=CACHE_BESIDE_PROMPT,
        ),
        Row(
            kind="reasoning",
            within="output",
            paths=paths(
                "output_tokens_details.reasoning_tokens",
                "completion_tokens_details.reasoning_tokens",
            ),
            above=PARTS_ABOVE_WHOLE,
            beside_as=AS_DOCUMENTED,  # of xAI
        ),
    ),
)

read_usage = partial(usage_reader.read_usage, TABLE)
"""The usage in a decoded `usage` value, and what is wrong with it; see `usage_reader.Read`."""


def write_usage(usage: Usage) -> dict[str, Any]:
    """`usage` in the words of Responses."""
    written = usage.cache_write_5m + usage.cache_write_1h
    given = usage.input + usage.cache_read + written + usage.audio_in + usage.image_in
    made = usage.output + usage.reasoning + usage.audio_out + usage.image_out
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": given + made,
    }
