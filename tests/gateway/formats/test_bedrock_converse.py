"""Converse: what providers are sent."""

import base64
import json
from typing import Any

import msgspec
import pytest

from gateway.conversation.parts import (
    CacheMark,
    Inline,
    Media,
    MediaKind,
    Part,
    PlainDocument,
    Source,
    Stored,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import (
    Conversation,
    CustomTool,
    FunctionTool,
    Message,
    OutputFormat,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
    WebSearch,
)
from gateway.errors import InvalidRequest
from gateway.formats.bedrock_converse.format import BedrockConverse
from gateway.formats.translator import written_for
from gateway.formats.values import ChatCall
from tests.gateway.formats.converse_requests import complaint

FORMAT = BedrockConverse()
TRANSLATION = FORMAT.translation
NOVA, NOVA_2 = "us.amazon.nova-pro-v1:0", "us.amazon.nova-2-lite-v1:0"
LLAMA, COHERE = "us.meta.llama3-3-70b-instruct-v1:0", "cohere.command-r-v1:0"
MISTRAL, DEEPSEEK = "mistral.mistral-large-2407-v1:0", "deepseek.v3-v1:0"
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
QWEN = "qwen.qwen3-32b-v1:0"
PNG, JPEG = "iVBORw0KGgoAAAANSUhEUg==", "/9j/4AAQSkZJRg=="
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
F = FunctionTool(name="f", description="d", parameters=SCHEMA)
G = FunctionTool(name="g")
CALLED = (
    Message(role="user", parts=(Text(text="hi"),)),
    Message(role="assistant", parts=(ToolCall(id="c1", name="f", arguments='{"a":1}'),)),
    Message(role="user", parts=(ToolResult(call_id="c1", content=(Text(text="r"),)),)),
)
CALL = ChatCall("m", True, None, 1, True, {}, b"{}")


def written(
    *parts: Part,
    model: str = NOVA,
    messages: tuple[Message, ...] = (),
    **more: Any,  # noqa: ANN401 - of Conversation
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A request, which AWS's own description must approve of, and its losses."""
    told = messages or (Message(role="user", parts=parts or (Text(text="hi"),)),)
    conversation = Conversation(format="openai_chat", messages=told, **more)
    request = written_for(FORMAT, conversation, model)
    document = json.loads(msgspec.json.encode(request.document))
    assert complaint(document) == ""
    return document, request.losses


def content(*parts: Part, model: str = NOVA) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = written(*parts, model=model)[0]["messages"][0]["content"]
    return blocks


def test_a_whole_conversation() -> None:
    document, losses = written(
        messages=(
            Message(role="system", parts=(Text(text="be brief"),)),
            Message(role="developer", parts=(Text(text="and kind"),)),
            *CALLED,
        ),
        tools=(F,),
        max_output_tokens=9,
        sampling=Sampling(temperature=0.5, top_p=0.9, stop=("x", "")),
        metadata={"team": "a", "odd": "{"},
        service="flex",
        is_stream=True,
    )
    assert document == {
        "system": [{"text": "be brief"}, {"text": "and kind"}],
        "messages": [
            {"role": "user", "content": [{"text": "hi"}]},
            {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}}],
            },
            {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "r"}]}}],
            },
        ],
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": SCHEMA}}}
            ]
        },
        "inferenceConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "stopSequences": ["x"],
            "maxTokens": 9,
        },
        "requestMetadata": {"team": "a"},
        "serviceTier": {"type": "flex"},
    }
    assert losses == ("metadata",)


def test_roles_take_turns_and_the_user_begins() -> None:
    document, losses = written(
        messages=(
            Message(role="assistant", parts=(Text(text="a"),)),
            Message(role="user", parts=(Text(text=" "),)),
            Message(role="assistant", parts=(Text(text="b"),)),
            Message(role="system", parts=(Text(text="late"),)),
            Message(role="user", name="n", parts=(Text(text="c"),)),
        )
    )
    assert document["messages"] == [
        {"role": "user", "content": [{"text": "..."}]},
        {"role": "assistant", "content": [{"text": "a"}, {"text": "b"}]},
        {"role": "user", "content": [{"text": "c"}]},
    ]
    assert document["system"] == [{"text": "late"}]
    assert losses == ("system_position", "messages.name", "messages.first")


