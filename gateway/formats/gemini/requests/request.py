"""A generateContent request, checked where it matters for routing, money and memory.

The model and whether to stream stand in the path, and are the route's to say.
"""

from typing import Any

import msgspec

from gateway.errors import InvalidRequest
from gateway.formats.gemini.vocabulary import member
from gateway.formats.shared.parameters import array, boolean, integer, mapping, number, refuse, text
from gateway.formats.values import ChatCall

OUTPUT_TOKENS_MAX = 10_000_000
CHOICES_MAX = 8
CONTENTS_MAX, PARTS_MAX = 10_000, 10_000
TOOLS_MAX, TOOLS_MAX_BYTES = 512, 1_000_000
STOPS_MAX, STOP_MAX_BYTES = 64, 4_096
NAME_MAX_BYTES = 256
TEXT_MAX_BYTES = 1 << 40
"""Texts are bounded by the body's limit alone."""

_NUMBERS = (
    ("temperature", 0, 2),
    ("topP", 0, 1),
    ("topK", 0, 1_000_000),
    ("presencePenalty", -2, 2),
    ("frequencyPenalty", -2, 2),
)


def read_request(document: dict[str, Any], body: bytes) -> ChatCall:
    """The call that `document` asks for, without its model. Raises InvalidRequest."""
    contents = document.get("contents")
    _check_contents(contents)
    system = member(document, "systemInstruction")
    if system is not None and type(system) is not str:
        _check_content(system, "systemInstruction")
    if member(document, "cachedContent"):
        raise InvalidRequest(
            "'cachedContent' is not supported here: another provider may serve the next call.",
            param="cachedContent",
            code="unsupported_parameter",
        )
    settings = mapping(member(document, "generationConfig"), "generationConfig", most=128) or {}
    _check_settings(settings)
    tools = array(document.get("tools"), "tools", most=TOOLS_MAX)
    for position, tool in enumerate(tools or ()):
        if type(tool) is not dict:
            refuse(f"tools[{position}]", "an object")
        _check_declarations(tool, f"tools[{position}]")
    _check_tool_config(document)
    if tools and len(msgspec.json.encode(tools)) > TOOLS_MAX_BYTES:
        refuse("tools", f"at most {TOOLS_MAX_BYTES} bytes of JSON")
    return ChatCall(
        model="",
        stream=False,
        max_output_tokens=integer(
            member(settings, "maxOutputTokens"),
            "generationConfig.maxOutputTokens",
            least=1,
            most=OUTPUT_TOKENS_MAX,
        ),
        choices=integer(
            member(settings, "candidateCount"),
            "generationConfig.candidateCount",
            least=1,
            most=CHOICES_MAX,
        )
        or 1,
        wants_usage=True,
        document=document,
        body=body,
    )


def read_counting(document: dict[str, Any], body: bytes) -> ChatCall:
    """The prompt that `document` asks to count: contents, or a whole request around them.

    Raises InvalidRequest.
    """
    whole = member(document, "generateContentRequest")
    return read_request(whole if type(whole) is dict else document, body)


def _check_contents(contents: object) -> None:
    if type(contents) is str:
        return
    listed = (
        [contents]
        if type(contents) is dict
        else array(contents, "contents", least=1, most=CONTENTS_MAX)
    )
    if listed is None:
        refuse("contents", "given")
    for position, content in enumerate(listed):
        _check_content(content, f"contents[{position}]")


def _check_content(content: object, param: str) -> None:
    if type(content) is not dict:
        refuse(param, "an object")
    text(content.get("role"), f"{param}.role", most_bytes=64, plain=True)
    parts = content.get("parts")
    listed = [parts] if type(parts) is dict else array(parts, f"{param}.parts", most=PARTS_MAX)
    for position, part in enumerate(listed or ()):
        place = f"{param}.parts[{position}]"
        if type(part) is not dict:
            refuse(place, "an object")
        text(part.get("text"), f"{place}.text", most_bytes=TEXT_MAX_BYTES)


def _check_settings(settings: dict[str, Any]) -> None:
    for name, least, most in _NUMBERS:
        number(member(settings, name), f"generationConfig.{name}", least=least, most=most)
    stops = array(
        member(settings, "stopSequences"), "generationConfig.stopSequences", most=STOPS_MAX
    )
    for position, stop in enumerate(stops or ()):
        param = f"generationConfig.stopSequences[{position}]"
        if text(stop, param, most_bytes=STOP_MAX_BYTES) is None:
            refuse(param, "a string")
    param = "generationConfig.thinkingConfig"
    thinking = mapping(member(settings, "thinkingConfig"), param, most=16) or {}
    budget = member(thinking, "thinkingBudget")
    integer(budget, f"{param}.thinkingBudget", least=-1, most=OUTPUT_TOKENS_MAX)
    text(member(thinking, "thinkingLevel"), f"{param}.thinkingLevel", most_bytes=64, plain=True)
    boolean(member(thinking, "includeThoughts"), f"{param}.includeThoughts")
    for name in ("responseSchema", "responseJsonSchema"):
        mapping(member(settings, name), f"generationConfig.{name}", most=1_024)
    kind = member(settings, "responseMimeType")
    text(kind, "generationConfig.responseMimeType", most_bytes=256, plain=True)
    array(member(settings, "responseModalities"), "generationConfig.responseModalities", most=16)
    boolean(member(settings, "responseLogprobs"), "generationConfig.responseLogprobs")


def _check_declarations(tool: dict[str, Any], param: str) -> None:
    declared = member(tool, "functionDeclarations")
    for place, each in enumerate(
        array(declared, f"{param}.functionDeclarations", most=TOOLS_MAX) or ()
    ):
        at = f"{param}.functionDeclarations[{place}]"
        function = mapping(each, at, most=64)
        if function is None:
            refuse(at, "an object")
        if text(function.get("name"), f"{at}.name", most_bytes=NAME_MAX_BYTES, plain=True) is None:
            refuse(f"{at}.name", "a string")
        text(function.get("description"), f"{at}.description", most_bytes=TEXT_MAX_BYTES)
        for name in ("parameters", "parametersJsonSchema"):
            mapping(member(function, name), f"{at}.{name}", most=1_024)


def _check_tool_config(document: dict[str, Any]) -> None:
    config = mapping(member(document, "toolConfig"), "toolConfig", most=16) or {}
    param = "toolConfig.functionCallingConfig"
    calling = mapping(member(config, "functionCallingConfig"), param, most=16) or {}
    text(calling.get("mode"), f"{param}.mode", most_bytes=64, plain=True)
    names = member(calling, "allowedFunctionNames")
    for place, name in enumerate(
        array(names, f"{param}.allowedFunctionNames", most=TOOLS_MAX) or ()
    ):
        at = f"{param}.allowedFunctionNames[{place}]"
        if text(name, at, most_bytes=NAME_MAX_BYTES, plain=True) is None:
            refuse(at, "a string")
