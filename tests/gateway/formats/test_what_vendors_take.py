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
    if provider == "gemini":
        refusals.gemini(told, model or MODELS[provider])
    else:
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


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
TWO_CALLS = {
    "max_tokens": 32_000,
    "messages": [
        SAID,
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"n": 1}},
                {"type": "tool_use", "id": "t2", "name": "g", "input": {"n": 2}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t2", "content": "second"},
                {"type": "tool_result", "tool_use_id": "t1", "content": [PICTURE]},
                {"type": "text", "text": "go on"},
            ],
        },
    ],
    "tools": [
        {"name": name, "input_schema": {"type": "object", "properties": {}}} for name in "fgh"
    ],
}


def test_c1_vertex_is_sent_no_ids_and_results_in_the_order_of_their_calls() -> None:
    document, losses = sent(
        "anthropic_messages", "gemini", TWO_CALLS, "gemini-3-pro-preview", "vertex"
    )
    refusals.vertex(document)
    results = [
        part["functionResponse"]["name"]
        for content in document["contents"]
        for part in content["parts"]
        if "functionResponse" in part
    ]
    assert results == ["f", "g"]
    assert losses == ()


def test_c1_the_gemini_api_is_sent_them() -> None:
    document, _ = sent("anthropic_messages", "gemini", TWO_CALLS, "gemini-2.5-pro", "gemini")
    assert [part["functionCall"]["id"] for part in document["contents"][1]["parts"]] == ["t1", "t2"]


def test_c1_a_client_of_the_same_format_may_send_them_to_vertex() -> None:
    parts = [{"functionCall": {"id": "t1", "name": "f", "args": {"id": "own"}}}]
    answer = [{"function_response": {"id": "t1", "name": "f", "response": {"id": "own"}}}]
    request = {"contents": [{"role": "model", "parts": parts}, {"role": "user", "parts": answer}]}
    for vendor, is_kept in (("vertex", False), ("gemini", True)):
        out = (
            Translators(FORMATS["gemini"], FORMATS)
            .to("gemini")
            .outgoing(call_of("gemini", request), Asking(Suffix("gemini-2.5-pro"), vendor=vendor))
        )
        called, answered_ = json.loads(out.body)["contents"]
        assert ("id" in called["parts"][0]["functionCall"]) is is_kept
        assert ("id" in answered_["parts"][0]["function_response"]) is is_kept
        assert called["parts"][0]["functionCall"]["args"] == {"id": "own"}


CODEX_BETWEEN: dict[str, Any] = {
    "input": [
        {"role": "user", "content": "both"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"role": "developer", "content": "mind the gap"},
        {"type": "function_call_output", "call_id": "c2", "output": "two"},
        {"role": "user", "content": "and now"},
    ]
}


