"""Tools that providers run by themselves: how often they were called, and how often they may be."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.formats.registry import FORMATS
from gateway.formats.translator import Translators
from gateway.formats.values import TOOL_CALLS_DEFAULT, ChatCall
from ledger.usage import Usage
from tests.recorded import recordings

CALL = ChatCall(
    model="m", stream=True, max_output_tokens=None, choices=1, wants_usage=True, document={},
    body=b"",
)  # fmt: skip


def whole(format_name: str, **document: Any) -> Usage:  # noqa: ANN401 - JSON
    answer = FORMATS[format_name].read_answer(json.dumps(document).encode())
    assert answer.usage is None or not any(getattr(answer.usage, kind) for kind in ("web_search",))
    return answer.tools


def streamed(format_name: str, *events: object, call: ChatCall = CALL) -> Usage:
    reader = FORMATS[format_name].stream(call, len)
    for event in events:
        reader.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert reader.error is None
    return reader.tools


def offered(format_name: str, **document: Any) -> dict[str, int]:  # noqa: ANN401 - JSON
    model = document.pop("model", "m")
    return dict(
        FORMATS[format_name].prompt(replace(CALL, model=model, document=document)).tool_calls
    )


# ---------------------------------------------------------------------- Responses


def item(kind: str, action: str | None = None, status: str = "completed") -> dict[str, Any]:
    told: dict[str, Any] = {"type": kind, "status": status, "id": "i"}
    return told | ({"action": {"type": action}} if action else {})


ITEMS = [
    item("web_search_call", "search"),
    item("web_search_call"),
    item("web_search_call", "open_page"),
    item("web_search_call", "find_in_page"),
    item("web_search_call", "search", "failed"),
    item("file_search_call"),
    item("code_interpreter_call"),
    item("code_interpreter_call"),
    item("mcp_call"),
    {"type": "message", "content": []},
    {"type": ["odd"]},
]
COUNTED = Usage(web_search=2, file_search=1, code_execution=2)


def test_items_of_a_response_are_counted_as_they_are_billed() -> None:
    assert whole("openai_responses", output=[*ITEMS, "no item"]) == COUNTED


def test_items_that_a_stream_tells_twice_are_counted_once() -> None:
    events: list[Any] = [{"type": "response.output_item.added", "item": one} for one in ITEMS]
    events += [{"type": "response.output_item.done", "item": one} for one in ITEMS]
    done = {"type": "response.completed", "response": {"output": ITEMS, "usage": None}}
    assert streamed("openai_responses", *events, done) == COUNTED
    assert streamed("openai_responses", done) == COUNTED
    assert streamed("openai_responses", *events) == COUNTED  # it broke off


def test_a_request_bounds_the_calls_of_tools_by_its_own_limit() -> None:
    tools = [
        {"type": name}
        for name in ("web_search_preview", "file_search", "code_interpreter", "function", "mcp")
    ]
    kinds = ("web_search", "file_search", "code_execution")
    given: dict[str, Any] = {"input": "hi", "tools": tools}
    assert offered("openai_responses", **given) == dict.fromkeys(kinds, TOOL_CALLS_DEFAULT)
    assert offered("openai_responses", **given, max_tool_calls=2) == dict.fromkeys(kinds, 2)
    assert offered("openai_responses", **given, max_tool_calls="2")["web_search"] == 8
    assert offered("openai_responses", input="hi") == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai-responses-responses-cached-tokens-stream", Usage(web_search=1)),
        ("openai-responses-responses-cached-tokens-non-stream", Usage(web_search=1)),
        ("openai-responses-responses-code-interpreter", Usage(code_execution=1)),
        ("openai-responses-responses-stream-reasoning-summary", Usage(code_execution=3)),
        ("anthropic-messages-anthropic-stream-thinking-signature", Usage(web_search=2)),
        # Grounded by a page it was told to read: nothing was searched for.
        ("gemini-generate-gemini-tooluseprompttokencount", Usage()),
    ],
)
def test_recorded_exchanges_have_the_calls_that_their_providers_bill(
    name: str, expected: Usage
) -> None:
    (recording,) = recordings(name)
    prefix = {"openai": "openai_responses", "anthropic": "anthropic_messages", "gemini": "gemini"}
    asked_format = FORMATS[prefix[name.partition("-")[0]]]
    if recording.is_stream:
        reader = asked_format.stream(CALL, len)
        reader.feed(recording.response)
        assert reader.tools == expected
    else:
        assert asked_format.read_answer(recording.response).tools == expected


# ---------------------------------------------------------------------- Anthropic


def message(**usage: object) -> dict[str, Any]:
    told = {"input_tokens": 1, "output_tokens": 1, **usage}
    return {"type": "message", "role": "assistant", "content": BLOCKS, "usage": told}


BLOCKS = [
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
    {
        "type": "web_search_tool_result",
        "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"},
    },
    {"type": "bash_code_execution_tool_result", "content": {"type": "bash_code_execution_result"}},
    {"type": "web_fetch_tool_result", "content": {}},
    {"type": "text", "text": "hi"},
]


def test_searches_are_what_the_usage_tells_else_the_results_that_came() -> None:
    told = message(server_tool_use={"web_search_requests": 5, "web_fetch_requests": 9})
    assert whole("anthropic_messages", **told) == Usage(web_search=5, code_execution=1)
    none = message(server_tool_use={"web_search_requests": 0, "web_fetch_requests": 0})
    assert whole("anthropic_messages", **none) == Usage(code_execution=1)
    oddities: tuple[object, ...] = (
        None, {"web_search_requests": -1}, {"web_search_requests": "5"}, [],
    )  # fmt: skip
    for odd in oddities:
        silent = message(server_tool_use=odd)
        assert whole("anthropic_messages", **silent) == Usage(web_search=1, code_execution=1)


def test_a_streams_searches_are_its_last_word_and_no_sum() -> None:
    begun = {"type": "message_start", "message": {"usage": {"input_tokens": 1}}}
    blocks = [
        {"type": "content_block_start", "index": n, "content_block": block}
        for n, block in enumerate(BLOCKS)
    ]
    deltas = [
        {
            "type": "message_delta",
            "delta": {},
            "usage": {"output_tokens": 1, "server_tool_use": {"web_search_requests": count}},
        }
        for count in (1, 3, 3)
    ]
    assert streamed("anthropic_messages", begun, *blocks, *deltas) == Usage(
        web_search=3, code_execution=1
    )
    assert streamed("anthropic_messages", begun, *blocks) == Usage(web_search=1, code_execution=1)


def test_an_anthropic_request_bounds_a_tool_by_its_max_uses() -> None:
    given = {
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {"type": "code_execution_20250825", "name": "code_execution"},
            {"name": "own", "input_schema": {}},
        ],
    }
    assert offered("anthropic_messages", **given) == {
        "web_search": 3, "code_execution": TOOL_CALLS_DEFAULT,
    }  # fmt: skip


# ---------------------------------------------------------------------- Gemini


def candidate(*queries: object, index: int = 0) -> dict[str, Any]:
    parts = [{"text": "hi"}, {"executableCode": {"code": "1"}}]
    told: dict[str, Any] = {"index": index, "content": {"parts": parts}}
    return told | ({"groundingMetadata": {"webSearchQueries": list(queries)}} if queries else {})


@pytest.mark.parametrize(
    ("model", "searches"),
    [
        ("gemini-2.5-flash", 1),
        ("models/gemini-2.0-flash-001", 1),
        ("gemini-3-pro-preview", 2),
        ("gemini-3.5-flash", 2),
        ("gemini-10-pro", 2),
        ("gemini-flash-latest", 2),
        (None, 2),
    ],
)
def test_grounding_is_billed_by_the_prompt_up_to_gemini_2_and_by_the_query_since(
    model: str | None, searches: int
) -> None:
    given = [candidate("a", "", "b", "a", " ", 7, index=0), candidate("b", index=1)]
    told = whole("gemini", candidates=given, modelVersion=model)
    assert told == Usage(web_search=searches, code_execution=2)
    # The same grounding in several events of a stream is one and the same.
    events = [{"candidates": [one], "modelVersion": model} for one in given]
    again = {"candidates": [{"groundingMetadata": given[0]["groundingMetadata"]}]}
    assert streamed("gemini", *events, again) == told


def test_grounding_without_a_query_is_no_search() -> None:
    grounded = {"content": {"parts": []}, "groundingMetadata": {"groundingChunks": [{}]}}
    assert whole("gemini", candidates=[grounded], modelVersion="gemini-2.5-pro") == Usage()
    nothing = candidate("", index=0)
    assert whole("gemini", candidates=[nothing], modelVersion="gemini-3-pro").web_search == 0


def test_a_gemini_request_is_bounded_as_it_is_billed() -> None:
    given: dict[str, Any] = {
        "contents": [],
        "tools": [{"google_search": {}}, {"codeExecution": {}}],
    }
    assert offered("gemini", model="gemini-2.5-pro", **given)["web_search"] == 1
    assert offered("gemini", model="gemini-3-pro", **given) == {
        "web_search": TOOL_CALLS_DEFAULT, "code_execution": TOOL_CALLS_DEFAULT,
    }  # fmt: skip


# ---------------------------------------------------------------------- chat


@pytest.mark.parametrize(
    ("model", "usage", "searches"),
    [
        ("gpt-4o-search-preview", None, 1),
        ("openai/gpt-4o-mini-search-preview-2025-03-11", {}, 1),
        ("gpt-5-search-api", {}, 1),
        ("gpt-4o", {}, 0),
        ("search-preview-of-mine", {}, 0),
        ("m", {"server_tool_use": {"web_search_requests": 4}}, 4),
        ("sonar-deep-research", {"num_search_queries": 21}, 21),
        ("m", {"num_search_queries": -1, "server_tool_use": 7}, 0),
        (7, {}, 0),
    ],
)
def test_chat_models_that_search_by_themselves_have_one_call(
    model: object, usage: object, searches: int
) -> None:
    told = whole("openai_chat", choices=[], model=model, usage=usage)
    assert told == Usage(web_search=searches)
    chunks = [{"model": model, "choices": [], "usage": usage} for _ in range(3)]
    assert streamed("openai_chat", *chunks) == told


def test_a_chat_request_is_bounded_by_one_search() -> None:
    given: dict[str, Any] = {"messages": []}
    assert offered("openai_chat", **given) == {}
    assert offered("openai_chat", **given, web_search_options={}) == {"web_search": 1}
    assert offered("openai_chat", model="gpt-4o-search-preview", **given) == {"web_search": 1}


# ---------------------------------------------------------------------- between formats


def test_searches_of_another_format_are_told_in_anthropics_usage() -> None:
    translator = Translators(FORMATS["anthropic_messages"], FORMATS).to("openai_responses")
    message = {"type": "message", "role": "assistant", "status": "completed", "content": []}
    body = {"id": "r", "status": "completed", "output": [ITEMS[0], message]}
    seen = translator.whole(json.dumps(body).encode())
    assert seen.answer.tools == Usage(web_search=1)
    told = json.loads(translator.told(replace(CALL, stream=False), seen, Usage(web_search=1)))
    assert told["usage"]["server_tool_use"]["web_search_requests"] == 1
