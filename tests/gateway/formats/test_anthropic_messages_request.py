"""Messages requests: what is refused, what is counted as input, what goes to the provider."""

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.formats.anthropic_messages.format import AnthropicMessages
from gateway.formats.anthropic_messages.requests.prompt import IMAGE_TOKENS, UNSEEN_MEDIA_TOKENS
from gateway.formats.anthropic_messages.requests.request import read_counting
from gateway.formats.values import ChatCall
from tests.recorded import Recording, recordings

MESSAGES = AnthropicMessages()
USER = [{"role": "user", "content": "x"}]


def document(**members: object) -> dict[str, Any]:
    return {"model": "claude-opus-4-8", "max_tokens": 9, "messages": USER} | members


def call(**members: object) -> ChatCall:
    told = document(**members)
    return MESSAGES.read_request(told, json.dumps(told).encode())


def asks(*blocks: dict[str, Any]) -> ChatCall:
    return call(messages=[{"role": "user", "content": list(blocks)}])


@pytest.mark.parametrize("recording", recordings("anthropic-messages"), ids=lambda one: one.name)
def test_recorded_requests_are_read_and_pass_unchanged(recording: Recording) -> None:
    body = recording.request.encode()
    read = MESSAGES.read_request(recording.document, body)
    assert (read.model, read.stream) == (recording.document["model"], recording.is_stream)
    assert read.max_output_tokens == recording.document["max_tokens"]
    assert MESSAGES.provider_body(read, read.model) == body
    prompt = MESSAGES.prompt(read)
    for message in recording.document["messages"]:
        for block in message["content"]:
            assert block["text"] in prompt.texts


def test_a_mapped_model_is_the_only_edit() -> None:
    rest = b'"max_tokens":1,"x":[1.50,  2],"messages":[{"role":"user","content":"\\u00e9"}]}'
    body = b'{"model": "a", ' + rest
    read = MESSAGES.read_request(json.loads(body), body)
    assert MESSAGES.provider_body(read, "b") == b'{"model":"b",' + rest


def test_thoughts_of_other_vendors_models_do_not_reach_the_provider() -> None:
    own = {"type": "thinking", "thinking": "mine", "signature": "EqQ="}
    strange = {"type": "thinking", "thinking": "b", "signature": "tollgate-signed:gemini:x"}
    unsigned = {"type": "thinking", "thinking": "c", "signature": "tollgate-signed::"}
    hidden = {"type": "redacted_thinking", "data": "tollgate-signed:openai_responses:y"}
    text = {"type": "text", "text": "tollgate-signed: is not a thought"}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [own, strange, unsigned, hidden, text]},
        {"role": "user", "content": "y"},
        {"role": "assistant", "content": [strange]},
        {"role": "user", "content": [text]},
    ]
    read = call(messages=messages, extra={"a": 1})
    told = json.loads(MESSAGES.provider_body(read, read.model))
    assert told["messages"] == [
        messages[0],
        {"role": "assistant", "content": [own, text]},
        messages[2],
        messages[4],
    ]
    assert told["extra"] == {"a": 1}
    harmless = call(messages=[messages[4]])
    assert MESSAGES.provider_body(harmless, harmless.model) == harmless.body


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": 5}]}]},
            "messages[0].content[0].content",
        ),
        ({"system": 5}, "system"),
        ({"stream": "yes"}, "stream"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stop_sequences": [5]}, "stop_sequences[0]"),
        ({"thinking": 5}, "thinking"),
        ({"thinking": {"budget_tokens": "x"}}, "thinking.budget_tokens"),
        ({"tools": {}}, "tools"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{"name": 5}]}, "tools[0].name"),
        ({"metadata": 5}, "metadata"),
        ({"service_tier": 5}, "service_tier"),
    ],
)
def test_what_no_provider_could_read_is_refused(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        call(**members)
    assert refusal.value.param == param


def test_what_providers_take_is_taken() -> None:
    assert call(max_tokens=0).max_output_tokens == 0  # fills the cache, and answers nothing
    assert call(stream=True).stream
    assert read_counting({"model": "m", "messages": USER}, b"").max_output_tokens == 1
    call(temperature=None, tools=None, thinking=None, a_new_one={"x": 1})
    call(messages=[*USER, {"role": "system", "content": "s"}])


def test_every_text_of_a_prompt_is_counted() -> None:
    system = [{"type": "text", "text": "S"}]
    blocks = [
        {"type": "text", "text": "T"},
        {"type": "tool_result", "tool_use_id": "i", "content": [{"type": "text", "text": "R"}]},
        {"type": "document", "source": {"type": "text", "data": "D"}, "title": "N"},
        {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "text", "text": "C"}]},
        },
    ]
    said = {"role": "assistant", "content": [{"type": "thinking", "thinking": "H"}]}
    tools = [{"name": "f", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}]
    read = call(system=system, messages=[{"role": "user", "content": blocks}, said], tools=tools)
    prompt = MESSAGES.prompt(read)
    assert {"S", "T", "R", "D", "N", "C", "H"} <= set(prompt.texts)
    assert any("bash_20250124" in text for text in prompt.texts)
    assert prompt.fixed_tokens > 1_000


@pytest.mark.parametrize(
    ("block", "least"),
    [
        ({"type": "image", "source": {"type": "url", "url": "u"}}, IMAGE_TOKENS),
        ({"type": "document", "source": {"type": "file", "file_id": "f"}}, UNSEEN_MEDIA_TOKENS),
        ({"type": "document", "source": {"type": "content", "content": 5}}, UNSEEN_MEDIA_TOKENS),
        ({"type": "document", "source": 5}, UNSEEN_MEDIA_TOKENS),
        ({"type": "document", "source": {"type": "base64", "data": "A" * 80_000}}, 30_000),
        ({"type": "something_new", "x": 1}, 1),
    ],
)
def test_what_has_no_text_is_bounded(block: dict[str, Any], least: int) -> None:
    beyond = MESSAGES.prompt(asks(block)).fixed_tokens - MESSAGES.prompt(asks()).fixed_tokens
    assert beyond >= least
