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
    # The second words are those of Responses, in which some gateways tell chat completions as well.
    wholes={
        "input": paths("prompt_tokens", "input_tokens"),
        "output": paths("completion_tokens", "output_tokens"),
    },
    total=paths("total_tokens"),
    rows=(
        Row(
            kind="cache_read",
            within="input",
            paths=paths(
                "prompt_tokens_details.cached_tokens",
                "input_tokens_details.cached_tokens",
                # https://api-docs.deepseek.com/guides/kv_cache
                "prompt_cache_hit_tokens",
                # https://platform.moonshot.ai/docs/api/chat
                "cached_tokens",
                # https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference
                "cache_read_input_tokens",
                # xAI, before it told details
                "cached_prompt_text_tokens",
            ),
            above=CACHED_ABOVE_PROMPT,
            beside_as=CACHE_BESIDE_PROMPT,
        ),
        Row(
            kind="cache_write_5m",
            within="input",
            paths=paths(
                "prompt_tokens_details.cache_write_tokens",
                "input_tokens_details.cache_write_tokens",
            ),
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
            paths=paths(
                "completion_tokens_details.reasoning_tokens",
                "output_tokens_details.reasoning_tokens",
                # https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference
                "reasoning_tokens",
            ),
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

BILLED_UNITS = UsageTable(
    wholes={
        "input": paths("billed_units.input_tokens"),
        "output": paths("billed_units.output_tokens"),
    },
    rows=(),
)
"""https://docs.cohere.com/reference/chat: what Cohere bills; the tokens it tells besides have its
own instructions, and the cached ones are of those."""


DEEP_RESEARCH = UsageTable(
    wholes={"input": paths("prompt_tokens"), "output": paths("completion_tokens")},
    total=paths("total_tokens"),
    rows=(
        Row(kind="input", paths=paths("citation_tokens"), is_beside_total=True),
        Row(kind="reasoning", paths=paths("reasoning_tokens"), is_beside_total=True),
    ),
)
"""https://docs.perplexity.ai/getting-started/pricing: what was read of sources and what was thought
lie beside prompt, completion and total."""

_OWN_TABLES = {"billed_units": BILLED_UNITS, "citation_tokens": DEEP_RESEARCH}
"""By the member that only these vendors have."""


def read_usage(told: object) -> usage_reader.Read:
    """The usage in a decoded `usage` value, and what is wrong with it."""
    if type(told) is dict:
        for name, own in _OWN_TABLES.items():
            if told.get(name) is not None:
                return usage_reader.read_usage(own, told)
    return usage_reader.read_usage(TABLE, told)


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