@pytest.mark.parametrize(
    ("kind", "media_type", "data", "title", "told"),
    [
        ("image", "image/png", "AA==", "", "png"),
        ("image", "image/jpg", "AA==", "", "jpeg"),
        ("image", "", JPEG, "", "jpeg"),
        ("image", "application/octet-stream", PNG, "", "png"),
        ("document", "application/pdf", "AA==", "", "pdf"),
        ("document", "text/csv; charset=utf-8", "AA==", "", "csv"),
        ("document", "text/x-python", "AA==", "", "txt"),
        ("document", "application/octet-stream", "AA==", "plan.DOCX", "docx"),
        ("document", "", "JVBERi0xLjQK", "", "pdf"),
        ("video", "video/mp4", "AA==", "", "mp4"),
        ("audio", "audio/wav", "AA==", "", "wav"),
    ],
)
def test_media_are_told_as_bytes_of_a_format(
    kind: MediaKind, media_type: str, data: str, title: str, told: str
) -> None:
    source = Inline(media_type=media_type, data=data)
    block = content(Text(text="see"), Media(kind=kind, source=source, title=title))[1][kind]
    assert block["format"] == told
    assert block["source"] == {"bytes": data}


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("image", Inline(media_type="image/tiff", data="AA==")),
        ("image", Inline(media_type="image/tiff", data="JVBERi0xLjQK")),
        ("document", Inline(media_type="application/zip", data="AA==")),
        ("audio", Inline(media_type="audio/midi", data=PNG)),
        ("image", Stored(file_id="f")),
    ],
)
def test_media_without_a_format_are_refused(kind: MediaKind, source: Source) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        written(Media(kind=kind, source=source))
    assert refusal.value.code == "not_expressible"


def test_no_address_is_the_providers_to_fetch() -> None:
    assert not TRANSLATION.takes_address(Media(kind="image", source=Stored(file_id="s3://b/k")))


def test_documents_have_names_of_their_own_and_words_beside_them() -> None:
    plain = PlainDocument(text="ä", title="a/b.txt", context="c", wants_citations=True)
    document, losses = written(
        plain, PlainDocument(text="x", title="a b txt"), PlainDocument(text="y")
    )
    first, second, third, words = document["messages"][0]["content"]
    assert first["document"] == {
        "format": "txt",
        "name": "a b txt",
        "source": {"bytes": base64.b64encode("ä".encode()).decode()},
    }
    assert second["document"]["name"] == "a b txt 2"
    assert third["document"]["name"] == "document"
    assert words == {"text": "..."}
    assert losses == (
        "document.title",
        "document.context",
        "document.citations",
        "messages.text",
    )
    cited = content(Text(text="see"), plain, model=CLAUDE)[1]["document"]
    assert (cited["context"], cited["citations"]) == ("c", {"enabled": True})


RESULT = ToolResult(
    call_id="c1",
    content=(Text(text="r"), Media(kind="image", source=Inline(media_type="", data=PNG))),
    is_error=True,
)


def test_results_hold_images_where_the_model_takes_them_there() -> None:
    calls = CALLED[:2]
    image = {"image": {"format": "png", "source": {"bytes": PNG}}}
    asked = (*calls, Message(role="user", parts=(Text(text="so"), RESULT)))
    document, losses = written(messages=asked, tools=(F,))
    assert document["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "r"}, image], "status": "error"}},
        {"text": "so"},
    ]
    assert losses == ()
    document, losses = written(messages=asked, tools=(F,), model=LLAMA)
    assert document["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "r"}]}},
        {"text": "Shown by the tool call c1:"},
        image,
        {"text": "so"},
    ]
    assert losses == ("tool_result.is_error",)


def test_ids_and_arguments_of_calls_are_made_to_fit() -> None:
    call_id = "call|" + "x" * 80
    messages = (
        CALLED[0],
        Message(role="assistant", parts=(ToolCall(id=call_id, name="f", arguments="{half"),)),
        Message(role="user", parts=(ToolResult(call_id=call_id, content=()),)),
    )
    sent = written(messages=messages, tools=(F,))[0]["messages"]
    call, result = sent[1]["content"][0]["toolUse"], sent[2]["content"][0]["toolResult"]
    assert call["input"] == {"_raw": "{half"}
    assert call["toolUseId"] == result["toolUseId"]
    assert len(call["toolUseId"]) <= 64
    assert "|" not in call["toolUseId"]
    assert result["content"] == [{"json": {}}]


