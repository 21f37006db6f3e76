"""Answers that no provider should give: lawful ones of each format, changed at random.

A case is a number: it says which answer is changed, where and into what. What stands at a place is
of any type there is, of no type, twice, or gone; events of a stream come twice, late, or never;
bytes are cut and broken.
"""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from tests.recorded import recordings

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
_HUGE, _BEYOND = "@@huge@@", "@@beyond@@"
"""Stand for numbers that JSON can say and Python cannot keep."""
_NUMBERS = {f'"{_HUGE}"': "1" + "0" * 60, f'"{_BEYOND}"': "1e400"}

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 5, 2**63, 2**64, 0.5, float("inf"), float("nan"), _HUGE, _BEYOND,
    "", "x", "stop", "\ud83d", "a\ud83db", "\x00", "1", "{", '{"a":', '{"a":1}', "=", "\u2028",
    [], [None], [1], ["x"], [[]], [{}], {}, {"a": 1}, {"": None}, {"type": "x"},
    {"\ud83d": "\ude00"},
    [{"type": "text"}], {"text": 5}, [{"text": {"text": []}}],
)  # fmt: skip

# ---------------------------------------------------------------------- lawful answers

_CHAT_CALLS = [
    {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
    {"index": 1, "id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
]
_CITED = {
    "type": "url_citation",
    "url_citation": {"url": "https://x.invalid", "title": "t", "start_index": 0, "end_index": 1},
}
_THOUGHTS = [
    {"type": "reasoning.text", "text": "h", "signature": "s", "format": "anthropic-claude-v1"},
    {"type": "reasoning.encrypted", "data": "d", "format": "google-gemini-v1"},
]
_CHAT_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 7,
    "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
_LOGPROBS = {
    "content": [
        {
            "token": "a",
            "logprob": -0.5,
            "bytes": [97],
            "top_logprobs": [{"token": "a", "logprob": -0.5}],
        }
    ]
}
_PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
_MESSAGE = {"role": "assistant", "content": "so", "reasoning_content": "h", "refusal": None}
_MESSAGE_OF_ALL = {
    "role": "assistant",
    "content": [{"type": "text", "text": "so"}],
    "reasoning_details": _THOUGHTS,
    "annotations": [_CITED],
    "images": [_PICTURE],
    "tool_calls": _CHAT_CALLS,
    "refusal": "no",
    "audio": {"id": "a", "data": "eA==", "transcript": "so", "expires_at": 1},
}


def _chat(kind: str, **choice: object) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": kind,
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, **choice}],
    }


def _chunk(delta: object, finish: str | None = None, **choice: object) -> dict[str, Any]:
    return _chat("chat.completion.chunk", delta=delta, finish_reason=finish, **choice)


_OUTPUT: list[dict[str, Any]] = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "h"}],
        "encrypted_content": "e",
    },
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "text": "so",
                "annotations": [{"type": "url_citation", "url": "https://x.invalid", "title": "t"}],
                "logprobs": [],
            },
            {"type": "refusal", "refusal": "no"},
        ],
    },
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c1",
        "name": "f",
        "arguments": '{"a":1}',
        "status": "completed",
    },
    {"type": "custom_tool_call", "id": "ct_1", "call_id": "c2", "name": "g", "input": "x"},
    {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    },
    {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": PNG},
]
_RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "m",
    "output": _OUTPUT,
    "service_tier": "default",
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 2},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 16,
    },
}


