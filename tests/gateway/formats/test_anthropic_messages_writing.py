"""Conversations of other formats as Messages requests: what each model takes, and what is lost."""

import base64
import json
from typing import Any

import pytest

from gateway.conversation.parts import (
    Address,
    CacheMark,
    Foreign,
    Inline,
    Media,
    Refusal,
    Stored,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import (
    CodeExecution,
    Conversation,
    CustomTool,
    ForeignTool,
    FunctionTool,
    Message,
    OutputFormat,
    Reasoning,
    Sampling,
    ToolChoice,
    WebSearch,
)
from gateway.errors import InvalidRequest
from gateway.formats.anthropic_messages.format import AnthropicMessages
from gateway.formats.translator import written_for
from gateway.formats.values import ChatCall

MESSAGES = AnthropicMessages()
TRANSLATION = MESSAGES.translation
NAME = MESSAGES.name
MODEL = "claude-opus-4-8"
BUDGETED = "claude-sonnet-4-5-20250929"
HELLO = Message(role="user", parts=(Text(text="hello"),))
PNG = "iVBORw0KGgo="
F = FunctionTool(name="f", parameters={"type": "object", "properties": {}})


def call(**members: object) -> ChatCall:
    told = {"model": MODEL, "max_tokens": 9_000, "messages": [{"role": "user", "content": "x"}]}
    document = {**told, **members}
    return MESSAGES.read_request(document, json.dumps(document).encode())


def written(
    *messages: Message,
    model: str = MODEL,
    **members: Any,  # noqa: ANN401 - of any field
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A conversation of another format as a request."""
    conversation = Conversation(format="openai_chat", messages=messages or (HELLO,), **members)
    told = written_for(MESSAGES, conversation, model)
    return told.document, told.losses


def test_messages_are_in_the_order_that_the_format_demands() -> None:
    document, losses = written(
        Message(role="system", parts=(Text(text="S"),)),
        Message(role="developer", parts=(Text(text="D"),)),
        Message(role="assistant", parts=(Text(text="I begin"), Text(text="  "))),
        Message(role="assistant", parts=(ToolCall(id="1", name="f", arguments='{"a":1}'),)),
        Message(role="assistant", parts=(ToolCall(id="2", name="f", arguments=""),)),
        Message(role="user", parts=(ToolResult(call_id="1", content=(Text(text="one"),)),)),
        Message(role="user", parts=(Text(text="meanwhile"),)),
        Message(role="user", parts=(ToolResult(call_id="2", content=()),)),
        Message(role="assistant", parts=(Text(text=""),)),
        tools=(F,),
    )
    assert [block["text"] for block in document["system"]] == ["S", "D"]
    first, called, answered = document["messages"]
    assert (first, losses) == (
        {"role": "user", "content": [{"type": "text", "text": "..."}]},
        ("messages.first",),
    )
    assert [block["type"] for block in called["content"]] == ["text", "tool_use", "tool_use"]
    assert [block["input"] for block in called["content"][1:]] == [{"a": 1}, {}]
    assert answered["content"] == [
        {"type": "tool_result", "tool_use_id": "1", "content": "one"},
        {"type": "tool_result", "tool_use_id": "2"},
        {"type": "text", "text": "meanwhile"},
    ]


def test_later_instructions_stay_where_the_model_takes_them() -> None:
    said = Message(role="assistant", parts=(Text(text="ok"),))
    later = Message(role="developer", parts=(Text(text="now in Latvian"),))
    document, losses = written(HELLO, later, said, HELLO, later)
    roles = [message["role"] for message in document["messages"]]
    assert (roles, losses) == (["user", "system", "assistant", "user", "system"], ())
    document, losses = written(HELLO, later, HELLO, said, later)
    assert [message["role"] for message in document["messages"]] == ["user", "assistant"]
    assert (len(document["system"]), losses) == (2, ("system_position",))
    document, losses = written(HELLO, later, said, model=BUDGETED)
    assert [block["text"] for block in document["system"]] == ["now in Latvian"]
    assert losses == ("system_position",)


def test_instructions_alone_are_a_conversation() -> None:
    document, losses = written(Message(role="system", parts=(Text(text="S"),)))
    assert (len(document["messages"]), losses) == (1, ("messages.first",))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", {}),
        ("{}", {}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1', {"_raw": '{"a": 1'}),
        ("[1]", {"_raw": "[1]"}),
        ("5", {"_raw": "5"}),
    ],
)
def test_arguments_are_an_object_and_never_lost(arguments: str, told: dict[str, Any]) -> None:
    called = Message(role="assistant", parts=(ToolCall(id="1", name="f", arguments=arguments),))
    document, _ = written(HELLO, called, tools=(F,))
    assert document["messages"][1]["content"][0]["input"] == told
    read = TRANSLATION.conversation(call(messages=document["messages"], tools=document["tools"]))
    (part,) = read.messages[1].parts
    assert isinstance(part, ToolCall)
    assert part.arguments.replace(" ", "") == (arguments or "{}").replace(" ", "")


def test_ids_that_the_format_refuses_are_replaced_alike_for_call_and_result() -> None:
    odd = "call_1|fc_2/ü"
    called = Message(role="assistant", parts=(ToolCall(id=odd, name="f", arguments="{}"),))
    result = Message(role="user", parts=(ToolResult(call_id=odd, content=()),))
    document, _ = written(HELLO, called, result, tools=(F,))
    told = document["messages"][1]["content"][0]["id"]
    assert document["messages"][2]["content"][0]["tool_use_id"] == told
    assert told.replace("_", "").replace("-", "").isalnum()
    assert told.isascii()


def test_thoughts_that_others_signed_are_named_as_lost() -> None:
    thoughts = (
        Thinking(text="mine", signature="s", signed_by=NAME),
        Thinking(text="", signature="d", signed_by=NAME, is_redacted=True),
        Thinking(text="theirs", signature="s", signed_by="gemini"),
        Thinking(text="nobody's"),
        ToolCall(id="1", name="f", arguments="{}", signature="g"),
    )
    document, losses = written(HELLO, Message(role="assistant", parts=thoughts), tools=(F,))
    assert document["messages"][1]["content"][:2] == [
        {"type": "thinking", "thinking": "mine", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    ]
    assert len(document["messages"][1]["content"]) == 3
    assert losses == ("thinking", "tool_calls.signature")


@pytest.mark.parametrize(
    ("media", "source"),
    [
        (
            Media(kind="image", source=Inline(media_type="", data="/9j/AAAA")),
            {"type": "base64", "media_type": "image/jpeg", "data": "/9j/AAAA"},
        ),
        (
            Media(kind="image", source=Inline(media_type="image/jpg", data="AAAA")),
            {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"},
        ),
        (
            Media(kind="document", source=Inline(media_type="", data="JVBERi0AAA==")),
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0AAA=="},
        ),
        (
            Media(
                kind="document",
                source=Inline(
                    media_type="text/csv", data=base64.b64encode("a,ü".encode()).decode()
                ),
            ),
            {"type": "text", "media_type": "text/plain", "data": "a,ü"},
        ),
        (
            Media(kind="document", source=Address(url="https://x.invalid/a.pdf")),
            {"type": "url", "url": "https://x.invalid/a.pdf"},
        ),
    ],
)
def test_media_are_told_as_the_format_wants_them(media: Media, source: dict[str, Any]) -> None:
    document, losses = written(Message(role="user", parts=(media,)))
    assert document["messages"][0]["content"][0]["source"] == source
    assert losses == ()


WAV = Inline(media_type="audio/wav", data="AAAA")
DOCX = Inline(media_type="application/vnd.openxmlformats", data="AAAA")


@pytest.mark.parametrize(
    "members",
    [
        {"messages": (Message(role="user", parts=(Media(kind="audio", source=WAV),)),)},
        {"messages": (Message(role="user", parts=(Media(kind="video", source=WAV),)),)},
        {"messages": (Message(role="user", parts=(Media(kind="document", source=DOCX),)),)},
        {
            "messages": (
                Message(role="user", parts=(Media(kind="image", source=Stored(file_id="f")),)),
            )
        },
        {"choices": 2},
        {"modalities": ("text", "audio")},
    ],
)
def test_what_would_change_the_meaning_is_refused(members: dict[str, Any]) -> None:
    conversation = Conversation(format="openai_chat", **{"messages": (HELLO,), **members})
    with pytest.raises(InvalidRequest) as refusal:
        TRANSLATION.request(conversation, MODEL)
    assert refusal.value.code == "not_expressible"


def test_losses_are_named_once_each() -> None:
    parts = (
        Media(kind="image", source=Address(url="u"), detail="low"),
        Media(kind="image", source=Address(url="v"), detail="auto"),
        Media(kind="image", source=Address(url="w"), detail="low"),
        Foreign(format="openai_chat", kind="odd", value={}),
    )
    answered = (Media(kind="image", source=Address(url="u")), Refusal(text="no"))
    document, losses = written(
        Message(role="user", parts=parts, name="ada"),
        Message(role="assistant", parts=answered),
        sampling=Sampling(
            seed=1,
            frequency_penalty=0.5,
            presence_penalty=0.5,
            logit_bias={"5": 1},
            wants_logprobs=True,
            stop=("\n", "END"),
        ),
        verbosity="low",
        service="flex",
        is_stored=True,
        prompt_cache_key="k",
        metadata={"a": "b"},
        foreign={"prediction": {}},
        tools=(
            CustomTool(name="g", grammar={}),
            ForeignTool(format="openai_chat", kind="odd", value={}),
            WebSearch(allowed_domains=("a",), blocked_domains=("b",)),
        ),
    )
    assert losses == (
        "tools.grammar",
        "messages.name",
        "image.detail",
        "odd",
        "assistant.image",
        "tools.odd",
        "web_search.blocked_domains",
        "metadata",
        "service_tier",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "logprobs",
        "verbosity",
        "store",
        "prompt_cache_key",
        "prediction",
    )
    assert document["messages"][1]["content"] == [{"type": "text", "text": "no"}]
    assert document["stop_sequences"] == ["END"]


# ---------------------------------------------------------------------- options by model


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-3-opus-20240229", 4_096),
        ("claude-3-5-sonnet-20241022", 8_192),
        ("claude-opus-4-1-20250805", 16_384),
        (MODEL, 16_384),
        ("kimi-k3", 16_384),
    ],
)
def test_c18_without_a_limit_it_is_the_models_own_or_the_default(model: str, expected: int) -> None:
    assert written(model=model)[0]["max_tokens"] == expected
    assert written(model=model, max_output_tokens=0)[0]["max_tokens"] == 0


ENABLED, ADAPTIVE, DISABLED = "enabled", {"type": "adaptive"}, {"type": "disabled"}


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort", "losses"),
    [
        (MODEL, Reasoning(is_on=True, effort="xhigh"), ADAPTIVE, "xhigh", ()),
        (MODEL, Reasoning(effort="minimal"), ADAPTIVE, "low", ()),
        (MODEL, Reasoning(effort="heroic"), ADAPTIVE, "high", ("reasoning.effort",)),
        (MODEL, Reasoning(is_on=True), ADAPTIVE, None, ()),
        (
            MODEL,
            Reasoning(is_on=True, budget_tokens=5_000),
            ADAPTIVE,
            None,
            ("reasoning.budget_tokens",),
        ),
        (MODEL, Reasoning(is_on=False, effort="none"), DISABLED, None, ()),
        ("anthropic/claude-4.6-opus", Reasoning(effort="max"), ADAPTIVE, "max", ()),
        ("claude-opus-4-6", Reasoning(effort="xhigh"), ADAPTIVE, "high", ("reasoning.effort",)),
        ("claude-mythos-preview", Reasoning(is_on=False), None, None, ("reasoning",)),
        (BUDGETED, Reasoning(is_on=False), DISABLED, None, ()),
        ("claude-3-5-haiku-latest", Reasoning(effort="low"), None, None, ("reasoning",)),
        ("claude-3-5-haiku-latest", Reasoning(is_on=False), None, None, ()),
    ],
)
def test_thinking_in_the_words_the_model_knows(
    model: str,
    reasoning: Reasoning,
    thinking: dict[str, Any] | None,
    effort: str | None,
    losses: tuple[str, ...],
) -> None:
    document, told = written(model=model, reasoning=reasoning)
    assert document.get("thinking") == thinking
    assert document.get("output_config", {}).get("effort") == effort
    assert told == losses


@pytest.mark.parametrize(
    ("limit", "reasoning", "budget", "max_tokens", "losses"),
    [
        (None, Reasoning(effort="low"), 1_280, 16_384 + 1_280, ()),
        (None, Reasoning(effort="medium"), 2_048, 16_384 + 2_048, ()),
        (None, Reasoning(effort="high"), 4_096, 16_384 + 4_096, ()),
        (None, Reasoning(is_on=True), 2_048, 16_384 + 2_048, ()),
        (None, Reasoning(budget_tokens=20_000), 20_000, 36_384, ()),
        (10_000, Reasoning(effort="high"), 4_096, 10_000, ()),
        (3_000, Reasoning(effort="high"), 2_999, 3_000, ()),
        (3_000, Reasoning(budget_tokens=5_000), 2_999, 3_000, ("reasoning.budget_tokens",)),
        (3_000, Reasoning(budget_tokens=5), 1_024, 3_000, ("reasoning.budget_tokens",)),
        (1_024, Reasoning(effort="high"), None, 1_024, ("reasoning",)),
    ],
)
def test_a_budget_lies_below_the_limit_and_never_raises_the_clients_own(
    limit: int | None,
    reasoning: Reasoning,
    budget: int | None,
    max_tokens: int,
    losses: tuple[str, ...],
) -> None:
    document, told = written(model=BUDGETED, reasoning=reasoning, max_output_tokens=limit)
    expected = None if budget is None else {"type": "enabled", "budget_tokens": budget}
    assert (document.get("thinking"), document["max_tokens"]) == (expected, max_tokens)
    assert told == losses


def test_thinking_yields_to_a_forced_tool_and_to_calls_whose_thoughts_are_gone() -> None:
    reasoning = Reasoning(effort="high")
    forced, losses = written(
        reasoning=reasoning, tools=(F,), tool_choice=ToolChoice(mode="required")
    )
    assert ("thinking" in forced, losses) == (False, ("reasoning",))
    called = Message(role="assistant", parts=(ToolCall(id="1", name="f", arguments="{}"),))
    result = Message(role="user", parts=(ToolResult(call_id="1", content=()),))
    conversation = (HELLO, called, result)
    document, losses = written(*conversation, model=BUDGETED, reasoning=reasoning, tools=(F,))
    assert ("thinking" in document, losses) == (False, ("reasoning",))
    document, losses = written(*conversation, reasoning=reasoning, tools=(F,))
    assert (document["thinking"], losses) == (ADAPTIVE, ())


@pytest.mark.parametrize(
    ("model", "sampling", "thinks", "told", "losses"),
    [
        (BUDGETED, Sampling(temperature=0.3, top_k=4), False, {"temperature": 0.3, "top_k": 4}, ()),
        (BUDGETED, Sampling(temperature=1.7), False, {"temperature": 1}, ("temperature",)),
        (BUDGETED, Sampling(temperature=0.3, top_p=0.5), False, {"temperature": 0.3}, ("top_p",)),
        (
            "claude-3-haiku-20240307",
            Sampling(temperature=0.3, top_p=0.5),
            False,
            {"temperature": 0.3, "top_p": 0.5},
            (),
        ),
        (BUDGETED, Sampling(temperature=1, top_k=4), True, {"temperature": 1}, ("top_k",)),
        (BUDGETED, Sampling(temperature=0.3), True, {}, ("temperature",)),
        (BUDGETED, Sampling(top_p=0.97), True, {"top_p": 0.97}, ()),
        (BUDGETED, Sampling(top_p=0.5), True, {}, ("top_p",)),
        (
            MODEL,
            Sampling(temperature=1, top_p=1, top_k=1),
            False,
            {},
            ("temperature", "top_p", "top_k"),
        ),
    ],
)
def test_sampling_is_what_the_model_takes(
    model: str, sampling: Sampling, thinks: bool, told: dict[str, Any], losses: tuple[str, ...]
) -> None:
    reasoning = Reasoning(effort="low") if thinks else None
    document, lost = written(model=model, sampling=sampling, reasoning=reasoning)
    drawn = {name: document[name] for name in ("temperature", "top_p", "top_k") if name in document}
    assert (drawn, lost) == (told, losses)


def test_structured_output_where_the_model_has_it() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    asked = OutputFormat(kind="schema", schema=schema, name="s", is_strict=True)
    document, losses = written(output=asked, reasoning=Reasoning(effort="low"))
    assert document["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": schema},
    }
    assert losses == ()
    assert written(output=asked, model="claude-opus-4-1")[1] == ("response_format",)
    assert written(output=OutputFormat(kind="json"))[1] == ("response_format",)
    assert written(output=OutputFormat(kind="text"))[1] == ()


def test_tools_of_other_formats() -> None:
    strict = FunctionTool(name="h", is_strict=True, cache=CacheMark(ttl="1h"))
    search = WebSearch(context_size="medium", city="Riga")
    document, losses = written(
        tools=(F, CustomTool(name="g", description="d"), strict, search, CodeExecution()),
        parallel_tool_calls=False,
        user="u",
        service="priority",
    )
    string = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    assert document["tools"] == [
        {"name": "f", "input_schema": {"type": "object", "properties": {}}},
        {"name": "g", "description": "d", "input_schema": string},
        {
            "name": "h",
            "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
            "strict": True,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "max_uses": 5,
            "user_location": {"type": "approximate", "city": "Riga"},
        },
        {"type": "code_execution_20250825", "name": "code_execution"},
    ]
    assert document["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert (document["metadata"], document["service_tier"]) == ({"user_id": "u"}, "auto")
    assert losses == ()
    assert written(tools=(strict,), model="claude-opus-4-1")[1] == ("tools.strict",)
    custom = ToolCall(id="1", name="g", arguments="plain", is_custom=True)
    document, _ = written(HELLO, Message(role="assistant", parts=(custom,)))
    assert document["messages"][1]["content"][0]["input"] == {"input": "plain"}


def test_several_named_tools_are_the_only_ones_told_of() -> None:
    tools = (F, FunctionTool(name="g"), FunctionTool(name="h"), WebSearch())
    choice = ToolChoice(mode="required", names=("f", "h"))
    document, _ = written(tools=tools, tool_choice=choice)
    assert [tool["name"] for tool in document["tools"]] == ["f", "h"]
    assert document["tool_choice"] == {"type": "any"}


def test_calls_in_the_past_define_their_tools_and_forbid_them() -> None:
    called = Message(role="assistant", parts=(ToolCall(id="1", name="f", arguments="{}"),))
    result = Message(role="user", parts=(ToolResult(call_id="1", content=()),))
    document, _ = written(HELLO, called, result)
    assert document["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert document["tool_choice"] == {"type": "none"}