def test_thoughts_go_back_to_who_signed_them() -> None:
    said = (
        Thinking(text="t", signature="s", signed_by="bedrock_converse"),
        Thinking(text="", signature="cg==", signed_by="bedrock_converse", is_redacted=True),
        Thinking(text="u", signature="s", signed_by="gemini"),
        Thinking(text="v"),
        Text(text="a"),
    )
    document, losses = written(messages=(CALLED[0], Message(role="assistant", parts=said)))
    assert document["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "cg=="}},
        {"text": "a"},
    ]
    assert losses == ("thinking",)


@pytest.mark.parametrize(
    ("model", "point", "lost"),
    [
        (NOVA, {"type": "default"}, ("cache_control.ttl", "cache_control")),
        (CLAUDE, {"type": "default", "ttl": "1h"}, ()),
        (LLAMA, None, ("cache_control",)),
    ],
)
def test_what_is_to_be_cached(
    model: str, point: dict[str, str] | None, lost: tuple[str, ...]
) -> None:
    hour = CacheMark(ttl="1h")
    tool = FunctionTool(name="f", parameters=SCHEMA, cache=CacheMark())
    document, losses = written(
        Text(text="a", cache=hour), Text(text="b"), model=model, tools=(tool,)
    )
    sent = document["messages"][0]["content"]
    points = [] if point is None else [{"cachePoint": point}]
    assert sent == [{"text": "a"}, *points, {"text": "b"}]
    marks = [one for one in document["toolConfig"]["tools"] if "cachePoint" in one]
    assert len(marks) == (1 if model == CLAUDE else 0)
    assert losses == lost or losses == tuple(reversed(lost))


@pytest.mark.parametrize(
    ("model", "choice", "names", "demanded", "lost"),
    [
        (NOVA, ToolChoice(), "fg", None, ()),
        (NOVA, ToolChoice(mode="required"), "fg", {"any": {}}, ()),
        (NOVA, ToolChoice(mode="required", names=("g",)), "fg", {"tool": {"name": "g"}}, ()),
        (MISTRAL, ToolChoice(mode="required", names=("g",)), "g", {"any": {}}, ()),
        (LLAMA, ToolChoice(mode="required", names=("g",)), "g", None, ("tool_choice",)),
        (NOVA, ToolChoice(names=("f",)), "f", None, ()),
        (NOVA, ToolChoice(mode="none"), "", None, ()),
    ],
)
def test_which_tools_may_or_must_be_called(
    model: str, choice: ToolChoice, names: str, demanded: object, lost: tuple[str, ...]
) -> None:
    document, losses = written(model=model, tools=(F, G), tool_choice=choice)
    config = document.get("toolConfig", {})
    assert "".join(one["toolSpec"]["name"] for one in config.get("tools", ())) == names
    assert config.get("toolChoice") == demanded
    assert losses == lost


@pytest.mark.parametrize("tools", [(), (F, G)])
def test_calls_in_a_conversation_have_definitions_even_if_none_may_be_made(
    tools: tuple[Tool, ...],
) -> None:
    document, losses = written(
        messages=CALLED, tools=tools, tool_choice=ToolChoice(mode="none") if tools else None
    )
    assert [one["toolSpec"]["name"] for one in document["toolConfig"]["tools"]] == ["f"]
    assert losses == ("tool_choice",)


def test_tools_of_other_kinds() -> None:
    custom = CustomTool(name="c", grammar={"syntax": "lark"})
    strict = FunctionTool(name="f", is_strict=True)
    document, losses = written(tools=(custom, WebSearch(), strict), parallel_tool_calls=False)
    specs = [one["toolSpec"] for one in document["toolConfig"]["tools"]]
    assert specs[0]["inputSchema"]["json"]["required"] == ["input"]
    assert specs[1]["inputSchema"]["json"] == {"type": "object", "properties": {}}
    assert losses == (
        "tools.grammar",
        "tools.web_search",
        "tools.strict",
        "parallel_tool_calls",
    )
    document, losses = written(tools=(strict,), model=QWEN)
    assert document["toolConfig"]["tools"][0]["toolSpec"]["strict"] is True
    assert losses == ()


DRAWN = Sampling(temperature=1.5, top_k=5, seed=7, frequency_penalty=0.5, presence_penalty=0.0)