def _response_events() -> list[dict[str, Any]]:
    begun = {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for index, item in enumerate(_OUTPUT):
        at = {"output_index": index, "item_id": item["id"]}
        events.append({"type": "response.output_item.added", "item": item, **at})
        match item["type"]:
            case "reasoning":
                told = {"summary_index": 0, **at}
                events.append(
                    {"type": "response.reasoning_summary_text.delta", "delta": "h", **told}
                )
            case "message":
                for place, part in enumerate(item["content"]):
                    told = {"content_index": place, **at}
                    kind = part["type"]
                    word = "refusal" if kind == "refusal" else "text"
                    events += [
                        {"type": "response.content_part.added", "part": part, **told},
                        {"type": f"response.{kind}.delta", "delta": part[word], **told},
                        {"type": f"response.{kind}.done", word: part[word], **told},
                        {"type": "response.content_part.done", "part": part, **told},
                    ]
                annotation = item["content"][0]["annotations"][0]
                told = {"content_index": 0, "annotation_index": 0, "annotation": annotation}
                events.append({"type": "response.output_text.annotation.added", **told, **at})
            case "function_call":
                kind = "response.function_call_arguments"
                events.append({"type": f"{kind}.delta", "delta": item["arguments"], **at})
                events.append({"type": f"{kind}.done", "arguments": item["arguments"], **at})
            case "custom_tool_call":
                kind = "response.custom_tool_call_input"
                events.append({"type": f"{kind}.delta", "delta": item["input"], **at})
                events.append({"type": f"{kind}.done", "input": item["input"], **at})
            case _:
                pass
        events.append({"type": "response.output_item.done", "item": item, **at})
    events.append({"type": "response.completed", "response": _RESPONSE})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


_BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "h", "signature": "s"},
    {"type": "redacted_thinking", "data": "d"},
    {
        "type": "text",
        "text": "so",
        "citations": [
            {
                "type": "web_search_result_location",
                "url": "https://x.invalid",
                "title": "t",
                "cited_text": "c",
                "encrypted_index": "e",
            }
        ],
    },
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
    {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
]
_MESSAGES_USAGE = {
    "input_tokens": 9,
    "output_tokens": 7,
    "cache_read_input_tokens": 2,
    "cache_creation": {"ephemeral_1h_input_tokens": 1},
    "server_tool_use": {"web_search_requests": 1},
    "service_tier": "standard",
}
_MESSAGE_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": _BLOCKS,
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": _MESSAGES_USAGE,
}


def _message_events() -> list[dict[str, Any]]:
    begun = {**_MESSAGE_ANSWER, "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(_BLOCKS):
        at = {"index": index}
        deltas: list[dict[str, Any]] = []
        start = dict(block)
        match block["type"]:
            case "thinking":
                start |= {"thinking": "", "signature": ""}
                deltas += [
                    {"type": "thinking_delta", "thinking": "h"},
                    {"type": "signature_delta", "signature": "s"},
                ]
            case "text":
                start |= {"text": "", "citations": []}
                deltas += [
                    {"type": "text_delta", "text": "so"},
                    {"type": "citations_delta", "citation": block["citations"][0]},
                ]
            case "tool_use" | "server_tool_use":
                start["input"] = {}
                deltas.append({"type": "input_json_delta", "partial_json": '{"a":1}'})
            case _:
                pass
        events.append({"type": "content_block_start", "content_block": start, **at})
        events += [{"type": "content_block_delta", "delta": delta, **at} for delta in deltas]
        events.append({"type": "content_block_stop", **at})
    stopped = {"stop_reason": "tool_use", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": stopped, "usage": _MESSAGES_USAGE})
    return [*events, {"type": "message_stop"}]


_GEMINI_PARTS: list[dict[str, Any]] = [
    {"text": "h", "thought": True, "thoughtSignature": "c2ln"},
    {"text": "so"},
    {"inlineData": {"mimeType": "image/png", "data": PNG}},
    {"executableCode": {"language": "PYTHON", "code": "1"}},
    {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
]
_GEMINI_USAGE = {
    "promptTokenCount": 9,
    "candidatesTokenCount": 4,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 16,
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 2}],
}
_GROUNDING = {
    "webSearchQueries": ["q"],
    "groundingChunks": [{"web": {"uri": "https://x.invalid", "title": "t"}}],
}


def _candidate(parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish is not None:
        candidate |= {"finishReason": finish, "groundingMetadata": _GROUNDING}
    return {
        "candidates": [candidate],
        "usageMetadata": _GEMINI_USAGE,
        "modelVersion": "m",
        "responseId": "r1",
    }


_CONVERSE_BLOCKS: list[dict[str, Any]] = [
    {"reasoningContent": {"reasoningText": {"text": "h", "signature": "s"}}},
    {"reasoningContent": {"redactedContent": "cg=="}},
    {"text": "so"},
    {
        "citationsContent": {
            "content": [{"text": "so"}],
            "citations": [{"title": "t", "location": {"web": {"url": "https://x.invalid"}}}],
        }
    },
    {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
]
_CONVERSE_USAGE = {"inputTokens": 9, "outputTokens": 7, "totalTokens": 16}
_CONVERSE_EVENTS: list[dict[str, Any]] = [
    {"messageStart": {"role": "assistant"}},
    {
        "contentBlockDelta": {
            "contentBlockIndex": 0,
            "delta": {"reasoningContent": {"text": "h"}},
        }
    },
    {
        "contentBlockDelta": {
            "contentBlockIndex": 0,
            "delta": {"reasoningContent": {"signature": "s"}},
        }
    },
    {"contentBlockStop": {"contentBlockIndex": 0}},
    {
        "contentBlockDelta": {
            "contentBlockIndex": 1,
            "delta": {"reasoningContent": {"redactedContent": "cg=="}},
        }
    },
    {"contentBlockStop": {"contentBlockIndex": 1}},
    {"contentBlockDelta": {"contentBlockIndex": 2, "delta": {"text": "so"}}},
    {
        "contentBlockDelta": {
            "contentBlockIndex": 2,
            "delta": {
                "citation": {"title": "t", "location": {"web": {"url": "https://x.invalid"}}}
            },
        }
    },
    {"contentBlockStop": {"contentBlockIndex": 2}},
    {
        "contentBlockStart": {
            "contentBlockIndex": 3,
            "start": {"toolUse": {"toolUseId": "t1", "name": "f"}},
        }
    },
    {"contentBlockDelta": {"contentBlockIndex": 3, "delta": {"toolUse": {"input": '{"a":1}'}}}},
    {"contentBlockStop": {"contentBlockIndex": 3}},
    {"messageStop": {"stopReason": "tool_use"}},
    {"metadata": {"usage": _CONVERSE_USAGE, "serviceTier": {"type": "flex"}}},
]


def _completion(**choice: object) -> dict[str, Any]:
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "logprobs": None, **choice}],
        "usage": _CHAT_USAGE,
    }


