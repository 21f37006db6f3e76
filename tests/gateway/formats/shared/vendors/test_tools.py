"""Tools, their names and calls of them, as vendors take them and as clients get them back.

Each test is named after the fault that it keeps out.
"""

import json
from typing import Any

import pytest

from gateway.conversation.parts import ToolCall
from gateway.conversation.reasoning_suffixes import Suffix
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking, Translators
from tests.gateway.formats.shared.vendors.asking import (
    CLAUDE_CODE,
    LONG,
    SAID,
    answered,
    call_of,
    items_in,
    sent,
    streamed,
    turn_of,
)

PATCH = '*** Begin Patch\n*** Add File: a.txt\n+"one"\n*** End Patch'


GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch hunk+"}


APPLY_PATCH = {"type": "custom", "name": "apply_patch", "description": "P", "format": GRAMMAR}


OTHERS = ("openai_chat", "anthropic_messages", "gemini")


CODEX = {
    "input": [
        {"type": "message", "role": "user", "content": "patch it"},
        {
            "type": "custom_tool_call",
            "call_id": "call_" + "x" * 70,
            "name": "apply_patch",
            "input": PATCH,
        },
        {
            "type": "custom_tool_call_output",
            "call_id": "call_" + "x" * 70,
            "output": "Success.",
        },
    ],
    "tools": [APPLY_PATCH, {"type": "function", "name": LONG, "parameters": {"type": "object"}}],
    "tool_choice": {"type": "custom", "name": "apply_patch"},
}


@pytest.mark.parametrize("provider", OTHERS)
def test_c16_a_custom_tool_comes_back_as_what_it_is(provider: str) -> None:
    written = json.dumps({"input": PATCH})
    turn = turn_of(
        ToolCall(id="c1", name="apply_patch", arguments=written),
        ToolCall(id="c2", name="other", arguments=written),
    )
    whole = answered("openai_responses", provider, CODEX, turn)["output"]
    live = items_in(streamed("openai_responses", provider, CODEX, turn))
    for patch, other in (whole, live):
        assert (patch["type"], patch["name"]) == ("custom_tool_call", "apply_patch")
        assert patch["input"] == PATCH
        assert (other["type"], json.loads(other["arguments"])) == (
            "function_call",
            {"input": PATCH},
        )


def test_c16_its_text_is_streamed_as_the_text_of_a_custom_tool() -> None:
    call = ToolCall(id="c1", name="apply_patch", arguments=json.dumps({"input": PATCH}))
    told = streamed("openai_responses", "openai_chat", CODEX, turn_of(call))
    assert b"response.custom_tool_call_input.done" in told
    assert b"function_call_arguments" not in told


def test_c16_what_a_model_writes_otherwise_is_the_text_itself() -> None:
    for arguments in (PATCH, '{"patch": 1}', '{"input": 5}'):
        call = ToolCall(id="c1", name="apply_patch", arguments=arguments)
        told = answered("openai_responses", "openai_chat", CODEX, turn_of(call))
        assert told["output"][0]["input"] == arguments


def test_c5_chat_vendors_get_a_function_with_one_text() -> None:
    document, losses = sent("openai_responses", "openai_chat", CODEX, "llama-3.3", "groq")
    patch = document["tools"][0]["function"]
    assert patch["parameters"]["properties"] == {"input": {"type": "string"}}
    assert GRAMMAR["definition"] in patch["description"]
    assert document["tool_choice"] == {"type": "function", "function": {"name": "apply_patch"}}
    (called,) = document["messages"][1]["tool_calls"]
    assert json.loads(called["function"]["arguments"]) == {"input": PATCH}
    assert "tools.grammar" in losses


def test_c5_gemini_gets_it_as_well() -> None:
    document, losses = sent("openai_responses", "gemini", CODEX)
    (tools,) = document["tools"]
    assert tools["functionDeclarations"][0]["name"] == "apply_patch"
    assert document["contents"][1]["parts"][0]["functionCall"]["args"] == {"input": PATCH}
    assert losses == ("tools.grammar",)


def test_c5_models_that_take_custom_tools_get_them_as_they_are() -> None:
    document, losses = sent("openai_responses", "openai_chat", CODEX, "gpt-5.1", "openai")
    within = {"syntax": "lark", "definition": GRAMMAR["definition"]}
    assert document["tools"][0]["custom"]["format"] == {"type": "grammar", "grammar": within}
    assert document["tool_choice"] == {"type": "custom", "custom": {"name": "apply_patch"}}
    assert losses == ()
    turn = turn_of(ToolCall(id="c1", name="apply_patch", arguments=PATCH, is_custom=True))
    for items in (
        answered("openai_responses", "openai_chat", CODEX, turn)["output"],
        items_in(streamed("openai_responses", "openai_chat", CODEX, turn)),
    ):
        assert (items[0]["type"], items[0]["input"]) == ("custom_tool_call", PATCH)


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.1", "o3", "gpt-5-chat-latest"])
@pytest.mark.parametrize("provider", ["openai_chat", "openai_responses"])
def test_c3_what_claude_code_sends_is_within_openais_bounds(provider: str, model: str) -> None:
    document, losses = sent("anthropic_messages", provider, CLAUDE_CODE, model, "openai")
    assert len(document["user"]) == 64
    assert "user" in losses
    tools = [tool.get("function", tool) for tool in document["tools"]]
    assert len({tool["name"] for tool in tools}) == 3
    assert tools[2]["name"] == "short"
    assert tools[0]["parameters"] == {"type": "object", "properties": {}}
    assert "stop" not in losses


