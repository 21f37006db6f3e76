"""A provider of Anthropic's Messages.

Source: https://docs.anthropic.com/en/api/messages
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.obedient.contract import (
    Asked,
    Call,
    Figures,
    Result,
    Said,
    halves,
    picture,
    require,
    require_answered,
    without,
)
from tests.obedient.refusals import anthropic_messages as refuse
from tests.obedient.shapes import check

_SIGNATURE = "EqQBCkYIBxgC"
_SAMPLING = ("temperature", "top_p", "top_k")
"""Taken by models before version 4.7, and no longer among the SDK's types."""


class AnthropicMessages:
    """`/v1/messages`."""

    def read(self, path: str, document: dict[str, Any]) -> Asked:
        require(path.endswith("/v1/messages"), f"no such address: {path}")
        check("anthropic_messages", without(document, *_SAMPLING))
        refuse(document)
        asked = Asked(document, document.get("stream", False))
        asked.instructions = _text_of(document.get("system") or "")
        open_calls: Sequence[Call] = ()
        _require_thoughts(document)
        for message in document["messages"]:
            blocks = _blocks(message["content"])
            results = [_result(block) for block in blocks if block["type"] == "tool_result"]
            require_answered(open_calls, results)
            open_calls = ()
            asked.results += results
            if message["role"] == "assistant":
                open_calls = [_call(block) for block in blocks if block["type"] == "tool_use"]
                asked.calls += open_calls
                _require_sealed(blocks)
                asked.thoughts += [one["signature"] for one in blocks if one["type"] == "thinking"]
                continue
            _read_blocks(blocks, asked)
        require_answered(open_calls, ())
        _require_room_for_thoughts(document)
        for tool in document.get("tools") or ():
            if "input_schema" in tool:
                asked.tools[tool["name"]] = tool["input_schema"]
                asked.descriptions[tool["name"]] = tool.get("description") or ""
        choice = document.get("tool_choice") or {}
        asked.forced = choice.get("name")
        asked.must_call = choice.get("type") in ("any", "tool")
        wanted = (document.get("output_config") or {}).get("format") or {}
        asked.schema = wanted.get("schema")
        return asked

    def whole(self, said: Said) -> dict[str, Any]:
        usage = _usage(said.figures)
        return _message(said, _content(said), _stop(said), usage)

    def events(self, said: Said) -> Iterator[bytes]:
        begun = _usage(said.figures) | {"output_tokens": 1}
        yield _event("message_start", message=_message(said, [], None, begun))
        yield _event("ping")
        for index, block in enumerate(_content(said)):
            start, deltas = _divided(block)
            yield _event("content_block_start", index=index, content_block=start)
            for delta in deltas:
                yield _event("content_block_delta", index=index, delta=delta)
            yield _event("content_block_stop", index=index)
        delta = {"stop_reason": _stop(said), "stop_sequence": None}
        yield _event("message_delta", delta=delta, usage=_usage(said.figures))
        yield _event("message_stop")

    def failure(self, status: int, message: str) -> dict[str, Any]:
        kind = "invalid_request_error" if status < 500 else "api_error"
        error = {"type": kind, "message": message}
        return {"type": "error", "error": error, "request_id": "req_1"}


def _blocks(content: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    require(bool(blocks), "a message says nothing")
    for block in blocks:
        require(block["type"] != "text" or bool(block["text"]), "a text block is empty")
    return blocks


def _text_of(content: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block["type"] == "text")


def _read_blocks(blocks: Sequence[Mapping[str, Any]], asked: Asked) -> None:
    others = False
    for block in blocks:
        require(block["type"] != "tool_result" or not others, "results come first")
        others = others or block["type"] != "tool_result"
        if block["type"] == "text":
            asked.texts.append(block["text"])
        elif block["type"] == "image":
            asked.pictures.append(_picture(block))


def _picture(block: Mapping[str, Any]) -> str:
    source = block["source"]
    if source["type"] == "url":
        return str(source["url"])
    return picture(source["media_type"], source["data"])


def _result(block: Mapping[str, Any]) -> Result:
    content = block.get("content") or ""
    pictures = (
        []
        if isinstance(content, str)
        else [_picture(each) for each in content if each["type"] == "image"]
    )
    return Result(block["tool_use_id"], _text_of(content), tuple(pictures))


def _call(block: Mapping[str, Any]) -> Call:
    return Call(block["id"], block["name"], block["input"])


def _require_sealed(blocks: Sequence[Mapping[str, Any]]) -> None:
    for block in blocks:
        if block["type"] == "thinking":
            require(block["signature"].startswith(_SIGNATURE), "a thought signed by another")


def _require_thoughts(document: Mapping[str, Any]) -> None:
    """While it thinks, the turns of a task that goes on begin with what it thought."""
    if (document.get("thinking") or {}).get("type") not in ("enabled", "adaptive"):
        return
    otherwise = (
        "Expected `thinking` or `redacted_thinking`, but found `{}`. When `thinking` is enabled, a "
        "final `assistant` message must start with a thinking block."
    )
    for message in reversed(document["messages"]):
        blocks = _blocks(message["content"])
        if message["role"] == "user" and blocks[0]["type"] != "tool_result":
            return
        if message["role"] == "assistant":
            found = blocks[0]["type"]
            require(found in ("thinking", "redacted_thinking"), otherwise.format(found))


def _require_room_for_thoughts(document: Mapping[str, Any]) -> None:
    thinking = document.get("thinking") or {}
    if thinking.get("type") == "enabled":
        budget = thinking["budget_tokens"]
        require(1_024 <= budget < document["max_tokens"], "no room for the thoughts")
        require(document.get("temperature", 1) == 1, "thoughts have a temperature of 1")
        require("top_k" not in document, "thoughts are drawn from all tokens")


def _content(said: Said) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    if said.thought:
        signature = f"{_SIGNATURE}{said.number}"
        content.append({"type": "thinking", "thinking": said.thought, "signature": signature})
    if said.text:
        content.append({"type": "text", "text": said.text})
    content += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
        for call in said.calls
    ]
    return content


def _divided(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and what is added to it."""
    match block["type"]:
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}, [
                *({"type": "thinking_delta", "thinking": one} for one in halves(block["thinking"])),
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        case "tool_use":
            pieces = ("", *halves(json.dumps(block["input"])))
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
            return {**block, "input": {}}, deltas
        case _:
            deltas = [{"type": "text_delta", "text": piece} for piece in halves(block["text"])]
            return {"type": "text", "text": ""}, deltas


def _stop(said: Said) -> str:
    return "tool_use" if said.calls else "end_turn"


def _usage(figures: Figures) -> dict[str, Any]:
    return {
        "input_tokens": figures.fresh,
        "cache_read_input_tokens": figures.cached,
        "cache_creation_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": figures.made + figures.thought,
        "output_tokens_details": {"thinking_tokens": figures.thought},
        "service_tier": "standard",
    }


def _message(
    said: Said, content: list[dict[str, Any]], stop: str | None, usage: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "id": f"msg_{said.number:04}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def _event(name: str, **members: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **members})}\n\n".encode()
