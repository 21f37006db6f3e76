"""What a provider says was used, in OpenAI's words, as the ledger's disjoint classes and back.

Source: https://platform.openai.com/docs/api-reference/chat/object (usage). OpenAI counts cached,
cache-written, audio and image tokens within `prompt_tokens`, and reasoning, audio and image tokens
within `completion_tokens`. Providers that speak the format differ, and their totals tell how:

- xAI, and Gemini behind some gateways: reasoning is not within completion
  (total = prompt + completion + reasoning, or reasoning > completion).
- Mistral: audio is not within prompt (total = prompt + completion + audio).
- Gemini: thoughts appear in the total alone (total > prompt + completion); they are reasoning where
  nothing else could be what the total has more.
- Some gateways: the cache is not within prompt (total = prompt + completion + cached).
- Grok on Azure: cached exceeds prompt; there cannot have been more than the prompt.
"""

from functools import partial
from typing import Any

from gateway.formats.shared import usage_reader
from gateway.formats.shared.usage_table import (
    AS_DOCUMENTED,
    CACHE_BESIDE_PROMPT,
    CACHED_ABOVE_PROMPT,
    PARTS_BESIDE_WHOLE,
    Row,
    UsageTable,
    paths,
)
from ledger.usage import Usage

TABLE = UsageTable(
    wholes={"input": paths("prompt_tokens"), "output": paths("completion_tokens")},
    total=paths("total_tokens"),
    rows=(
        Row(
            kind="cache_read",
            within="input",
            paths=paths(
                "prompt_tokens_details.cached_tokens",
                # https://api-docs.deepseek.com/guides/kv_cache
                "prompt_cache_hit_tokens",
                # https://platform.moonshot.ai/docs/api/chat
                "cached_tokens",
            ),
            above=CACHED_ABOVE_PROMPT,
            beside_as=CACHE_BESIDE_PROMPT,
        ),
        Row(
            kind="cache_write_5m",
            within="input",
            paths=paths("prompt_tokens_details.cache_write_tokens"),
            beside_as=CACHE_BESIDE_PROMPT,
        ),
        Row(
            kind="audio_in",
            within="input",
            paths=paths("prompt_tokens_details.audio_tokens"),
            beside_as=AS_DOCUMENTED,  # of Mistral
            is_beside_above=True,
        ),
        Row(
            kind="image_in",
            within="input",
            paths=paths("prompt_tokens_details.image_tokens"),
            beside_as=PARTS_BESIDE_WHOLE,
        ),
        Row(
            kind="reasoning",
            within="output",
            paths=paths("completion_tokens_details.reasoning_tokens"),
            beside_as=AS_DOCUMENTED,  # https://docs.x.ai/docs/guides/reasoning
            is_beside_above=True,
        ),
        Row(
            kind="audio_out",
            within="output",
            paths=paths("completion_tokens_details.audio_tokens"),
            beside_as=PARTS_BESIDE_WHOLE,
        ),
        Row(
            kind="image_out",
            within="output",
            paths=paths("completion_tokens_details.image_tokens"),
            beside_as=PARTS_BESIDE_WHOLE,
        ),
    ),
    output_left_out="where_total_tells",  # Gemini leaves a zero out
    hides_thoughts=True,
)

read_usage = partial(usage_reader.read_usage, TABLE)
"""The usage in a decoded `usage` value, and what is wrong with it; see `usage_reader.Read`."""


def write_usage(usage: Usage) -> dict[str, Any]:
    """`usage` in OpenAI's words."""
    written = usage.cache_write_5m + usage.cache_write_1h
    prompt = usage.input + usage.cache_read + written + usage.audio_in + usage.image_in
    completion = usage.output + usage.reasoning + usage.audio_out + usage.image_out
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
            "audio_tokens": usage.audio_in,
            "image_tokens": usage.image_in,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_out,
            "image_tokens": usage.image_out,
        },
    }
