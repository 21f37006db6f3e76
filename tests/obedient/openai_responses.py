"""A provider of OpenAI's Responses.

Source: https://platform.openai.com/docs/api-reference/responses
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.obedient.contract import (
    Asked,
    Call,
    Figures,
    Result,
    Said,
    halves,
    picture_at,
    require,
    require_answered,
)
from tests.obedient.refusals import openai_responses as refuse
from tests.obedient.shapes import check

_FULL_MESSAGE = {"type": "message", "id": "msg_x", "status": "completed"}


class OpenAIResponses:
    """`/responses`. What it is let keep may be named by its id from then on, and nothing else."""

    def __init__(self) -> None:
        self._keeps = False
        self._kept: set[str] = set()

    def read(self, path: str, document: dict[str, Any]) -> Asked:
        require(path.endswith("/v1/responses"), f"no such address: {path}")
        check("openai_responses", _completed(document))
        refuse(document)
        asked = Asked(document, document.get("stream", False), document.get("instructions") or "")
        self._keeps = document.get("store") is not False
        items = document["input"]
        if isinstance(items, str):
            items = [{"role": "user", "content": items}]
        _require_followed(items)
        for item in items:
            if item.get("type") == "item_reference":
                require(item["id"] in self._kept, f"no such item: {item['id']}")
            else:
                _read_item(item, asked)
        require_answered(asked.calls, asked.results)
        for tool in document.get("tools") or ():
            if tool["type"] == "function":
                asked.tools[tool["name"]] = tool["parameters"] or {}
                asked.descriptions[tool["name"]] = tool.get("description") or ""
        choice = document.get("tool_choice")
        asked.forced = choice["name"] if isinstance(choice, dict) else None
        asked.must_call = choice == "required" or asked.forced is not None
        asked.schema = ((document.get("text") or {}).get("format") or {}).get("schema")
        return asked

    def whole(self, said: Said) -> dict[str, Any]:
        items = [item for item, _ in _items(said)]
        if self._keeps:
            self._kept.update(item["id"] for item in items)
        return self._response(said, "completed", items) | {"usage": _usage(said.figures)}

    def events(self, said: Said) -> Iterator[bytes]:
        begun_response = {"response": self._response(said, "in_progress", [])}
        told: list[tuple[str, dict[str, Any]]] = [
            (kind, begun_response) for kind in ("created", "in_progress")
        ]
        for index, (item, pieces) in enumerate(_items(said)):
            begun = {**item, **_EMPTY[item["type"]]}
            told.append(("output_item.added", {"output_index": index, "item": begun}))
            place = {"item_id": item["id"], "output_index": index}
            told += [(kind, place | members) for kind, members in pieces]
            told.append(("output_item.done", {"output_index": index, "item": item}))
        told.append(("completed", {"response": self.whole(said)}))
        for number, (kind, members) in enumerate(told):
            name = f"response.{kind}"
            event = {"type": name, "sequence_number": number, **members}
            yield f"event: {name}\ndata: {json.dumps(event)}\n\n".encode()

    def _response(self, said: Said, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        return _response(said, status, output) | {"store": self._keeps}

    def failure(self, status: int, message: str) -> dict[str, Any]:
        kind = "invalid_request_error" if status < 500 else "server_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}


_EMPTY: Mapping[str, dict[str, Any]] = {
    "message": {"content": [], "status": "in_progress"},
    "function_call": {"arguments": "", "status": "in_progress"},
    "reasoning": {"summary": [], "encrypted_content": None},
}


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    """With what the types require and the API does not: an assistant's message may lack an id and
    a status, an image its detail.
    """
    if isinstance(document["input"], str):
        return document
    return document | {"input": [_completed_item(item) for item in document["input"]]}


def _completed_item(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("role") == "assistant" and not isinstance(item["content"], str):
        return _FULL_MESSAGE | item
    if isinstance(item.get("content"), list):
        parts = item["content"]
        whole = [{"detail": "auto"} | part if "image_url" in part else part for part in parts]
        return item | {"content": whole}
    return item


def _read_item(item: Mapping[str, Any], asked: Asked) -> None:
    match item.get("type", "message"):
        case "message" if item["role"] in ("system", "developer"):
            asked.instructions += _text_of(item["content"])
        case "message" if item["role"] == "user":
            _read_content(item["content"], asked)
        case "function_call":
            call = Call(item["call_id"], item["name"], json.loads(item["arguments"]))
            asked.calls.append(call)
        case "function_call_output":
            output = item["output"]
            parts = [] if isinstance(output, str) else output
            pictures = [picture_at(one["image_url"]) for one in parts if "image_url" in one]
            text = output if isinstance(output, str) else _text_of(parts)
            asked.results.append(Result(item["call_id"], text, tuple(pictures)))
        case "reasoning":
            require(item["id"].startswith("rs_"), "an id of a thought that is none")
            encrypted = item.get("encrypted_content") or "sealed-"
            require(encrypted.startswith("sealed-"), "a thought that was sealed by another")
            asked.thoughts.append(encrypted)
        case _:
            pass  # its shape has been checked, and there is nothing to answer to it


def _require_followed(items: list[dict[str, Any]]) -> None:
    """What was thought stands before what came of it."""
    for item, following in zip(items, [*items[1:], {}], strict=True):
        if item.get("type") == "reasoning":
            kinds = ("reasoning", "function_call", "custom_tool_call", "message", "item_reference")
            is_own = following.get("type", "message") in kinds and following.get("role") != "user"
            otherwise = f"Item '{item.get('id')}' of type 'reasoning' was provided without its"
            require(bool(following) and is_own, f"{otherwise} required following item.")


def _text_of(content: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if "text" in part)


def _read_content(content: Any, asked: Asked) -> None:  # noqa: ANN401 - JSON
    if isinstance(content, str):
        asked.texts.append(content)
        return
    for part in content:
        if part["type"] == "input_text":
            asked.texts.append(part["text"])
        elif part["type"] == "input_image":
            asked.pictures.append(picture_at(part["image_url"]))


_Piece = tuple[str, dict[str, Any]]


def _items(said: Said) -> Iterator[tuple[dict[str, Any], list[_Piece]]]:
    """Every item of the output, with the events between its beginning and its end."""
    if said.thought:
        yield _thought(said)
    if said.text:
        yield _message(said)
    for number, call in enumerate(said.calls):
        yield _function_call(f"fc_{said.number}_{number}", call)


def _thought(said: Said) -> tuple[dict[str, Any], list[_Piece]]:
    summary = {"type": "summary_text", "text": said.thought}
    item = {
        "type": "reasoning",
        "id": f"rs_{said.number}",
        "summary": [summary],
        "encrypted_content": f"sealed-{said.number}",
    }
    place = {"summary_index": 0}
    text = "reasoning_summary_text"
    return item, [
        ("reasoning_summary_part.added", place | {"part": summary | {"text": ""}}),
        *((f"{text}.delta", place | {"delta": piece}) for piece in halves(said.thought)),
        (f"{text}.done", place | {"text": said.thought}),
        ("reasoning_summary_part.done", place | {"part": summary}),
    ]


def _message(said: Said) -> tuple[dict[str, Any], list[_Piece]]:
    part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    item = {
        "type": "message",
        "id": f"msg_{said.number}",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    place = {"content_index": 0}
    return item, [
        ("content_part.added", place | {"part": part | {"text": ""}}),
        *(
            ("output_text.delta", place | {"delta": piece, "logprobs": []})
            for piece in halves(said.text)
        ),
        ("output_text.done", place | {"text": said.text, "logprobs": []}),
        ("content_part.done", place | {"part": part}),
    ]


def _function_call(own_id: str, call: Call) -> tuple[dict[str, Any], list[_Piece]]:
    arguments = json.dumps(call.arguments)
    item = {
        "type": "function_call",
        "id": own_id,
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments,
        "status": "completed",
    }
    kind = "function_call_arguments"
    return item, [
        *((f"{kind}.delta", {"delta": piece}) for piece in halves(arguments)),
        (f"{kind}.done", {"arguments": arguments, "name": call.name}),
    ]


def _usage(figures: Figures) -> dict[str, Any]:
    given = figures.fresh + figures.cached
    made = figures.made + figures.thought
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": figures.cached},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": figures.thought},
        "total_tokens": given + made,
    }


def _response(said: Said, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"resp_{said.number}",
        "object": "response",
        "created_at": 1_764_000_000,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "gpt-5.1-2025-11-13",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "service_tier": "default",
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }
