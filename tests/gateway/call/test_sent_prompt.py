"""C17, A4: an estimate counts what was sent once, near what vendors count, in whatever dialect."""

import json
from typing import Any

import pytest

from gateway.call.metering.sent_prompt import sent_prompt
from gateway.call.metering.tokenizer import Tokenizer
from gateway.conversation.reasoning_suffixes import Suffix
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking
from tests.recorded import FOLDER, Recording, recordings

FORMAT_OF = {
    "openai-chat": "openai_chat",
    "openai-responses": "openai_responses",
    "anthropic-messages": "anthropic_messages",
    "gemini-generate": "gemini",
    "cohere-chat": "openai_chat",
}
FAR = {
    "openai-chat-chat-reasoning-tokens-non-stream": "instructions that gpt-5 gets with a tool",
    "openai-responses-responses-mcp": "the provider lists the tools of a server to the model",
    "openai-responses-responses-cached-tokens-non-stream": "what a search found",
    "openai-responses-responses-cached-tokens-stream": "what a search found",
    "openai-responses-responses-stream-reasoning-summary-tokens": "what code printed",
    "anthropic-messages-anthropic-redacted-thinking-non-stream": "a magic string, in many tokens",
    "anthropic-messages-anthropic-redacted-thinking-stream": "a magic string, in many tokens",
    "anthropic-messages-anthropic-stream-thinking-signature": "what several searches found",
    "anthropic-messages-anthropic-usage-iterations-compaction-advisor": "several calls of models",
    "gemini-generate-gemini-tooluseprompttokencount-0-code-exec-grounding": "counted apart",
    "cohere-chat-v2-cohere-chat-v2-tools": "billed units leave out what surrounds a message",
}
"""Recordings in which the model read what nobody can see in the request, and what that was."""
UNSAID = {
    "gemini-generate-gemini-model-armor-block": "blocked before it was read",
    "openai-responses-responses-background": "not served",
    "gemini-generate-gemini-cachedcontenttokencount-0": "not served",
    "gemini-generate-gemini-explicit-cachedcontent": "not served",
}
CASES = [
    (one, format_name)
    for prefix, format_name in FORMAT_OF.items()
    for one in recordings(prefix)
    if one.status == 200 and one.name not in UNSAID
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer()


def estimated(tokenizer: Tokenizer, format_name: str, document: dict[str, Any], model: str) -> int:
    one = FORMATS[format_name]
    call = one.read_request(document, json.dumps(document).encode())
    conversation = one.translation.conversation(call)
    sent = sent_prompt(conversation, "openai_chat", Asking(Suffix(model)))
    return sent.tokens(tokenizer.count(model, sent.texts))


def told(recording: Recording) -> int:
    usage = recording.usage
    for name in ("prompt_tokens", "promptTokenCount", "billed_units.input_tokens"):
        if name in usage:
            return int(usage[name])
    cached = ("cache_read_input_tokens", "cache_creation_input_tokens")
    return int(usage["input_tokens"] + sum(usage.get(name, 0) for name in cached))


@pytest.mark.parametrize(
    ("recording", "format_name"), CASES, ids=lambda one: getattr(one, "name", "")
)
def test_c17_a_recorded_prompt_is_estimated_near_what_the_vendor_counted(
    tokenizer: Tokenizer, recording: Recording, format_name: str
) -> None:
    model = json.loads((FOLDER / f"{recording.name}.json").read_text())["model"]
    found, theirs = estimated(tokenizer, format_name, recording.document, model), told(recording)
    is_near = abs(found - theirs) <= max(3, theirs * 15 // 100)
    assert is_near == (recording.name not in FAR), (found, theirs)


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ABOUT = "The weather of a city"
NAMED = {"name": "weather", "description": ABOUT}
HI: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {**NAMED, "parameters": SCHEMA}}],
    },
    "openai_responses": {
        "model": "m",
        "input": "hi",
        "tools": [{"type": "function", **NAMED, "parameters": SCHEMA}],
    },
    "anthropic_messages": {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{**NAMED, "input_schema": SCHEMA}],
    },
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "tools": [{"functionDeclarations": [{**NAMED, "parameters": SCHEMA}]}],
    },
}
"""One request in every dialect that has tools."""


@pytest.mark.parametrize("model", ["gpt-4o", "llama-3.3-70b-versatile", "gemini-2.5-flash"])
def test_c17_one_small_tool_counts_as_vendors_do_whatever_the_dialect(
    tokenizer: Tokenizer, model: str
) -> None:
    found = {name: estimated(tokenizer, name, document, model) for name, document in HI.items()}
    assert len(set(found.values())) == 1, found
    assert 12 <= found["openai_chat"] <= 60


def test_c17_a_schema_of_any_depth_is_counted(tokenizer: Tokenizer) -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(60):
        deep = {"type": "object", "properties": {"a": deep}}
    document = json.loads(json.dumps(HI["openai_chat"]))
    document["tools"][0]["function"]["parameters"] = deep
    assert 60 < estimated(tokenizer, "openai_chat", document, "gpt-4o") < 2_000
