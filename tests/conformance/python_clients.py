"""The scenarios of `tests/conformance/node` through the real SDKs for Python."""

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

from tests.obedient.provider import PNG

INSTRUCTIONS = "be brief"
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "its name"}},
    "required": ["city"],
    "additionalProperties": False,
}
REPORT = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "degrees": {"type": "integer"},
        "sky": {"type": "string", "enum": ["clear", "grey"]},
    },
    "required": ["city", "degrees", "sky"],
    "additionalProperties": False,
}
WEATHER: dict[str, Any] = {"name": "weather", "description": "of a city"}
CALLS = 'CALL weather {"city":"Riga"}\nCALL weather {"city":"Oslo"}'
PICTURE = f"data:image/png;base64,{PNG}"

KINDS = ("text", "stream", "tools", "tools_stream", "pictures", "structured")
_FUNCTION = {"name", "arguments"}
Told = dict[str, Any]
Scenario = Callable[[str, str], Told]


def weather_of(arguments: dict[str, Any]) -> str:
    return f"rain in {arguments['city']}"


def user(content: object) -> dict[str, Any]:
    return {"role": "user", "content": content}


def run(base_url: str, key: str, models: Iterable[str], picture_url: str) -> list[Told]:
    """A line for each scenario and model, as the scripts print them."""
    requests: list[str] = []

    def note(response: Any) -> None:  # noqa: ANN401 - whichever client's
        requests.append(response.headers["x-request-id"])

    hooks: Any = {"response": [note]}
    apis = (
        _Chat(base_url, key, hooks),
        _Responses(base_url, key, hooks),
        _Messages(base_url, key, hooks),
        _Gemini(base_url, key, hooks),
    )
    lines = []
    for api in apis:
        with contextlib.closing(api.sdk):
            for model in models:
                for kind in KINDS:
                    requests.clear()
                    name = f"{api.name}_{kind}"
                    told = api.scenario(kind, model, f"{name}@{model}", picture_url)
                    line = {"model": model, "scenario": name, "told": told}
                    lines.append({**line, "requests": [*requests]})
    return lines


class _Api(ABC):
    """One API of an SDK."""

    name: str
    sdk: Any

    def scenario(self, kind: str, model: str, mark: str, picture_url: str) -> Told:
        is_stream = kind.endswith("stream")
        match kind:
            case "text" | "stream":
                return self.text(model, mark, is_stream)
            case "tools" | "tools_stream":
                return self.tools(model, mark, is_stream)
            case "pictures":
                return self.pictures(model, mark, picture_url)
            case _:
                return self.structured(model, mark)

    @abstractmethod
    def text(self, model: str, mark: str, is_stream: bool) -> Told: ...

    @abstractmethod
    def tools(self, model: str, mark: str, is_stream: bool) -> Told: ...

    @abstractmethod
    def pictures(self, model: str, mark: str, picture_url: str) -> Told: ...

    @abstractmethod
    def structured(self, model: str, mark: str) -> Told: ...


class _Chat(_Api):
    name = "chat"

    def __init__(self, base_url: str, key: str, hooks: Any) -> None:  # noqa: ANN401
        client = openai.DefaultHttpxClient(event_hooks=hooks)
        self.sdk = openai.OpenAI(
            api_key=key, base_url=f"{base_url}/v1", max_retries=0, http_client=client
        )

    def _make(self, is_stream: bool, **request: Any) -> Any:  # noqa: ANN401
        if not is_stream:
            return self.sdk.chat.completions.create(**request)
        options = {"include_usage": True}
        with self.sdk.chat.completions.stream(**request, stream_options=options) as stream:
            return stream.get_final_completion()

    def text(self, model: str, mark: str, is_stream: bool) -> Told:
        system = {"role": "system", "content": INSTRUCTIONS}
        answer = self._make(is_stream, model=model, messages=[system, user(f"{mark} hello THINK")])
        return _told(answer.choices[0].message.content, answer.usage)

    def tools(self, model: str, mark: str, is_stream: bool) -> Told:
        function = {**WEATHER, "parameters": CITY, "strict": True}
        messages: list[Any] = [user(f"{mark}\n{CALLS}")]
        request = {
            "model": model,
            "messages": messages,
            "tools": [{"type": "function", "function": function}],
        }
        first = self._make(is_stream, parallel_tool_calls=True, **request)
        said = first.choices[0].message
        calls = [
            {"name": call.function.name, "arguments": json.loads(call.function.arguments)}
            for call in said.tool_calls
        ]
        messages.append(
            {
                "role": "assistant",
                "content": said.content,
                "tool_calls": [
                    call.model_dump(include={"id": True, "type": True, "function": _FUNCTION})
                    for call in said.tool_calls
                ],
            }
        )
        for call, told in zip(said.tool_calls, calls, strict=True):
            content = weather_of(told["arguments"])
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
        second = self._make(is_stream, **request)
        told = _told(second.choices[0].message.content, first.usage, second.usage)
        stop = first.choices[0].finish_reason
        return {**told, "said": said.content, "calls": calls, "stop": stop}

    def pictures(self, model: str, mark: str, picture_url: str) -> Told:
        shown = [{"type": "image_url", "image_url": {"url": url}} for url in (PICTURE, picture_url)]
        content = [{"type": "text", "text": mark}, *shown]
        answer = self._make(False, model=model, messages=[user(content)])
        return _told(answer.choices[0].message.content, answer.usage)

    def structured(self, model: str, mark: str) -> Told:
        schema = {"name": "report", "schema": REPORT, "strict": True}
        answer = self._make(
            False,
            model=model,
            messages=[user(mark)],
            response_format={"type": "json_schema", "json_schema": schema},
        )
        return _structured(answer.choices[0].message.content, answer.usage)


