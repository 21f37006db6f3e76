"""What is asked for besides, as vendors take it.

Each test is named after the fault that it keeps out.
"""

import json
from typing import Any

import pytest

from gateway.conversation.parts import Text
from tests.gateway.formats.shared.vendors.asking import (
    CLAUDE_CODE,
    SAID,
    answered,
    sent,
    streamed,
    turn_of,
)
from tests.obedient import refusals
from tests.obedient.contract import IllFormed


@pytest.mark.parametrize("provider", ["openai_chat", "openai_responses", "gemini"])
def test_c3_the_answer_ends_at_a_stop_that_the_provider_does_not_take(provider: str) -> None:
    turn = turn_of(Text(text="one SSTOP two"), stop="stop")
    told = answered("anthropic_messages", provider, CLAUDE_CODE, turn)
    assert [block["text"] for block in told["content"]] == ["one S"]
    assert (told["stop_reason"], told["stop_sequence"]) == ("stop_sequence", "STOP")
    live = streamed("anthropic_messages", provider, CLAUDE_CODE, turn)
    texts = [
        json.loads(line[6:])["delta"]["text"]
        for line in live.splitlines()
        if line.startswith(b"data: ") and b"text_delta" in line
    ]
    assert "".join(texts) == "one S"
    assert b'"stop_sequence":"STOP"' in live


def test_c3_a_stop_that_does_not_come_changes_nothing() -> None:
    turn = turn_of(Text(text="one STO"), stop="stop")
    live = streamed("anthropic_messages", "openai_chat", CLAUDE_CODE, turn)
    assert b"one" in live.replace(b" ", b"")
    assert b'"stop_reason":"end_turn"' in live
    told = answered("anthropic_messages", "openai_chat", CLAUDE_CODE, turn)
    assert told["content"][0]["text"] == "one STO"


THINKING = {
    "max_tokens": 20_000,
    "messages": [SAID],
    "thinking": {"type": "enabled", "budget_tokens": 4_000},
}


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "openai/gpt-5-chat"])
def test_c2_models_that_do_not_reason_are_not_told_to(model: str) -> None:
    for provider in ("openai_chat", "openai_responses"):
        document, losses = sent("anthropic_messages", provider, THINKING, model, "openai")
        assert not {"include", "reasoning", "reasoning_effort"} & document.keys()
        assert losses == ("reasoning",)


def test_c2_models_that_reason_are() -> None:
    document, losses = sent("anthropic_messages", "openai_responses", THINKING, "gpt-5", "openai")
    assert document["include"] == ["reasoning.encrypted_content"]
    assert document["reasoning"]["effort"] == "medium"
    assert losses == ()


@pytest.mark.parametrize("vendor", ["groq", "mistral"])
def test_c4_members_that_a_vendor_forbids_are_left_out(vendor: str) -> None:
    request = {"input": "hi", "prompt_cache_key": "k", "text": {"verbosity": "low"}}
    document, losses = sent("openai_responses", "openai_chat", request, "some-model", vendor)
    assert not {"prompt_cache_key", "verbosity"} & document.keys()
    assert sorted(losses) == ["prompt_cache_key", "verbosity"]
    document, losses = sent("openai_responses", "openai_chat", request, "gpt-5.1", "openai")
    assert (document["prompt_cache_key"], document["verbosity"]) == ("k", "low")
    assert losses == ()


@pytest.mark.parametrize(
    ("model", "thinking", "budget"),
    [
        ("gemini-2.5-flash", {"type": "enabled", "budget_tokens": 31_999}, 24_576),
        ("gemini-2.5-pro", {"type": "enabled", "budget_tokens": 31_999}, 31_999),
        ("gemini-2.5-flash-lite", {"type": "enabled", "budget_tokens": 1_024}, 1_024),
        ("gemini-2.5-flash", {"type": "disabled"}, 0),
        ("gemini-2.5-pro", {"type": "disabled"}, 128),
    ],
)
def test_c8_a_budget_is_within_the_range_of_its_family(
    model: str, thinking: dict[str, Any], budget: int
) -> None:
    request = {"max_tokens": 40_000, "messages": [SAID], "thinking": thinking}
    document, losses = sent("anthropic_messages", "gemini", request, model, "gemini")
    assert document["generationConfig"]["thinkingConfig"]["thinkingBudget"] == budget
    is_same = budget == thinking.get("budget_tokens", 0)
    assert losses == (() if is_same else ("reasoning",))


def test_c8_what_cannot_rest_and_is_told_in_levels_thinks_little() -> None:
    request = {"max_tokens": 40_000, "messages": [SAID], "thinking": {"type": "disabled"}}
    document, losses = sent("anthropic_messages", "gemini", request, "gemini-3-pro-preview")
    assert document["generationConfig"]["thinkingConfig"]["thinkingLevel"] == "low"
    assert losses == ("reasoning",)


@pytest.mark.parametrize(
    ("vendor", "document", "words"),
    [
        ("groq", {"prompt_cache_key": "k"}, "property 'prompt_cache_key' is unsupported"),
        ("mistral", {"verbosity": "low"}, "body.verbosity: Extra inputs are not permitted"),
        ("groq", {"tools": [{"type": "custom", "custom": {}}]}, "must be 'function'"),
    ],
)
def test_c4_a_provider_in_tests_refuses_in_the_vendors_words(
    vendor: str, document: dict[str, Any], words: str
) -> None:
    with pytest.raises(IllFormed, match=words):
        refusals.OF_VENDOR[vendor](document)


def test_c3_so_do_those_of_openai() -> None:
    long = {"model": "gpt-5.1", "messages": [], "user": "u" * 65}
    with pytest.raises(IllFormed, match="maximum length 64, but got a string with length 65"):
        refusals.openai_chat(long)
    stopped = {"model": "gpt-5.1", "messages": [], "stop": ["a"]}
    with pytest.raises(IllFormed, match="'stop' is not supported with this model"):
        refusals.openai_chat(stopped)
    short = {"model": "gpt-5.1", "input": "x", "max_output_tokens": 1}
    with pytest.raises(IllFormed, match="Expected a value >= 16, but got 1 instead"):
        refusals.openai_responses(short)
