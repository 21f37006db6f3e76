"""C12: whatever stands in the place of whatever member, a request is refused or written, and
nothing breaks. Every member of a whole request of each format, in turn, for every provider.
"""

import contextlib
import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.conversation.reasoning_suffixes import Suffix
from gateway.errors import GatewayError, InvalidRequest
from gateway.formats.registry import FORMATS, PROVIDER_FORMATS
from gateway.formats.translator import Asking, Translators
from gateway.formats.values import ChatCall
from gateway.http import strict_json
from tests.gateway.formats.odd_answers import odd_document, text_of

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
PNG = "iVBORw0KGgo="
WHOLE: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "s"}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "t"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}},
                    {"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}},
                    {"type": "file", "file": {"filename": "f", "file_data": "eA=="}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "r"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}},
            {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}},
        ],
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "auto",
                "tools": [{"type": "function", "function": {"name": "f"}}],
            },
        },
        "response_format": {"type": "json_schema", "json_schema": {"name": "o", "schema": SCHEMA}},
        "reasoning": {"effort": "low", "max_tokens": 5},
        "web_search_options": {"user_location": {"approximate": {"city": "Riga"}}},
        "stop": ["a"],
    },
    "openai_responses": {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "t"},
                    {"type": "input_image", "image_url": "data:image/png;base64," + PNG},
                ],
            },
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "h"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "d", "name": "g", "input": "x"},
            {"type": "function_call_output", "call_id": "c", "output": "r"},
            {"type": "custom_tool_call_output", "call_id": "d", "output": "r"},
        ],
        "instructions": "i",
        "tools": [
            {"type": "function", "name": "f", "parameters": SCHEMA},
            {"type": "custom", "name": "g", "format": {"type": "grammar", "definition": "x"}},
            {
                "type": "web_search",
                "filters": {"allowed_domains": ["a"]},
                "user_location": {"type": "approximate", "city": "Riga"},
            },
        ],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "f"}],
        },
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "o", "schema": SCHEMA}},
    },
    "anthropic_messages": {
        "max_tokens": 99,
        "system": [{"type": "text", "text": "s"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "t"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "h", "signature": "s"},
                    {"type": "tool_use", "id": "c", "name": "f", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c",
                        "content": [{"type": "text", "text": "r"}],
                    }
                ],
            },
        ],
        "tools": [{"name": "f", "input_schema": SCHEMA, "strict": True}],
        "tool_choice": {"type": "tool", "name": "f"},
        "metadata": {"user_id": "u"},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    },
    "gemini": {
        "contents": [
            {"role": "user", "parts": [{"text": "t"}, {"inlineData": {"mimeType": "image/png"}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "f", "response": {"output": "r"}}}],
            },
        ],
        "systemInstruction": {"parts": [{"text": "s"}]},
        "tools": [
            {"functionDeclarations": [{"name": "f", "description": "d", "parameters": SCHEMA}]},
            {"googleSearch": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "stopSequences": ["a"],
            "responseMimeType": "application/json",
            "responseSchema": SCHEMA,
            "responseModalities": ["TEXT"],
            "thinkingConfig": {"thinkingBudget": 5, "includeThoughts": True},
        },
    },
}
ODD: tuple[Any, ...] = ([], [None], {}, {"a": 1}, 5, "x", "", True, None, [["x"]])
NAMES = {"bedrock_converse": "us.anthropic.claude-sonnet-4-5"}


def places(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every member of a document, at any depth."""
    if at:
        yield at
    if isinstance(value, dict):
        for name, each in value.items():
            yield from places(each, (*at, name))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from places(each, (*at, number))


def with_odd(document: dict[str, Any], at: tuple[str | int, ...], odd: object) -> dict[str, Any]:
    """The document with something else in one place."""
    changed = copy.deepcopy(document)
    holder: Any = changed
    for step in at[:-1]:
        holder = holder[step]
    holder[at[-1]] = odd
    return changed


def read(client: str, document: dict[str, Any]) -> ChatCall | None:
    """The call; None where it is refused before anything is held for it."""
    document = {"model": "m", **document}
    try:
        call = FORMATS[client].read_request(document, msgspec.json.encode(document))
        FORMATS[client].prompt(replace(call, model="m"))
    except InvalidRequest:
        return None
    return replace(call, model="m")


@pytest.mark.parametrize("client", WHOLE)
def test_c12_nothing_that_stands_in_a_request_breaks_its_translation(client: str) -> None:
    assert read(client, WHOLE[client]) is not None
    broken = []
    for at in places(WHOLE[client]):
        for odd in ODD:
            try:
                _write_for_all(client, with_odd(WHOLE[client], at, odd))
            except GatewayError:
                pass
            except Exception as fault:  # noqa: BLE001 - all of them are told together
                broken.append((at, odd, repr(fault)))
    assert broken == []


def _write_for_all(client: str, document: dict[str, Any]) -> int:
    """For how many providers a request can be written; the others refuse it."""
    call = read(client, document)
    if call is None:
        return 0
    written = 0
    for provider in PROVIDER_FORMATS:
        if provider not in (client, "openai_completions"):
            asking = Asking(Suffix(NAMES.get(provider, "gpt-5.1")))
            one = Translators(FORMATS[client], PROVIDER_FORMATS).to(provider)
            with contextlib.suppress(InvalidRequest):
                json.loads(one.outgoing(call, asking).body)
                written += 1
    return written


@pytest.mark.parametrize("client", WHOLE)
def test_c12_nor_does_anything_that_is_odd_in_several_places(client: str, is_long: bool) -> None:
    """As the bytes come: what they hold is read as strictly as every request is."""
    broken, written = [], 0
    for case in range(5_000 if is_long else 250):
        body = text_of(odd_document({"model": "m", **WHOLE[client]}, random.Random(case)))
        try:
            document = strict_json.parse(body)
            written += _write_for_all(client, document)
        except GatewayError as error:
            assert error.status < 500  # noqa: PT017
        except Exception as fault:  # noqa: BLE001 - all of them are told together
            broken.append((case, repr(fault)))
    assert broken == []
    assert written > 20


@pytest.mark.parametrize(
    ("client", "at", "odd"),
    [
        ("gemini", ("toolConfig",), []),
        ("gemini", ("toolConfig", "functionCallingConfig", "allowedFunctionNames"), 5),
        ("gemini", ("tools", 0, "functionDeclarations"), ["x"]),
        ("gemini", ("generationConfig", "thinkingConfig", "thinkingBudget"), [None]),
        ("openai_chat", ("messages", 1, "content", 2, "input_audio", "format"), {"a": 1}),
        ("openai_responses", ("reasoning", "effort"), {}),
        ("openai_responses", ("text", "format", "schema"), ["x"]),
        ("gemini", ("generationConfig", "thinkingConfig", "thinkingLevel"), 5),
    ],
)
def test_c12_what_is_malformed_is_refused_before_the_hold(
    client: str, at: tuple[str | int, ...], odd: object
) -> None:
    assert read(client, with_odd(WHOLE[client], at, odd)) is None