class _Responses(_Chat):
    name = "responses"

    def _make(self, is_stream: bool, **request: Any) -> Any:  # noqa: ANN401
        if not is_stream:
            return self.sdk.responses.create(**request)
        with self.sdk.responses.stream(**request) as stream:
            return stream.get_final_response()

    def text(self, model: str, mark: str, is_stream: bool) -> Told:
        answer = self._make(
            is_stream, model=model, instructions=INSTRUCTIONS, input=f"{mark} hello THINK"
        )
        return _told(answer.output_text, answer.usage)

    def tools(self, model: str, mark: str, is_stream: bool) -> Told:
        items: list[Any] = [user(f"{mark}\n{CALLS}")]
        request = {
            "model": model,
            "input": items,
            "tools": [{"type": "function", **WEATHER, "parameters": CITY, "strict": True}],
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "low", "summary": "auto"},
        }
        first = self._make(is_stream, **request)
        items += [
            item.model_dump(exclude_none=True, exclude={"parsed_arguments"})
            for item in first.output
        ]
        called = [item for item in first.output if item.type == "function_call"]
        calls = [{"name": each.name, "arguments": json.loads(each.arguments)} for each in called]
        items += [
            {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": weather_of(told["arguments"]),
            }
            for call, told in zip(called, calls, strict=True)
        ]
        second = self._make(is_stream, **request)
        told = _told(second.output_text, first.usage, second.usage)
        return {**told, "said": first.output_text, "calls": calls}

    def pictures(self, model: str, mark: str, picture_url: str) -> Told:
        shown = [
            {"type": "input_image", "image_url": url, "detail": "auto"}
            for url in (PICTURE, picture_url)
        ]
        content = [{"type": "input_text", "text": mark}, *shown]
        answer = self._make(False, model=model, input=[user(content)])
        return _told(answer.output_text, answer.usage)

    def structured(self, model: str, mark: str) -> Told:
        schema = {"type": "json_schema", "name": "report", "schema": REPORT, "strict": True}
        answer = self._make(False, model=model, input=mark, text={"format": schema})
        return _structured(answer.output_text, answer.usage)


class _Messages(_Api):
    name = "messages"

    def __init__(self, base_url: str, key: str, hooks: Any) -> None:  # noqa: ANN401
        client = anthropic.DefaultHttpxClient(event_hooks=hooks)
        self.sdk = anthropic.Anthropic(
            api_key=key, base_url=base_url, max_retries=0, http_client=client
        )

    def _make(self, is_stream: bool, **request: Any) -> Any:  # noqa: ANN401
        if not is_stream:
            return self.sdk.messages.create(max_tokens=2_000, **request)
        with self.sdk.messages.stream(max_tokens=2_000, **request) as stream:
            return stream.get_final_message()

    def text(self, model: str, mark: str, is_stream: bool) -> Told:
        messages = [user(f"{mark} hello THINK")]
        answer = self._make(is_stream, model=model, system=INSTRUCTIONS, messages=messages)
        return _told(_words(answer.content), answer.usage)

    def tools(self, model: str, mark: str, is_stream: bool) -> Told:
        messages: list[Any] = [user(f"{mark}\n{CALLS}")]
        request = {
            "model": model,
            "messages": messages,
            "tools": [{**WEATHER, "input_schema": CITY}],
            "thinking": {"type": "enabled", "budget_tokens": 1_024},
        }
        first = self._make(is_stream, **request)
        called = [block for block in first.content if block.type == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": weather_of(call.input)}
            for call in called
        ]
        messages += [{"role": "assistant", "content": first.content}, user(results)]
        second = self._make(is_stream, **request)
        return {
            **_told(_words(second.content), first.usage, second.usage),
            "said": _words(first.content),
            "thoughts": [block.thinking for block in first.content if block.type == "thinking"],
            "calls": [{"name": call.name, "arguments": call.input} for call in called],
            "stop": first.stop_reason,
        }

    def pictures(self, model: str, mark: str, picture_url: str) -> Told:
        inline = {"type": "base64", "media_type": "image/png", "data": PNG}
        sources = (inline, {"type": "url", "url": picture_url})
        shown = [{"type": "image", "source": source} for source in sources]
        messages = [user([{"type": "text", "text": mark}, *shown])]
        answer = self._make(False, model=model, messages=messages)
        return _told(_words(answer.content), answer.usage)

    def structured(self, model: str, mark: str) -> Told:
        config = {"format": {"type": "json_schema", "schema": REPORT}}
        answer = self._make(False, model=model, messages=[user(mark)], output_config=config)
        return _structured(_words(answer.content), answer.usage)


