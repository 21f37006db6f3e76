"""What a vendor or a model takes is applied when translating, and told as the client's own again.

Each test is named after the fault it keeps out.
"""

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.conversation.parts import Text, ToolCall
from gateway.conversation.reasoning_suffixes import Suffix
from gateway.conversation.turn import (
    Begun,
    Choice,
    PartBegun,
    PartEnded,
    Stopped,
    StopReason,
    TextDelta,
    Turn,
)
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking, Translators
from gateway.formats.values import ChatCall
from ledger.usage import Usage
from tests.obedient import refusals

MODELS = {
    "openai_chat": "gpt-4.1",
    "openai_responses": "gpt-4.1",
    "anthropic_messages": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
}
PATCH = '*** Begin Patch\n*** Add File: a.txt\n+"one"\n*** End Patch'
LONG = "mcp__a_server_with_quite_a_long_name__and_a_tool_with_a_still_longer_name"
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch hunk+"}
APPLY_PATCH = {"type": "custom", "name": "apply_patch", "description": "P", "format": GRAMMAR}


def call_of(client: str, document: dict[str, Any], *, is_stream: bool = False) -> ChatCall:
    """A client's call."""
    document = document | {"model": "m"} | ({"stream": True} if is_stream else {})
    call = FORMATS[client].read_request(document, msgspec.json.encode(document))
    return replace(call, model="m", stream=is_stream)


def sent(
    client: str, provider: str, document: dict[str, Any], model: str = "", vendor: str = ""
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a provider is sent, who would not refuse it, and what was lost."""
    asking = Asking(Suffix(model or MODELS[provider]), vendor=vendor)
    out = (
        Translators(FORMATS[client], FORMATS)
        .to(provider)
        .outgoing(call_of(client, document), asking)
    )
    told = json.loads(out.body)
    if provider in refusals.OF_FORMAT:
        refusals.OF_FORMAT[provider](told)
    return told, out.losses


def answered(client: str, provider: str, document: dict[str, Any], turn: Turn) -> dict[str, Any]:
    """The whole answer as the client reads it, after a provider's with this turn."""
    call = call_of(client, document)
    translator = Translators(FORMATS[client], FORMATS).to(provider)
    body = FORMATS[provider].translation.answer(asked_of(provider), turn, Usage(output=1))
    told: dict[str, Any] = json.loads(
        translator.told(call, translator.whole(body), Usage(output=1))
    )
    return told


def streamed(client: str, provider: str, document: dict[str, Any], turn: Turn) -> bytes:
    """The same as a stream, every text of the provider in pieces of three characters."""
    call = call_of(client, document, is_stream=True)
    reader = Translators(FORMATS[client], FORMATS).to(provider).stream(call, len)
    writer = FORMATS[provider].translation.writer(asked_of(provider))
    body = writer.write(list(events_of(turn))) + writer.closing(Usage(output=1))
    pieces = [*reader.feed(body), *reader.finish()]
    assert reader.error is None
    told = b"".join(piece.raw for piece in pieces if piece.kind != "end")
    return told + reader.closing(Usage(output=1))


def asked_of(provider: str) -> ChatCall:
    """Whatever the provider was asked."""
    members: dict[str, dict[str, Any]] = {
        "openai_responses": {"input": "x"},
        "anthropic_messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
        "gemini": {"contents": "x"},
    }
    return call_of(provider, members.get(provider, {"messages": [SAID]}))


def events_of(turn: Turn) -> Any:  # noqa: ANN401 - an iterator of events
    yield Begun(id=turn.id, model=turn.model)
    for number, part in enumerate(turn.choices[0].parts):
        assert isinstance(part, Text | ToolCall)
        words = part.text if isinstance(part, Text) else part.arguments
        empty: Text | ToolCall = (
            replace(part, text="") if isinstance(part, Text) else replace(part, arguments="")
        )
        yield PartBegun(choice=0, number=number, part=empty)
        for at in range(0, len(words), 3):
            yield TextDelta(choice=0, number=number, text=words[at : at + 3])
        yield PartEnded(choice=0, number=number)
    yield Stopped(choice=0, stop=turn.choices[0].stop)


def turn_of(*parts: Text | ToolCall, stop: StopReason = "tool_calls") -> Turn:
    return Turn(format="", id="r_1", model="m", choices=(Choice(parts=parts, stop=stop),))


def items_in(told: bytes) -> list[dict[str, Any]]:
    """The output of the last event of a Responses stream."""
    last = [line for line in told.splitlines() if line.startswith(b"data: {")][-1]
    output: list[dict[str, Any]] = json.loads(last[6:])["response"]["output"]
    return output


SAID = {"role": "user", "content": "hi"}
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


CLAUDE_CODE = {
    "max_tokens": 1,
    "metadata": {"user_id": "user_" + "9" * 180},
    "stop_sequences": ["a", "b", "c", "d", "STOP"],
    "messages": [
        SAID,
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_" + "y" * 60, "name": LONG, "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_" + "y" * 60, "content": "r"}
            ],
        },
    ],
    "tools": [
        {"name": LONG, "input_schema": {"type": "object"}},
        {"name": LONG + "_2", "input_schema": {"type": "object", "properties": {"a": {}}}},
        {"name": "short", "input_schema": {"type": "object", "properties": {}}},
    ],
}


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


@pytest.mark.parametrize("vendor", ["groq", "mistral"])
def test_c4_members_that_a_vendor_forbids_are_left_out(vendor: str) -> None:
    request = {"input": "hi", "prompt_cache_key": "k", "text": {"verbosity": "low"}}
    document, losses = sent("openai_responses", "openai_chat", request, "some-model", vendor)
    assert not {"prompt_cache_key", "verbosity"} & document.keys()
    assert sorted(losses) == ["prompt_cache_key", "verbosity"]
    document, losses = sent("openai_responses", "openai_chat", request, "gpt-5.1", "openai")
    assert (document["prompt_cache_key"], document["verbosity"]) == ("k", "low")
    assert losses == ()