def test_c6_results_of_parallel_calls_follow_their_calls() -> None:
    document, losses = sent("openai_responses", "openai_chat", CODEX_BETWEEN)
    roles = [message["role"] for message in document["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "developer", "user"]
    assert losses == ()


def test_c6_a_text_beside_the_first_result_waits_for_the_second() -> None:
    request: dict[str, Any] = json.loads(json.dumps(TWO_CALLS))
    second, first, text = request["messages"][2]["content"]
    request["messages"][2:] = [
        {"role": "user", "content": [second, text]},
        {"role": "user", "content": [first]},
    ]
    document, _ = sent("anthropic_messages", "openai_chat", request)
    roles = [message["role"] for message in document["messages"]]
    assert roles[:4] == ["user", "assistant", "tool", "tool"]
    assert "go on" in json.dumps(document["messages"][4:])


def test_c6_calls_that_were_never_answered_hold_nothing_back() -> None:
    items = CODEX_BETWEEN["input"]
    request = {"input": [*items[:4], items[4], items[6], {"role": "assistant", "content": "so"}]}
    document, _ = sent("openai_responses", "openai_chat", request)
    roles = [message["role"] for message in document["messages"]]
    assert roles == ["user", "assistant", "tool", "developer", "user", "assistant"]


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


def test_c8_an_image_of_a_result_is_shown_in_the_next_turn_of_the_user() -> None:
    document, _ = sent("anthropic_messages", "gemini", TWO_CALLS, "gemini-2.5-pro")
    *_, results, shown = document["contents"]
    assert all("functionResponse" in part or "text" in part for part in results["parts"])
    assert [part["inlineData"]["data"] for part in shown["parts"] if "inlineData" in part] == [PNG]
    document, _ = sent("anthropic_messages", "gemini", TWO_CALLS, "gemini-3-pro-preview")
    told = json.dumps(document["contents"][2]["parts"][1]["functionResponse"]["parts"])
    assert PNG in told


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


LINE = "x-anthropic-billing-header: cc_version=2.1.177; cc_entrypoint=cli; cch={};"


def system_of(nonce: str) -> list[list[dict[str, Any]] | str]:
    """How claude-code says it, in blocks, and how others who carry it on do."""
    own = {"type": "text", "text": "You are Claude Code"}
    return [[{"type": "text", "text": LINE.format(nonce)}, own], f"{LINE.format(nonce)}\nYou are"]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("provider", "vendor"),
    [("openai_chat", "groq"), ("openai_responses", "openai"), ("gemini", "gemini"),
     ("anthropic_messages", "deepseek")],
)  # fmt: skip
def test_c11_no_other_vendor_is_told_the_billing_line(
    provider: str, vendor: str, place: int
) -> None:
    sent_ = [
        sent(
            "anthropic_messages", provider,
            {"max_tokens": 99, "messages": [SAID], "system": system_of(nonce)[place]}, "", vendor,
        )
        for nonce in ("aaaaa", "bbbbb")
    ]  # fmt: skip
    (first, losses), (second, _) = sent_
    assert first == second
    assert "You are" in json.dumps(first)
    assert losses == ("x-anthropic-billing-header",)


@pytest.mark.parametrize("place", [0, 1])
def test_c11_anthropic_is(place: int) -> None:
    request = {"max_tokens": 99, "messages": [SAID], "system": system_of("ccccc")[place]}
    document, losses = sent("anthropic_messages", "anthropic_messages", request, "", "anthropic")
    assert document["system"] == system_of("ccccc")[place]
    assert losses == ()


def test_c11_a_line_that_only_speaks_of_it_stays() -> None:
    request = {"max_tokens": 99, "messages": [SAID], "system": "Never say " + LINE}
    document, losses = sent("anthropic_messages", "openai_chat", request)
    assert document["messages"][0]["content"] == "Never say " + LINE
    assert losses == ()


BOUNDED = {
    "type": "object",
    "properties": {
        "age": {"type": "integer", "minimum": 0, "maximum": 150, "description": "In years"},
        "names": {"type": "array", "items": {"type": "string", "minLength": 2}, "minItems": 2},
        "some": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "inner": {"oneOf": [{"type": "object", "properties": {"minimum": {"type": "string"}}}]},
    },
    "required": ["age", "names", "some", "inner"],
}


def test_c9_what_claude_does_not_enforce_is_told_in_words() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "schema": BOUNDED}}
    request = {"messages": [SAID], "response_format": wanted}
    document, losses = sent("openai_chat", "anthropic_messages", request)
    schema = document["output_config"]["format"]["schema"]
    told = schema["properties"]
    assert told["age"]["description"] == "In years (minimum: 0, maximum: 150)"
    assert told["names"]["description"] == "minItems: 2"
    assert told["names"]["items"] == {"type": "string", "description": "minLength: 2"}
    assert told["some"]["minItems"] == 1
    (inner,) = told["inner"]["anyOf"]
    assert list(inner["properties"]) == ["minimum"]
    assert schema["additionalProperties"] is inner["additionalProperties"] is False
    assert set(losses) == {
        f"response_format.{name}" for name in ("minimum", "maximum", "minItems", "minLength")
    }


def test_c9_strict_tools_too_and_others_stay_as_they_are() -> None:
    def tool(name: str, **members: object) -> dict[str, Any]:
        return {"type": "function", "name": name, "parameters": BOUNDED, **members}

    request = {"input": "hi", "tools": [tool("f", strict=True), tool("g", strict=False)]}
    document, losses = sent("openai_responses", "anthropic_messages", request)
    assert "minimum" not in document["tools"][0]["input_schema"]["properties"]["age"]
    assert document["tools"][1]["input_schema"] == BOUNDED
    assert "tools.minimum" in losses


def test_c9_no_more_than_twenty_tools_are_strict() -> None:
    simple = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    tools = [
        {"type": "function", "name": f"f{number}", "strict": True, "parameters": simple}
        for number in range(22)
    ]
    request = {"input": "hi", "tools": tools}
    document, losses = sent("openai_responses", "anthropic_messages", request)
    assert [bool(tool.get("strict")) for tool in document["tools"]] == [True] * 20 + [False] * 2
    assert losses == ("tools.strict",)


def test_c9_nor_more_than_24_parameters_optional() -> None:
    many = {f"p{number}": {"type": "string"} for number in range(13)}
    tools = [
        {"type": "function", "name": name, "strict": True,
         "parameters": {"type": "object", "properties": many}}
        for name in "fg"
    ]  # fmt: skip
    document, losses = sent(
        "openai_responses", "anthropic_messages", {"input": "hi", "tools": tools}
    )
    assert [bool(tool.get("strict")) for tool in document["tools"]] == [True, False]
    assert losses == ("tools.strict",)
