"""The real SDKs for Python and Node against the running gateway, over a provider of each format:
answers, streams, tools, pictures and structured output, and usage as the ledger has it."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.reached import MODELS, PYTHON, Line, Reached, run_sdk
from tests.obedient.contract import picture
from tests.obedient.model import LOOKING, TEXT, THOUGHT
from tests.obedient.provider import PNG

INSTRUCTIONS = "be brief"
CITIES = ("Riga", "Oslo")
REPORT = {"city": "Riga", "degrees": 21, "sky": "clear"}

APIS = {
    ("openai.mjs", "chat_"): "chat",
    ("openai.mjs", "responses_"): "responses",
    ("anthropic.mjs", ""): "messages",
    ("google.mjs", ""): "gemini",
    ("ai.mjs", "openai_"): "ai",
    ("ai.mjs", "anthropic_"): "ai",
    ("ai.mjs", "google_"): "ai",
    (PYTHON, "chat_"): "chat",
    (PYTHON, "responses_"): "responses",
    (PYTHON, "messages_"): "messages",
    (PYTHON, "gemini_"): "gemini",
}
"""By a script and the beginning of its scenarios' names: in whose words usage is told."""

_NOBODYS = "no scenario"
OWN_SCENARIOS: dict[str, defaultdict[str, str]] = {
    "openai_chat": defaultdict(lambda: _NOBODYS),
    "openai_responses": defaultdict(lambda: _NOBODYS),
    "anthropic_messages": defaultdict(
        lambda: _NOBODYS, {"anthropic.mjs": "", "ai.mjs": "anthropic_", PYTHON: "messages_"}
    ),
    "gemini": defaultdict(
        lambda: _NOBODYS, {"google.mjs": "", "ai.mjs": "google_", PYTHON: "gemini_"}
    ),
}
"""By format and script: how those scenarios begin whose client speaks it."""

LineOf = Callable[[str, str, str], Line]


def each(*kinds: str) -> pytest.MarkDecorator:
    """A test for every API, kind of scenario and model."""
    named = [
        pytest.param(script, f"{prefix}{kind}", model, id=f"{script}-{prefix}{kind}-{model}")
        for script, prefix in APIS
        for kind in kinds
        for model in MODELS
    ]
    return pytest.mark.parametrize(("script", "scenario", "model"), named)


@pytest.fixture(scope="module")
def line(everywhere: Reached, node: None) -> LineOf:  # noqa: ARG001 - it is installed
    """What came of a scenario; all of a script are run when the first one is asked for."""
    lines: dict[str, dict[tuple[str, str], Line]] = {}

    def of(script: str, scenario: str, model: str) -> Line:
        if script not in lines:
            lines[script] = run_sdk(everywhere, script)
        found = lines[script][model, scenario]
        assert found.error is None
        assert_billed_as_told(script, found)
        return found

    return of


def assert_billed_as_told(script: str, found: Line) -> None:
    """What the provider counted is what was billed, and what the SDK tells."""
    figures = [exchange.said.figures for exchange in found.exchanges]
    assert [(one.input, one.cache_read, one.output, one.reasoning) for one in found.billed] == [
        (one.fresh, one.cached, one.made, one.thought) for one in figures
    ]
    (api,) = {api for (name, prefix), api in APIS.items() if _is_of(found, script, name, prefix)}
    for told, one in zip(found.told["usages"], figures, strict=True):
        given, made = one.fresh + one.cached, one.made + one.thought
        expected = {"given": given, "cached": one.cached, "made": made, "thought": one.thought}
        assert USAGE[api](told) == expected


def _is_of(found: Line, script: str, name: str, prefix: str) -> bool:
    return name == script and found.scenario.startswith(prefix)


def _counts(given: int, cached: int, made: int, thought: int) -> dict[str, int]:
    return {"given": given, "cached": cached, "made": made, "thought": thought}