def test_c3_a_name_of_64_characters_and_a_short_user_stay_as_they_are() -> None:
    name = "n" * 64
    request = {
        "max_tokens": 16,
        "metadata": {"user_id": "u" * 64},
        "messages": [SAID],
        "tools": [{"name": name, "input_schema": {"type": "object", "properties": {}}}],
    }
    document, losses = sent("anthropic_messages", "openai_responses", request, "gpt-5.1", "openai")
    assert document["tools"][0]["name"] == name
    assert (document["user"], document["max_output_tokens"]) == ("u" * 64, 16)
    assert losses == ()


@pytest.mark.parametrize("provider", ["openai_chat", "openai_responses", "gemini"])
def test_c3_a_shortened_name_is_the_clients_own_in_the_answer(provider: str) -> None:
    document, _ = sent("anthropic_messages", provider, CLAUDE_CODE)
    listed = document["tools"][0].get("functionDeclarations") or [
        tool.get("function", tool) for tool in document["tools"]
    ]
    called = [
        ToolCall(id=f"c{number}", name=tool["name"], arguments="{}")
        for number, tool in enumerate(listed)
    ]
    wanted = [LONG, f"{LONG}_2", "short"]
    told = answered("anthropic_messages", provider, CLAUDE_CODE, turn_of(*called))
    assert [block["name"] for block in told["content"]] == wanted
    live = streamed("anthropic_messages", provider, CLAUDE_CODE, turn_of(*called))
    assert [live.count(f'"name":"{name}"'.encode()) for name in wanted] == [1, 1, 1]


SEARCHING = {"input": "hi", "tools": [{"type": "web_search"}]}


@pytest.mark.parametrize(
    ("model", "vendor", "is_told"),
    [
        ("gpt-5.1", "openai", False),
        ("llama-3.3-70b", "groq", False),
        ("gpt-4o-search-preview", "openai", True),
        ("gpt-5-search-api", "openai", True),
        ("anything", "openrouter", True),
    ],
)
def test_c15_only_search_models_are_told_to_search(model: str, vendor: str, is_told: bool) -> None:
    document, losses = (
        sent("openai_responses", "openai_chat", SEARCHING, model, vendor)
        if (not is_told or "search" in model)
        else _unrefused(model, vendor)
    )
    assert ("web_search_options" in document) is is_told
    assert losses == (() if is_told else ("tools.web_search",))


def _unrefused(model: str, vendor: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Of a vendor for whom OpenAI's own rules do not hold."""
    out = (
        Translators(FORMATS["openai_responses"], FORMATS)
        .to("openai_chat")
        .outgoing(call_of("openai_responses", SEARCHING), Asking(Suffix(model), vendor=vendor))
    )
    return json.loads(out.body), out.losses


def test_c15_a_search_that_is_forced_and_cannot_be_is_not_forced() -> None:
    request = {
        "max_tokens": 99,
        "messages": [SAID],
        "tools": [
            {"type": "web_search_20250305", "name": "web_search"},
            {"name": "f", "input_schema": {"type": "object", "properties": {}}},
        ],
        "tool_choice": {"type": "tool", "name": "web_search"},
    }
    document, losses = sent("anthropic_messages", "openai_chat", request, "gpt-5.1", "openai")
    assert "tool_choice" not in document
    assert losses == ("tools.web_search", "tool_choice")


@pytest.mark.parametrize(
    ("mode", "names", "expected"),
    [
        ("auto", ["f", "g"], {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]}),
        ("auto", ["f"], {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        ("required", ["f", "g"], {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
    ],
)
def test_c10_allowed_tools_force_no_call_and_all_stay_declared(
    mode: str, names: list[str], expected: dict[str, Any]
) -> None:
    tools = [{"type": "function", "name": name, "parameters": None} for name in "fgh"]
    allowed = [{"type": "function", "name": name} for name in names]
    choice = {"type": "allowed_tools", "mode": mode, "tools": allowed}
    request = {"input": "hi", "tools": tools, "tool_choice": choice}
    document, _ = sent("openai_responses", "gemini", request)
    assert document["toolConfig"]["functionCallingConfig"] == expected
    assert [each["name"] for each in document["tools"][0]["functionDeclarations"]] == list("fgh")


NAMESPACED: dict[str, Any] = {
    "input": [
        {"role": "user", "content": "look"},
        {
            "type": "function_call",
            "call_id": "c0",
            "namespace": "crm",
            "name": "find",
            "arguments": "{}",
        },
        {"type": "function_call_output", "call_id": "c0", "output": "one"},
    ],
    "tools": [
        {
            "type": "namespace",
            "name": namespace,
            "description": "d",
            "tools": [{"type": "function", "name": "find", "parameters": {"type": "object"}}],
        }
        for namespace in ("crm", "shop", "mcp__" + "s" * 70)
    ],
}


@pytest.mark.parametrize("provider", OTHERS)
def test_c16_a_tool_in_a_namespace_comes_back_in_it(provider: str) -> None:
    document, losses = sent("openai_responses", provider, NAMESPACED)
    assert "tools.namespace" not in losses
    listed = document["tools"][0].get("functionDeclarations") or [
        tool.get("function", tool) for tool in document["tools"]
    ]
    written = [tool["name"] for tool in listed]
    assert written[:2] == ["crm__find", "shop__find"]
    assert json.dumps(document).count('"crm__find"') >= 2  # the call before, too
    calls = [
        ToolCall(id=f"c{number}", name=name, arguments="{}") for number, name in enumerate(written)
    ]
    wanted = [(each["name"], "find") for each in NAMESPACED["tools"]]
    for items in (
        answered("openai_responses", provider, NAMESPACED, turn_of(*calls))["output"],
        items_in(streamed("openai_responses", provider, NAMESPACED, turn_of(*calls))),
    ):
        assert [(item["namespace"], item["name"]) for item in items] == wanted
