"""A provider of Gemini's generateContent.

Source: https://ai.google.dev/api/generate-content
"""

import base64
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
)
from tests.obedient.refusals import gemini as refuse
from tests.obedient.shapes import check

_KIND_OF_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND"}
_SCHEMAS = ("parametersJsonSchema", "parameters_json_schema", "parameters")
_UNSIGNED = "skip_thought_signature_validator"


class Gemini:
    """`:generateContent` and `:streamGenerateContent?alt=sse`."""

    def read(self, path: str, document: dict[str, Any]) -> Asked:
        model, _, action = path.partition("/v1beta/models/")[2].partition(":")
        actions = ("generateContent", "streamGenerateContent?alt=sse")
        require(bool(model) and action in actions, f"no such address: {path}")
        check("gemini", document)
        refuse(document, model)
        asked = Asked(document, action == actions[1])
        asked.instructions = _text_of((document.get("systemInstruction") or {"parts": []})["parts"])
        open_calls: list[Call] = []
        for content in document["contents"]:
            parts = content["parts"]
            require(bool(parts), "a content without parts")
            results = [part["functionResponse"] for part in parts if "functionResponse" in part]
            asked.results += _answers(open_calls, results)
            open_calls = []
            if content.get("role") == "model":
                open_calls = _calls(parts, len(asked.calls))
                asked.calls += open_calls
                asked.thoughts += _signatures(parts)
                continue
            _read_parts(parts, asked)
        require(not open_calls, "calls without their results")
        for tool in document.get("tools") or ():
            for function in tool.get("functionDeclarations") or ():
                schemas = [function[name] for name in _SCHEMAS if function.get(name)]
                asked.tools[function["name"]] = schemas[0] if schemas else {}
                asked.descriptions[function["name"]] = function.get("description") or ""
        choice = (document.get("toolConfig") or {}).get("functionCallingConfig") or {}
        names: list[str] = choice.get("allowedFunctionNames") or []
        asked.must_call = choice.get("mode") == "ANY"
        asked.forced = names[0] if asked.must_call and len(names) == 1 else None
        options = document.get("generationConfig") or {}
        asked.schema = options.get("responseJsonSchema") or options.get("responseSchema")
        is_json = options.get("responseMimeType") == "application/json"
        require(is_json or not asked.schema, "a schema of an answer that is not JSON")
        return asked

    def whole(self, said: Said) -> dict[str, Any]:
        return _frame(said, _parts(said), is_last=True)

    def events(self, said: Said) -> Iterator[bytes]:
        pieces = [
            {**part, "text": piece}
            for part in _parts(said)
            if "text" in part
            for piece in halves(part["text"])
            if piece
        ]
        for part in pieces:
            yield _event(_frame(said, [part], is_last=False))
        calls = [part for part in _parts(said) if "text" not in part]
        yield _event(_frame(said, calls or [{"text": ""}], is_last=True))

    def failure(self, status: int, message: str) -> dict[str, Any]:
        kind = _KIND_OF_STATUS.get(status, "INTERNAL")
        return {"error": {"code": status, "message": message, "status": kind}}


def _text_of(parts: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(part["text"] for part in parts if "text" in part)


def _read_parts(parts: Sequence[Mapping[str, Any]], asked: Asked) -> None:
    for part in parts:
        if "text" in part:
            asked.texts.append(part["text"])
        elif "inlineData" in part:
            asked.pictures.append(_picture(part["inlineData"]))
        elif "fileData" in part:
            told = part["fileData"]
            asked.pictures.append(told.get("fileUri") or told["file_uri"])


def _signatures(parts: Sequence[Mapping[str, Any]]) -> list[str]:
    told = [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]
    return [base64.b64decode(each).decode() for each in told if each != _UNSIGNED]


def _calls(parts: Sequence[Mapping[str, Any]], before: int) -> list[Call]:
    calls: list[Call] = []
    for number, part in enumerate(parts):
        signature = part.get("thoughtSignature", _UNSIGNED)
        if signature != _UNSIGNED:
            sealed = base64.b64decode(signature, validate=True)
            require(sealed.startswith(b"sealed"), "a thought signed by another")
        if "functionCall" in part:
            signed = bool(calls) or "thoughtSignature" in part
            require(signed, "the first call of a step is missing a thought_signature")
            told = part["functionCall"]
            own_id = told.get("id") or f"unnamed-{before + number}"
            calls.append(Call(own_id, told["name"], told.get("args") or {}))
    return calls


def _answers(calls: Sequence[Call], results: Sequence[Mapping[str, Any]]) -> list[Result]:
    """Results belong to calls by their ids or, without, by name and place. Raises IllFormed."""
    called = [call.name for call in calls]
    names = [result["name"] for result in results]
    require(sorted(called) == sorted(names), f"calls of {called} are answered by {names}")
    found = []
    for call, result in zip(calls, results, strict=True):
        require(result.get("id", call.id) in {each.id for each in calls}, "a result of no call")
        told = result["response"]
        text = told["output"] if isinstance(told.get("output"), str) else json.dumps(told)
        shown = tuple(_picture(part["inlineData"]) for part in result.get("parts") or ())
        found.append(Result(result.get("id", call.id), text, shown))
    return found


def _parts(said: Said) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if said.thought:
        parts.append({"text": said.thought, "thought": True})
    if said.text:
        parts.append({"text": said.text})
    for number, call in enumerate(said.calls):
        part: dict[str, Any] = {
            "functionCall": {"id": call.id, "name": call.name, "args": call.arguments}
        }
        if not number:  # the first of parallel calls carries it
            sealed = base64.b64encode(f"sealed-{said.number}".encode()).decode()
            part["thoughtSignature"] = sealed
        parts.append(part)
    return parts


def _frame(said: Said, parts: list[dict[str, Any]], is_last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if is_last:
        candidate["finishReason"] = "STOP"
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(said.figures, is_last),
        "modelVersion": "gemini-3-pro-preview",
        "responseId": f"response-{said.number}",
    }


def _usage(figures: Figures, is_last: bool) -> dict[str, Any]:
    """So far: the answer grows from chunk to chunk, and its last one tells all."""
    given = figures.fresh + figures.cached
    made = figures.made if is_last else 1
    return {
        "promptTokenCount": given,
        "cachedContentTokenCount": figures.cached,
        "candidatesTokenCount": made,
        "thoughtsTokenCount": figures.thought,
        "totalTokenCount": given + made + figures.thought,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": given}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": figures.cached}],
    }


def _event(told: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(told).encode() + b"\r\n\r\n"


def _picture(told: dict[str, Any]) -> str:
    """Both spellings of the type and both alphabets of base64 are taken, as the real one does."""
    data = told["data"].translate(str.maketrans("-_", "+/"))
    return picture(told.get("mimeType") or told["mime_type"], data)