USAGE: dict[str, Callable[[Any], dict[str, int]]] = {
    "chat": lambda told: _counts(
        told["prompt_tokens"],
        told["prompt_tokens_details"]["cached_tokens"],
        told["completion_tokens"],
        told["completion_tokens_details"]["reasoning_tokens"],
    ),
    "responses": lambda told: _counts(
        told["input_tokens"],
        told["input_tokens_details"]["cached_tokens"],
        told["output_tokens"],
        told["output_tokens_details"]["reasoning_tokens"],
    ),
    "messages": lambda told: _counts(
        told["input_tokens"] + told["cache_read_input_tokens"],
        told["cache_read_input_tokens"],
        told["output_tokens"],
        told["output_tokens_details"]["thinking_tokens"],
    ),
    "gemini": lambda told: _counts(
        told["promptTokenCount"],
        told["cachedContentTokenCount"],
        told["candidatesTokenCount"] + told["thoughtsTokenCount"],
        told["thoughtsTokenCount"],
    ),
    "ai": lambda told: _counts(
        told["inputTokens"],
        told["inputTokenDetails"]["cacheReadTokens"],
        told["outputTokens"],
        told["outputTokenDetails"]["reasoningTokens"],
    ),
}
"""What the usage of an API says, in words of ours."""


@each("text", "stream")
def test_an_answer(line: LineOf, script: str, scenario: str, model: str) -> None:
    found = line(script, scenario, model)
    assert found.told["text"] == TEXT
    (exchange,) = found.exchanges
    assert exchange.format_name == MODELS[model]
    assert exchange.asked.instructions == INSTRUCTIONS
    assert exchange.asked.is_stream == scenario.endswith("stream")


@each("tools", "tools_stream")
def test_tools_are_called_at_once_and_their_results_reach_the_model(
    line: LineOf, script: str, scenario: str, model: str
) -> None:
    found = line(script, scenario, model)
    told = found.told
    assert told["said"] == LOOKING
    assert told.get("thoughts", [THOUGHT]) == [THOUGHT]
    assert told.get("stop", "tool_use").replace("-", "_") in ("tool_use", "tool_calls")
    assert told["calls"] == [{"name": "weather", "arguments": {"city": city}} for city in CITIES]
    first, second = found.exchanges
    for exchange in (first, second):
        assert exchange.asked.descriptions == {"weather": "of a city"}
        assert_of_a_city(exchange.asked.tools["weather"])
    called = second.asked.calls
    assert [(call.name, call.arguments) for call in called] == [
        (call.name, call.arguments) for call in first.said.calls
    ]
    for city, call, result in zip(CITIES, called, second.asked.results, strict=True):
        assert result.call_id == call.id
        assert f"rain in {city}" in result.text
    assert told["text"] == second.said.text


def assert_of_a_city(schema: dict[str, Any]) -> None:
    """The tool's schema, which may have come in the spelling of OpenAPI."""
    assert schema["type"].lower() == "object"
    assert schema["required"] == ["city"]
    city = schema["properties"]["city"]
    assert (city["type"].lower(), city["description"]) == ("string", "its name")


@each("pictures")
def test_pictures_reach_the_model(
    everywhere: Reached, line: LineOf, script: str, scenario: str, model: str
) -> None:
    found = line(script, scenario, model)
    (exchange,) = found.exchanges
    inline = picture("image/png", PNG)
    # Both take addresses of some kinds alone: bytes are put in but for what their own clients say.
    is_own = scenario.startswith(OWN_SCENARIOS[exchange.format_name][script])
    is_fetched = exchange.format_name in ("gemini", "anthropic_messages") and not is_own
    shown = [inline if is_fetched else everywhere.picture_url]
    # Of addresses `ai` hands Google only those of Google's own.
    assert exchange.asked.pictures == [inline, *([] if scenario == "google_pictures" else shown)]
    assert found.told["text"] == exchange.said.text


@each("structured")
def test_structured_output(line: LineOf, script: str, scenario: str, model: str) -> None:
    found = line(script, scenario, model)
    assert found.told["structured"] == REPORT
    (exchange,) = found.exchanges
    asked = exchange.asked
    # For a model that it does not know, `ai` makes the model call a tool instead.
    assert asked.must_call == (scenario == "anthropic_structured")
    schema = asked.tools["json"] if asked.must_call else asked.schema
    assert schema is not None
    assert set(schema["required"]) == set(REPORT)
    assert schema["properties"]["sky"]["enum"] == ["clear", "grey"]
