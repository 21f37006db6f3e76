"""A provider of OpenAI's Chat Completions.

Source: https://platform.openai.com/docs/api-reference/chat
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
from tests.obedient.refusals import openai_chat, thinking_chat
from tests.obedient.shapes import check

_SYSTEM = ("system", "developer")


class OpenAIChat:
    """`/chat/completions`."""

    refuse = staticmethod(openai_chat)

    def read(self, path: str, document: dict[str, Any]) -> Asked:
        require(path.endswith("/v1/chat/completions"), f"no such address: {path}")
        check("openai_chat", document)
        self.refuse(document)
        asked = Asked(document, document.get("stream", False))
        require(not asked.is_stream or "stream_options" in document, "its usage is not asked for")
        open_calls: list[Call] = []
        results: list[Result] = []
        for message in document["messages"]:
            if message["role"] != "tool":
                require_answered(open_calls, results)
                open_calls, results = [], []
            match message["role"]:
                case "system" | "developer":
                    asked.instructions += _text_of(message["content"])
                case "user":
                    _read_content(message["content"], asked)
                case "assistant":
                    open_calls = [_call(each) for each in message.get("tool_calls") or ()]
                    asked.calls += open_calls
                    thought = message.get("reasoning_content")
                    asked.thoughts += [thought] if thought else []
                    said = bool(open_calls) or bool(message.get("content"))
                    require(said, "an assistant's message says nothing")
                case "tool":
                    results.append(Result(message["tool_call_id"], _text_of(message["content"])))
                    asked.results.append(results[-1])
                case role:
                    require(False, f"no such role: {role}")
        require_answered(open_calls, results)
        for tool in document.get("tools") or ():
            function = tool[tool["type"]]
            if tool["type"] == "custom":
                asked.customs.add(function["name"])
            asked.tools[function["name"]] = function.get("parameters") or {}
            asked.descriptions[function["name"]] = function.get("description") or ""
        choice = document.get("tool_choice")
        asked.forced = choice[choice["type"]]["name"] if isinstance(choice, dict) else None
        asked.must_call = choice == "required" or asked.forced is not None
        wanted = document.get("response_format") or {}
        asked.schema = (wanted.get("json_schema") or {}).get("schema")
        return asked

    def whole(self, said: Said) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": said.text or None,
            "refusal": None,
            "annotations": [],
        }
        if said.thought:
            message["reasoning_content"] = said.thought
        if said.calls:
            message["tool_calls"] = [_tool_call(call) for call in said.calls]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _finish(said),
        }
        told = _frame(said, "chat.completion", [choice])
        return told | {"usage": _usage(said.figures), "service_tier": "default"}

    def events(self, said: Said) -> Iterator[bytes]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
        deltas += [{"reasoning_content": piece} for piece in halves(said.thought) if piece]
        deltas += [{"content": piece} for piece in halves(said.text) if piece]
        for index, call in enumerate(said.calls):
            told = _tool_call(call)
            kind, word = ("custom", "input") if call.is_custom else ("function", "arguments")
            begun = {**told, "index": index, kind: {**told[kind], word: ""}}
            deltas.append({"tool_calls": [begun]})
            deltas += [
                {"tool_calls": [{"index": index, kind: {word: piece}}]}
                for piece in halves(told[kind][word])
            ]
        for delta in deltas:
            yield _event(said, [_streamed(delta, None)], None)
        yield _event(said, [_streamed({}, _finish(said))], None)
        yield _event(said, [], _usage(said.figures))
        yield b"data: [DONE]\n\n"

    def failure(self, status: int, message: str) -> dict[str, Any]:
        kind = "invalid_request_error" if status < 500 else "server_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}


class ThinkingChat(OpenAIChat):
    """The same of vendors whose models go on thinking between calls, and want their words back.

    Source: https://api-docs.deepseek.com/guides/thinking_mode#tool-calls
    """

    refuse = staticmethod(thinking_chat)


def _text_of(content: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content)


def _read_content(content: Any, asked: Asked) -> None:  # noqa: ANN401 - JSON
    if isinstance(content, str):
        asked.texts.append(content)
        return
    for part in content:
        if part["type"] == "text":
            asked.texts.append(part["text"])
        elif part["type"] == "image_url":
            asked.pictures.append(picture_at(part["image_url"]["url"]))


def _call(told: Mapping[str, Any]) -> Call:
    function = told[told["type"]]
    if told["type"] == "custom":
        return Call(told["id"], function["name"], {"input": function["input"]}, is_custom=True)
    return Call(told["id"], function["name"], json.loads(function["arguments"]))


def _tool_call(call: Call) -> dict[str, Any]:
    if call.is_custom:
        custom = {"name": call.name, "input": call.arguments["input"]}
        return {"id": call.id, "type": "custom", "custom": custom}
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _finish(said: Said) -> str:
    return "tool_calls" if said.calls else "stop"


def _usage(figures: Figures) -> dict[str, Any]:
    given = figures.fresh + figures.cached
    made = figures.made + figures.thought
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": {"cached_tokens": figures.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": figures.thought,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _frame(said: Said, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{said.number}",
        "object": kind,
        "created": 1_764_000_000,
        "model": "gpt-5.1-2025-11-13",
        "choices": choices,
    }


def _streamed(delta: Mapping[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _event(said: Said, choices: list[dict[str, Any]], usage: Mapping[str, Any] | None) -> bytes:
    told = _frame(said, "chat.completion.chunk", choices) | {"usage": usage}
    return b"data: " + json.dumps(told).encode() + b"\n\n"
