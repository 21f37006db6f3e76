"""Messages requests by way of the conversation in no format: there and back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversation.parts import (
    Address,
    Media,
    PlainDocument,
    Text,
    ToolResult,
)
from gateway.conversation.request import (
    FunctionTool,
    Message,
    WebSearch,
)
from gateway.errors import InvalidRequest
from gateway.formats.anthropic_messages.format import AnthropicMessages
from gateway.formats.values import ChatCall
from tests.recorded import Recording, recordings

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


def again(model: str = MODEL, **members: object) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A request read and written again, and its losses."""
    written = TRANSLATION.request(TRANSLATION.conversation(call(**members)), model)
    return written.document, written.losses


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Without what means the same written or left out."""
    if isinstance(value, dict):
        told = {name: plain(each) for name, each in value.items()}
        told = {name: each for name, each in told.items() if each not in (None, False)}
        if told.get("ttl") == "5m":
            del told["ttl"]
        for name in ("content", "system"):
            if isinstance(told.get(name), str):
                told[name] = [{"type": "text", "text": told[name]}]
        return told
    return [plain(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("recording", recordings("anthropic-messages"), ids=lambda one: one.name)
def test_a_recorded_request_comes_back_as_it_was(recording: Recording) -> None:
    read = MESSAGES.read_request(recording.document, recording.request.encode())
    told = TRANSLATION.request(TRANSLATION.conversation(read), recording.document["model"])
    expected = plain(recording.document)
    expected["messages"] = merged(expected["messages"])
    if "xhigh" not in recording.request:  # which that model does not know
        assert told.losses == ()
        assert plain(told.document) == expected
    else:
        assert (told.losses, told.document["output_config"]) == (
            ("reasoning.effort",),
            {"effort": "high"},
        )


def merged(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The provider itself combines neighbours of one role."""
    told: list[dict[str, Any]] = []
    for message in messages:
        if told and told[-1]["role"] == message["role"]:
            told[-1]["content"] += message["content"]
        else:
            told.append({**message, "content": [*message["content"]]})
    return told


def test_every_option_comes_back() -> None:
    options: dict[str, Any] = {
        "max_tokens": 9_000,
        "stream": True,
        "temperature": 0.5,
        "top_k": 5,
        "stop_sequences": ["a", "b"],
        "tools": [
            {
                "name": "f",
                "description": "d",
                "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}},
                "strict": True,
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            },
            {
                "type": "web_search_20250305",
                "name": "web_search",
                "max_uses": 3,
                "allowed_domains": ["x.org"],
                "user_location": {
                    "type": "approximate",
                    "country": "LV",
                    "timezone": "Europe/Riga",
                },
            },
            {"type": "code_execution_20250825", "name": "code_execution"},
            {"type": "bash_20250124", "name": "bash"},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "output_config": {
            "format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}
        },
        "metadata": {"user_id": "u"},
        "service_tier": "standard_only",
        "container": "c",
        "mcp_servers": [{"name": "m"}],
    }
    document, losses = again(BUDGETED, **options)
    assert losses == ()
    assert {name: document[name] for name in options} == options


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        (BUDGETED, {"type": "enabled", "budget_tokens": 3_000}),
        (BUDGETED, {"type": "enabled", "budget_tokens": 3_000, "display": "omitted"}),
        (MODEL, {"type": "adaptive", "display": "summarized"}),
        (MODEL, {"type": "adaptive"}),
        (MODEL, {"type": "disabled"}),
        (MODEL, {"type": "between_tools"}),
    ],
)
def test_thinking_comes_back(model: str, thinking: dict[str, Any]) -> None:
    document, losses = again(model, thinking=thinking)
    assert (document["thinking"], losses) == (thinking, ())


def test_an_effort_without_thinking_is_just_that() -> None:
    document, _ = again(output_config={"effort": "xhigh"})
    assert document["output_config"] == {"effort": "xhigh"}
    assert "thinking" not in document


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "auto"},
        {"type": "any"},
        {"type": "none"},
        {"type": "tool", "name": "f"},
        {"type": "any", "disable_parallel_tool_use": True},
        {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
    ],
)
def test_every_choice_of_tools_comes_back(choice: dict[str, Any]) -> None:
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    assert again(tools=tools, tool_choice=choice)[0]["tool_choice"] == choice


def test_every_block_comes_back() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    image = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
    }
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"} | mark,
                image | mark,
                {"type": "image", "source": {"type": "url", "url": "https://x.invalid/a.png"}},
                {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
                {
                    "type": "document",
                    "source": {
                        "type": "base64",
                        "media_type": "application/pdf",
                        "data": "JVBERi0=",
                    },
                    "title": "t",
                    "context": "c",
                    "citations": {"enabled": True},
                }
                | mark,
                {"type": "document", "source": {"type": "url", "url": "https://x.invalid/a.pdf"}},
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                },
                {"type": "container_upload", "file_id": "file_2"},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "EqQ="},
                {"type": "redacted_thinking", "data": "Er8="},
                {
                    "type": "text",
                    "text": "said",
                    "citations": [{"type": "char_location", "cited_text": "x"}],
                },
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, None]}},
                {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "there"}, image],
                    "is_error": True,
                }
                | mark,
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "plain"},
                {"type": "text", "text": "and?"},
            ],
        },
    ]
    document, losses = again(BUDGETED, messages=messages, tools=[{"name": "f", "input_schema": {}}])
    assert plain(document["messages"]) == plain(messages)
    assert losses == ()