WHOLE: dict[str, list[dict[str, Any]]] = {
    "openai_chat": [
        _chat("chat.completion", message=_MESSAGE, finish_reason="stop", logprobs=_LOGPROBS)
        | {"usage": _CHAT_USAGE},
        _chat("chat.completion", message=_MESSAGE_OF_ALL, finish_reason="tool_calls")
        | {"usage": _CHAT_USAGE},
    ],
    "openai_responses": [_RESPONSE],
    "openai_completions": [_completion(text="so", finish_reason="stop")],
    "anthropic_messages": [_MESSAGE_ANSWER],
    "gemini": [_candidate(_GEMINI_PARTS, "STOP")],
    "bedrock_converse": [
        {
            "output": {"message": {"role": "assistant", "content": _CONVERSE_BLOCKS}},
            "stopReason": "tool_use",
            "usage": _CONVERSE_USAGE,
            "metrics": {"latencyMs": 1},
        }
    ],
}
"""Lawful whole answers by format, each with everything that a format can say."""

EVENTS: dict[str, list[list[dict[str, Any]]]] = {
    "openai_chat": [
        [
            _chunk({"role": "assistant", "content": ""}),
            _chunk({"reasoning_content": "h"}),
            _chunk({"reasoning_details": _THOUGHTS}),
            _chunk({"content": "so"}, logprobs=_LOGPROBS),
            _chunk({"annotations": [_CITED]}),
            _chunk({"images": [_PICTURE]}),
            _chunk({"tool_calls": [_CHAT_CALLS[0]]}),
            _chunk({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}),
            _chunk({"tool_calls": [_CHAT_CALLS[1]]}),
            _chunk({"refusal": "no"}),
            _chunk({}, "tool_calls"),
            _chat("chat.completion.chunk") | {"choices": [], "usage": _CHAT_USAGE},
        ]
    ],
    "openai_responses": [_response_events()],
    "openai_completions": [
        [
            _completion(text="s", finish_reason=None),
            _completion(text="o", finish_reason=None),
            _completion(text="", finish_reason="stop"),
        ]
    ],
    "anthropic_messages": [_message_events()],
    "gemini": [
        [*(_candidate([part], None) for part in _GEMINI_PARTS), _candidate([], "STOP")],
    ],
    "bedrock_converse": [_CONVERSE_EVENTS],
}
"""Lawful streams by format, each event as its document."""

_RECORDED = {
    "openai_chat": "openai-chat-chat",
    "openai_responses": "openai-responses-responses",
    "anthropic_messages": "anthropic-messages-anthropic",
    "gemini": "gemini-generate-gemini",
}