class _Gemini(_Api):
    name = "gemini"

    def __init__(self, base_url: str, key: str, hooks: Any) -> None:  # noqa: ANN401
        options = types.HttpOptions(base_url=base_url, client_args={"event_hooks": hooks})
        self.sdk = genai.Client(api_key=key, http_options=options)

    def _make(self, is_stream: bool, **request: Any) -> tuple[list[types.Part], Any]:  # noqa: ANN401
        if not is_stream:
            answers = [self.sdk.models.generate_content(**request)]
        else:
            answers = list(self.sdk.models.generate_content_stream(**request))
        parts = [
            part
            for answer in answers
            for candidate in answer.candidates or ()
            for part in (candidate.content and candidate.content.parts) or ()
        ]
        usage = next(each.usage_metadata for each in reversed(answers) if each.usage_metadata)
        return parts, usage

    def text(self, model: str, mark: str, is_stream: bool) -> Told:
        config = types.GenerateContentConfig(system_instruction=INSTRUCTIONS)
        contents = f"{mark} hello THINK"
        parts, usage = self._make(is_stream, model=model, contents=contents, config=config)
        return _told(_said(parts), usage)

    def tools(self, model: str, mark: str, is_stream: bool) -> Told:
        function = types.FunctionDeclaration(**WEATHER, parameters_json_schema=CITY)
        config = types.GenerateContentConfig(
            tools=[types.Tool(function_declarations=[function])],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1_024),
        )
        contents = [types.Content(role="user", parts=[types.Part(text=f"{mark}\n{CALLS}")])]
        first, first_usage = self._make(is_stream, model=model, contents=contents, config=config)
        called = [part.function_call for part in first if part.function_call]
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"output": weather_of(call.args or {})}
                )
            )
            for call in called
        ]
        contents += [
            types.Content(role="model", parts=first),
            types.Content(role="user", parts=results),
        ]
        second, usage = self._make(is_stream, model=model, contents=contents, config=config)
        return {
            **_told(_said(second), first_usage, usage),
            "said": _said(first),
            "calls": [{"name": call.name, "arguments": call.args} for call in called],
        }

    def pictures(self, model: str, mark: str, picture_url: str) -> Told:
        inline = types.Blob.model_validate({"mimeType": "image/png", "data": PNG})
        parts = [
            types.Part(text=mark),
            types.Part(inline_data=inline),
            types.Part.from_uri(file_uri=picture_url, mime_type="image/png"),
        ]
        contents = [types.Content(role="user", parts=parts)]
        answer, usage = self._make(False, model=model, contents=contents)
        return _told(_said(answer), usage)

    def structured(self, model: str, mark: str) -> Told:
        config = types.GenerateContentConfig(
            response_mime_type="application/json", response_json_schema=REPORT
        )
        answer, usage = self._make(False, model=model, contents=mark, config=config)
        return _structured(_said(answer), usage)


def _told(text: str | None, *usages: Any) -> Told:  # noqa: ANN401 - whichever SDK's
    told = [usage.model_dump(mode="json", by_alias=True) for usage in usages]
    return {"text": text, "usages": told}


def _structured(text: str | None, usage: Any) -> Told:  # noqa: ANN401
    return {**_told(text, usage), "structured": json.loads(text or "")}


def _words(blocks: Iterable[Any]) -> str:
    return "".join(block.text for block in blocks if block.type == "text")


def _said(parts: Iterable[types.Part]) -> str:
    return "".join(part.text for part in parts if part.text and not part.thought)