@pytest.mark.parametrize(
    ("model", "more", "lost"),
    [
        (NOVA, {"inferenceConfig": {"topK": 5}}, ("temperature", "seed", "frequency_penalty")),
        (COHERE, {"k": 5, "seed": 7, "frequency_penalty": 0.5}, ("temperature",)),
        (CLAUDE, {"top_k": 5}, ("temperature", "seed", "frequency_penalty")),
        (LLAMA, None, ("temperature", "top_k", "seed", "frequency_penalty")),
    ],
)
def test_what_only_some_models_know_stands_among_their_own_fields(
    model: str, more: object, lost: tuple[str, ...]
) -> None:
    document, losses = written(model=model, sampling=DRAWN)
    assert document["inferenceConfig"] == {"temperature": 1}
    assert document.get("additionalModelRequestFields") == more
    assert losses == lost


@pytest.mark.parametrize(
    ("model", "reasoning", "limit", "more", "lost"),
    [
        (NOVA_2, Reasoning(effort="low"), 9, ("low",), ()),
        (NOVA_2, Reasoning(effort="high"), 9, ("medium",), ("reasoning.effort",)),
        (NOVA_2, Reasoning(effort="xhigh"), None, ("high",), ("reasoning.effort", "temperature")),
        (NOVA_2, Reasoning(budget_tokens=2_000), 9, ("low",), ("reasoning.budget_tokens",)),
        (NOVA_2, Reasoning(is_on=True), 9, ("medium",), ()),
        (NOVA_2, Reasoning(is_on=False, effort="low"), 9, None, ()),
        (NOVA, Reasoning(effort="low"), 9, None, ("reasoning",)),
        (DEEPSEEK, Reasoning(effort="high"), 9, "high", ()),
        ("us.deepseek.r1-v1:0", Reasoning(is_on=False), 9, None, ("reasoning",)),
        ("us.deepseek.r1-v1:0", Reasoning(effort="low"), 9, None, ("reasoning.effort",)),
    ],
)
def test_how_much_to_think(
    model: str, reasoning: Reasoning, limit: int | None, more: object, lost: tuple[str, ...]
) -> None:
    document, losses = written(
        model=model,
        reasoning=reasoning,
        max_output_tokens=limit,
        sampling=Sampling(temperature=0.5),
    )
    fields = document.get("additionalModelRequestFields")
    if isinstance(more, tuple):
        assert fields == {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": more[0]}}
    else:
        assert fields == (None if more is None else {"reasoning_effort": more})
    draws_by_itself = "temperature" in lost
    assert ("temperature" in document.get("inferenceConfig", {})) is not draws_by_itself
    assert losses == lost


def test_an_answer_of_a_schema() -> None:
    output = OutputFormat(kind="schema", schema=SCHEMA, name="out", is_strict=True)
    document, losses = written(model=QWEN, output=output)
    told = document["outputConfig"]["textFormat"]
    assert told["type"] == "json_schema"
    assert told["structure"]["jsonSchema"]["name"] == "out"
    assert json.loads(told["structure"]["jsonSchema"]["schema"]) == SCHEMA
    assert losses == ()
    for model, lost in ((NOVA, output), (QWEN, OutputFormat(kind="json"))):
        document, losses = written(model=model, output=lost)
        assert "outputConfig" not in document
        assert losses == ("response_format",)


@pytest.mark.parametrize("asked", [{"choices": 2}, {"modalities": ("text", "audio")}])
def test_what_would_mean_something_else_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        written(**asked)
    assert refusal.value.code == "not_expressible"


def test_a_channels_words_lead_and_a_name_makes_think() -> None:
    own = {"system": [{"text": "own"}]}
    assert TRANSLATION.lead({}, "w", False) == {"system": [{"text": "w"}]}
    assert TRANSLATION.lead(own, "w", False) == {}
    assert TRANSLATION.lead(own, "w", True) == {"system": [{"text": "w"}, {"text": "own"}]}
    document = {
        "inferenceConfig": {"temperature": 0.5, "stopSequences": ["x"]},
        "additionalModelRequestFields": {"inferenceConfig": {"topK": 5}},
    }
    edits = TRANSLATION.think(document, NOVA_2, Reasoning(effort="high"))
    assert edits.of(document) == {
        "inferenceConfig": {"stopSequences": ["x"]},
        "additionalModelRequestFields": {
            "inferenceConfig": {"topK": 5},
            "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"},
        },
    }
    assert edits.lost == ("temperature",)
    assert TRANSLATION.think(document, LLAMA, Reasoning(effort="high")).of(document) == document
