"""What a model's name says about thinking, vendor by vendor, and what its provider is then told."""

import json
from typing import Any

import msgspec
import pytest

from gateway.conversation.reasoning_suffixes import read_suffix
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking, Translators
from gateway.formats.values import ChatCall
from gateway.providers.registry import PROVIDERS

CHAT, RESPONSES, MESSAGES, GEMINI = (
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "gemini",
)
DOCUMENTS: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "x"}]},
    RESPONSES: {"input": "x"},
    MESSAGES: {"messages": [{"role": "user", "content": "x"}], "max_tokens": 4_000},
    GEMINI: {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
}


def call_of(format_name: str, name: str, **members: Any) -> ChatCall:  # noqa: ANN401 - JSON
    document = DOCUMENTS[format_name] | ({} if format_name == GEMINI else {"model": name}) | members
    return FORMATS[format_name].read_request(document, msgspec.json.encode(document))


def sent(
    client: str,
    provider: str,
    name: str,
    vendor: str = "openai",
    **members: Any,  # noqa: ANN401 - JSON
) -> dict[str, Any]:
    """What a provider gets that is asked for the model `name`."""
    suffix = read_suffix(name, provider, PROVIDERS[vendor].habits.suffixes)
    outgoing = (
        Translators(FORMATS[client], FORMATS)
        .to(provider)
        .outgoing(call_of(client, name, **members), Asking(suffix))
    )
    document: dict[str, Any] = json.loads(outgoing.body)
    return document


@pytest.mark.parametrize(
    ("name", "vendor", "format_name", "model"),
    [
        ("o3-high", "openai", CHAT, "o3"),
        ("o3-mini-low", "azure", CHAT, "o3-mini"),
        ("gpt-5.6-xhigh", "openai", RESPONSES, "gpt-5.6"),
        ("openai/gpt-5-mini-minimal", "openrouter", CHAT, "openai/gpt-5-mini"),
        ("gpt-5-none", "openai", CHAT, "gpt-5"),
        ("gpt-4o-high", "openai", CHAT, "gpt-4o-high"),
        ("gpt-5-chat-latest", "openai", CHAT, "gpt-5-chat-latest"),
        ("gpt-5-high", "new_api", CHAT, "gpt-5-high"),
        ("claude-opus-4-6-max", "anthropic", MESSAGES, "claude-opus-4-6"),
        ("anthropic.claude-opus-4-8-low", "bedrock", MESSAGES, "anthropic.claude-opus-4-8"),
        ("claude-opus-4-20250514-high", "anthropic", MESSAGES, "claude-opus-4-20250514-high"),
        ("claude-sonnet-4-5-thinking", "anthropic", MESSAGES, "claude-sonnet-4-5"),
        ("claude-3-7-sonnet-latest-thinking", "anthropic", MESSAGES, "claude-3-7-sonnet-latest"),
        ("claude-sonnet-4-5-thinking", "openai", CHAT, "claude-sonnet-4-5-thinking"),
        ("gemini-2.5-flash-thinking-128", "gemini", GEMINI, "gemini-2.5-flash"),
        ("gemini-2.5-flash-nothinking", "gemini", GEMINI, "gemini-2.5-flash"),
        ("gemini-2.5-pro-thinking", "vertex", GEMINI, "gemini-2.5-pro"),
        ("gemini-3-pro-low", "gemini", GEMINI, "gemini-3-pro"),
        ("gemini-2-thinking-exp-01-21", "gemini", GEMINI, "gemini-2-thinking-exp-01-21"),
        ("deepseek-v4-pro-none", "deepseek", CHAT, "deepseek-v4-pro"),
        ("deepseek-v4-flash-max", "deepseek", MESSAGES, "deepseek-v4-flash"),
        ("deepseek-v3-max", "deepseek", CHAT, "deepseek-v3-max"),
        ("grok-4-search", "xai", CHAT, "grok-4"),
        ("grok-3-mini-high", "xai", CHAT, "grok-3-mini"),
        ("grok-4-high", "xai", CHAT, "grok-4-high"),
        ("deepseek-v3-1-thinking", "volcengine", CHAT, "deepseek-v3-1"),
        ("doubao-seed-thinking", "volcengine", CHAT, "doubao-seed-thinking"),
        ("anthropic/claude-sonnet-4.5-thinking", "openrouter", CHAT, "anthropic/claude-sonnet-4.5"),
        ("moonshotai/kimi-k2-thinking", "openrouter", CHAT, "moonshotai/kimi-k2-thinking"),
        ("kimi-k2-thinking", "moonshot", CHAT, "kimi-k2-thinking"),
        ("ernie-4.5-search", "baidu_v2", CHAT, "ernie-4.5"),
    ],
)  # fmt: skip
def test_a_suffix_is_read_in_the_words_of_its_family(
    name: str, vendor: str, format_name: str, model: str
) -> None:
    assert read_suffix(name, format_name, PROVIDERS[vendor].habits.suffixes).model == model