def _add_recorded() -> None:
    for name, prefix in _RECORDED.items():
        for recording in recordings(prefix):
            if not recording.is_stream:
                WHOLE[name].append(json.loads(recording.response))
                continue
            lines = recording.response.decode().splitlines()
            told = [line.removeprefix("data:").strip() for line in lines if line[:5] == "data:"]
            EVENTS[name].append([json.loads(one) for one in told if one != "[DONE]"])


_add_recorded()

# ---------------------------------------------------------------------- what is changed


def whole_answer(provider: str, case: int) -> bytes:
    """A whole answer that is not quite lawful."""
    chance = random.Random(f"{provider} whole {case}")
    document = copy.deepcopy(chance.choice(WHOLE[provider]))
    changed: Any = document
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        changed = _changed(changed, chance)
    return _broken(_text(changed), chance)


def streamed_answer(provider: str, case: int) -> bytes:
    """The same as a stream of events."""
    chance = random.Random(f"{provider} stream {case}")
    events: list[Any] = copy.deepcopy(chance.choice(EVENTS[provider]))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        _change_stream(events, chance)
    told = b"".join(_event(event) for event in events)
    if provider in ("openai_chat", "openai_completions") and chance.random() < 0.9:
        told += b"data: [DONE]\n\n"
    return _broken(told, chance)


def odd_document(document: dict[str, Any], chance: random.Random) -> Any:  # noqa: ANN401 - of any type
    """A document with something else in some places."""
    changed: Any = copy.deepcopy(document)
    for _ in range(chance.choice((1, 2, 2, 3, 5))):
        changed = _changed(changed, chance)
    return changed


def text_of(value: object) -> bytes:
    """A document as it stands on the wire."""
    return _text(value)


def event_of(value: object) -> bytes:
    """One event of a stream."""
    return _event(value)


def _change_stream(events: list[Any], chance: random.Random) -> None:
    if not events:
        return
    at = chance.randrange(len(events))
    match chance.randrange(9):
        case 0:
            del events[at]
        case 1:
            events.insert(at, copy.deepcopy(events[at]))
        case 2:
            events.insert(chance.randrange(len(events)), events.pop(at))
        case 3:
            events.insert(at, chance.choice(ODD))
        case 4:
            del events[at : at + chance.randrange(1, 6)]
        case _:
            events[at] = _changed(events[at], chance)


def _changed(value: Any, chance: random.Random) -> Any:  # noqa: ANN401 - a document
    """The document with something else in one place."""
    found = list(_places(value))
    if not found:
        return chance.choice(ODD)
    holder, step = chance.choice(found)
    match chance.randrange(8):
        case 0:
            del holder[step]
        case 1:
            holder[step] = [holder[step]]
        case 2 if isinstance(holder, list):
            holder.insert(step, copy.deepcopy(holder[step]))
        case 3:
            other, place = chance.choice(found)
            holder[step] = copy.deepcopy(other[place])
        case _:
            holder[step] = copy.deepcopy(chance.choice(ODD))
    return value


def _places(value: object) -> Iterator[tuple[Any, Any]]:
    """Every member of a document, at any depth, by its holder."""
    if isinstance(value, dict):
        for name, each in list(value.items()):
            yield value, name
            yield from _places(each)
    elif isinstance(value, list):
        for number, each in enumerate(list(value)):
            yield value, number
            yield from _places(each)


def _broken(told: bytes, chance: random.Random) -> bytes:
    """Mostly as it is; now and then cut, or with bytes that are not its own."""
    dice = chance.random()
    if dice < 0.04:
        return told[: chance.randrange(len(told) + 1)]
    if dice < 0.08:
        at = chance.randrange(len(told) + 1)
        return told[:at] + chance.choice((b"\xff", b"\x00", b"}", b"\n\n", b'"')) + told[at:]
    return told


def _event(value: object) -> bytes:
    name = value.get("type") if isinstance(value, dict) else None
    is_named = type(name) is str and name.isascii() and name.isprintable()
    head = f"event: {name}\n".encode() if is_named else b""
    return head + b"data: " + _text(value) + b"\n\n"


def _text(value: object) -> bytes:
    text = json.dumps(value)
    for stands_for, number in _NUMBERS.items():
        text = text.replace(stands_for, number)
    return text.encode()