def test_documents_that_only_this_format_has_become_plain_ones() -> None:
    found = {
        "type": "search_result",
        "source": "https://x.invalid",
        "title": "t",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        "citations": {"enabled": True},
    }
    blocks = [
        found,
        {"type": "document", "source": {"type": "content", "content": "words"}},
        {
            "type": "document",
            "source": {
                "type": "content",
                "content": [
                    {"type": "text", "text": "c"},
                    {"type": "image", "source": {"type": "url", "url": "u"}},
                ],
            },
        },
        {
            "type": "tool_result",
            "tool_use_id": "i",
            "content": [found, {"type": "tool_reference", "tool_name": "g"}],
        },
    ]
    conversation = TRANSLATION.conversation(call(messages=[{"role": "user", "content": blocks}]))
    result = PlainDocument(
        text="a\n\nb", title="t", context="https://x.invalid", wants_citations=True
    )
    assert conversation.messages[0].parts == (
        result,
        PlainDocument(text="words"),
        PlainDocument(text="c"),
        Media(kind="image", source=Address(url="u")),
        ToolResult(
            call_id="i",
            content=(result, Text(text='{"type":"tool_reference","tool_name":"g"}')),
        ),
    )


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image"},
        {"type": "image", "source": {"type": "base64"}},
        {"type": "image", "source": {"type": "carrier_pigeon"}},
        {"type": "document", "source": 5},
        {"type": "tool_use", "name": "f"},
        {"type": "tool_use", "id": 5, "name": "f"},
        {"type": "tool_result", "content": "x"},
        {"type": "tool_result", "tool_use_id": "i", "content": [{"type": "image"}]},
    ],
)
def test_a_block_that_is_not_what_its_type_says_is_refused(block: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        TRANSLATION.conversation(call(messages=[{"role": "user", "content": [block]}]))


def test_members_without_a_word_in_between_are_told_as_losses() -> None:
    tools = [
        {"name": "f", "input_schema": {}, "defer_loading": True},
        {"type": "web_search_20260209", "name": "web_search", "allowed_callers": ["direct"]},
    ]
    conversation = TRANSLATION.conversation(call(tools=tools, output_config={"task_budget": 5}))
    assert set(conversation.foreign) == {
        "tools.defer_loading",
        "tools.allowed_callers",
        "output_config.task_budget",
    }
    assert conversation.tools[1] == WebSearch()
    document, losses = again(tools=tools)
    assert losses == ("tools.allowed_callers", "tools.defer_loading")
    assert not [name for name in document if "." in name]


# ---------------------------------------------------------------------- generated conversations

WORDS = st.text(alphabet="abc äß\n", min_size=1, max_size=12).filter(str.strip)
MARKS = st.sampled_from([{}, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}])
TEXTS = st.builds(lambda text, mark: {"type": "text", "text": text} | mark, WORDS, MARKS)
IMAGES = st.builds(
    lambda source: {"type": "image", "source": source},
    st.sampled_from(
        [
            {"type": "base64", "media_type": "image/png", "data": PNG},
            {"type": "url", "url": "https://x.invalid/a.png"},
        ]
    ),
)
DOCUMENTS = st.builds(
    lambda text, mark: (
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": text},
            "title": "t",
        }
        | mark
    ),
    WORDS,
    MARKS,
)
THOUGHTS = st.builds(
    lambda text: {"type": "thinking", "thinking": text, "signature": "EqQ="}, WORDS
)
INPUTS = st.dictionaries(st.sampled_from("abc"), st.one_of(st.integers(), WORDS, st.none()))


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    calls = 0
    results: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 3))):
        asked = draw(st.lists(st.one_of(TEXTS, IMAGES, DOCUMENTS), min_size=1, max_size=3))
        messages.append({"role": "user", "content": [*results, *asked]})
        said = draw(st.lists(THOUGHTS, max_size=1)) + draw(st.lists(TEXTS, min_size=1, max_size=2))
        results = []
        for told in draw(st.lists(INPUTS, max_size=3)):
            calls += 1
            said.append({"type": "tool_use", "id": f"t{calls}", "name": "f", "input": told})
            shown = draw(st.lists(st.one_of(TEXTS, IMAGES), max_size=2))
            result: dict[str, Any] = {"type": "tool_result", "tool_use_id": f"t{calls}"}
            results.append(result | ({"content": shown} if shown else {}))
        messages.append({"role": "assistant", "content": said})
    messages.append({"role": "user", "content": [*results, {"type": "text", "text": "go on"}]})
    return messages


@given(conversations())
def test_a_generated_conversation_comes_back_as_it_was(messages: list[dict[str, Any]]) -> None:
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    document, losses = again(messages=messages, tools=tools)
    assert plain(document["messages"]) == plain(messages)
    assert losses == ()
