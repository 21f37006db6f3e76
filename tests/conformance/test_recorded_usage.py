"""Usage of every recorded answer, as three others read it: `genai-prices`, and the vendors' SDKs by
their types. They share nothing with our tables.
"""

import json
from typing import Any

import pytest
from anthropic.types import Usage as AnthropicUsage
from google.genai.types import GenerateContentResponseUsageMetadata
from openai.types import CompletionUsage
from openai.types.responses import ResponseUsage

from gateway.formats.shared.openai_usage import read_usage
from ledger.pricing import output_tokens, prompt_tokens
from ledger.usage import Usage
from tests.conformance.test_recorded_charges import (
    FLAVORS,
    last_of,
    nested,
    our_usage,
    their_usage,
)
from tests.recorded import Recording, recordings

Counts = dict[str, int]
"""Tokens: `input` and `output` as wholes, and of them `cache_read`, `cache_write`, `reasoning`."""

WITHOUT_USAGE = {"gemini-generate-gemini-model-armor-block": "blocked before the model"}
ANSWERED = [
    one
    for prefix in FLAVORS
    for one in recordings(prefix)
    if one.status == 200 and one.name not in WITHOUT_USAGE
]

ITERATIONS = "anthropic-messages-anthropic-usage-iterations-compaction-advisor"
THEY_DIFFER = {
    ("genai-prices", ITERATIONS): "leaves out model calls behind the message, which are billed",
    ("SDK", ITERATIONS): "its totals leave out model calls behind the message, which are billed",
}
"""By reader and recording: why ours is another."""


UNKNOWN = {("genai-prices", "openai-chat-chat-logprobs"): "a model of Snowflake's"}
"""What a reader cannot read."""

CASES = [
    (reader, one)
    for reader in ("genai-prices", "SDK")
    for one in ANSWERED
    if (reader, one.name) not in UNKNOWN
]


def ours(usage: Usage) -> Counts:
    return {
        "input": prompt_tokens(usage),
        "output": output_tokens(usage),
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write_5m + usage.cache_write_1h,
        "reasoning": usage.reasoning,
    }


def by_genai_prices(recording: Recording) -> Counts:
    extracted = their_usage(recording).usage
    names = {
        "input": "input_tokens",
        "output": "output_tokens",
        "cache_read": "cache_read_tokens",
        "cache_write": "cache_write_tokens",
        "reasoning": "output_reasoning_tokens",
    }
    return {kind: int(extracted.reported_value(name)) for kind, name in names.items()}


def told(recording: Recording) -> dict[str, Any]:
    """The usage as the vendor told it, or of a stream as the recording does."""
    if recording.name.startswith("gemini"):
        usage: dict[str, Any] = last_of(recording)["usageMetadata"]
    elif recording.is_stream:
        usage = nested(recording.usage)
    else:
        usage = json.loads(recording.response)["usage"]
    return usage


def by_sdk(recording: Recording) -> Counts:
    """What the types of the vendor's own SDK call these counts, made as the SDK makes them."""
    usage = told(recording)
    match recording.name.split("-")[:2]:
        case ["openai", "chat"]:
            chat = CompletionUsage.construct(**usage)
            into, out = chat.prompt_tokens_details, chat.completion_tokens_details
            return counts(
                chat.prompt_tokens,
                chat.completion_tokens,
                getattr(into, "cached_tokens", 0),
                getattr(into, "cache_write_tokens", 0),
                getattr(out, "reasoning_tokens", 0),
            )
        case ["openai", "responses"]:
            response = ResponseUsage.construct(**usage)
            return counts(
                response.input_tokens,
                response.output_tokens,
                response.input_tokens_details.cached_tokens,
                getattr(response.input_tokens_details, "cache_write_tokens", 0),
                response.output_tokens_details.reasoning_tokens,
            )
        case ["anthropic", "messages"]:
            message = AnthropicUsage.construct(**usage)
            read = message.cache_read_input_tokens or 0
            written = message.cache_creation_input_tokens or 0
            details = getattr(message, "output_tokens_details", None)
            thought = getattr(details, "thinking_tokens", 0)
            whole = message.input_tokens + read + written
            return counts(whole, message.output_tokens, read, written, thought)
        case _:
            known = {
                each.alias for each in GenerateContentResponseUsageMetadata.model_fields.values()
            }
            gemini = GenerateContentResponseUsageMetadata.model_validate(
                {name: value for name, value in usage.items() if name in known}
            )
            thoughts = gemini.thoughts_token_count or 0
            prompt = gemini.prompt_token_count or 0
            return counts(
                prompt + (gemini.tool_use_prompt_token_count or 0),
                (gemini.candidates_token_count or 0) + thoughts,
                gemini.cached_content_token_count,
                0,
                thoughts,
            )


def counts(given: int, made: int, read: int | None, written: int | None, thought: int) -> Counts:
    return {
        "input": given,
        "output": made,
        "cache_read": read or 0,
        "cache_write": written or 0,
        "reasoning": thought or 0,
    }


@pytest.mark.parametrize(("reader", "recording"), CASES, ids=lambda one: getattr(one, "name", one))
def test_others_read_the_same(reader: str, recording: Recording) -> None:
    theirs = by_sdk(recording) if reader == "SDK" else by_genai_prices(recording)
    found = ours(our_usage(recording)[0])
    is_same = found == theirs
    assert is_same == ((reader, recording.name) not in THEY_DIFFER), (found, theirs)


def test_coheres_billed_units_are_what_is_billed() -> None:
    (recording,) = recordings("cohere-chat")
    usage = json.loads(recording.response)["usage"]
    assert read_usage(usage) == (Usage(input=33, output=22), None)


def test_the_recordings_have_every_count_at_least_once() -> None:
    read = [ours(our_usage(one)[0]) for one in ANSWERED]
    assert len(read) >= 28
    for kind in ("input", "output", "cache_read", "cache_write", "reasoning"):
        assert sum(1 for each in read if each[kind]) >= 2, kind