def test_a_name_that_a_channel_keeps_means_itself() -> None:
    kept = read_suffix("o3-high", CHAT, kept=("o3-high",))
    assert (kept.model, kept.reasoning, dict(kept.members)) == ("o3-high", None, {})


@pytest.mark.parametrize("client", DOCUMENTS)
@pytest.mark.parametrize(
    ("provider", "vendor", "name", "told"),
    [
        (CHAT, "openai", "gpt-5-high", {"model": "gpt-5", "reasoning_effort": "high"}),
        (RESPONSES, "openai", "o3-low", {"model": "o3", "reasoning": {"effort": "low"}}),
        (MESSAGES, "anthropic", "claude-opus-4-8-max",
         {"model": "claude-opus-4-8", "thinking": {"type": "adaptive", "display": "summarized"},
          "output_config": {"effort": "max"}}),
        (MESSAGES, "anthropic", "claude-opus-4-6-xhigh",
         {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (MESSAGES, "anthropic", "claude-opus-4-7-thinking",
         {"thinking": {"type": "adaptive", "display": "summarized"},
          "output_config": {"effort": "high"}}),
        (CHAT, "xai", "grok-4-search", {"model": "grok-4", "search_parameters": {"mode": "on"}}),
        (CHAT, "openrouter", "x/y-thinking", {"model": "x/y", "reasoning": {"enabled": True}}),
        (CHAT, "volcengine", "deepseek-r1-thinking", {"thinking": {"type": "enabled"}}),
        (CHAT, "deepseek", "deepseek-v4-pro-max",
         {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        (RESPONSES, "deepseek", "deepseek-v4-pro-none", {"reasoning": {"effort": "none"}}),
    ],
)  # fmt: skip
def test_every_client_reaches_the_effort_its_models_name_says(
    client: str, provider: str, vendor: str, name: str, told: dict[str, Any]
) -> None:
    document = sent(client, provider, name, vendor)
    assert {member: document.get(member) for member in told} == told


@pytest.mark.parametrize(
    ("limit", "sent_limit", "budget"),
    [(4_000, 4_000, 3_200), (100, 1_280, 1_024), (1_281, 1_281, 1_024)],
)  # fmt: skip
def test_thinking_takes_a_share_of_the_answers_limit(
    limit: int, sent_limit: int, budget: int
) -> None:
    document = sent(
        MESSAGES, MESSAGES, "claude-sonnet-4-5-thinking", "anthropic",
        max_tokens=limit, temperature=0.3, top_p=0.9, top_k=4,
    )  # fmt: skip
    assert document["max_tokens"] == sent_limit
    assert document["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert not {"temperature", "top_p", "top_k"} & set(document)


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("gemini-2.5-flash-thinking-99999", {}, {"thinkingBudget": 24_576}),
        ("gemini-2.5-pro-thinking-1", {}, {"thinkingBudget": 128}),
        ("gemini-2.5-flash-lite-thinking-1", {}, {"thinkingBudget": 512}),
        ("gemini-2.5-flash-thinking", {"maxOutputTokens": 1_001},
         {"thinkingBudget": 600, "includeThoughts": True}),
        ("gemini-2.5-pro-thinking", {}, {"thinkingBudget": 32_768, "includeThoughts": True}),
        ("gemini-2.5-pro-thinking", {"thinkingConfig": {"thinkingBudget": 200}},
         {"thinkingBudget": 200, "includeThoughts": True}),
        ("gemini-2.5-flash-nothinking", {}, {"thinkingBudget": 0}),
        ("gemini-2.5-pro-nothinking", {}, {}),
        ("gemini-3-pro-low", {}, {"thinkingLevel": "low", "includeThoughts": True}),
    ],
)  # fmt: skip
def test_gemini_thinks_within_what_its_model_takes(
    name: str, settings: dict[str, Any], told: dict[str, Any]
) -> None:
    document = sent(GEMINI, GEMINI, name, "gemini", generationConfig=settings | {"topK": 3})
    assert document["generationConfig"]["thinkingConfig"] == told
    assert document["generationConfig"]["topK"] == 3


def test_what_its_models_refuse_beside_an_effort_is_left_out_and_told() -> None:
    call = call_of(CHAT, "o3-high", temperature=0.2, max_tokens=50, seed=7)
    outgoing = (
        Translators(FORMATS[CHAT], FORMATS)
        .to(CHAT)
        .outgoing(call, Asking(read_suffix("o3-high", CHAT)))
    )
    assert json.loads(outgoing.body) == {
        "messages": [{"role": "user", "content": "x"}],
        "model": "o3",
        "seed": 7,
        "reasoning_effort": "high",
        "max_completion_tokens": 50,
    }
    assert outgoing.losses == ("temperature",)


@pytest.mark.parametrize("format_name", DOCUMENTS)
def test_a_plain_name_leaves_every_byte_as_it_is(format_name: str) -> None:
    call = call_of(format_name, "plain")
    outgoing = (
        Translators(FORMATS[format_name], FORMATS)
        .to(format_name)
        .outgoing(call, Asking(read_suffix("plain", format_name)))
    )
    assert outgoing.body == call.body
