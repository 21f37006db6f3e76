"""What a generateContent request asks for besides its contents."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.conversation.request import (
    AnswerTerms,
    CodeExecution,
    Conversation,
    ForeignTool,
    FunctionTool,
    Message,
    OutputFormat,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
    WebSearch,
)
from gateway.formats.gemini.requests.schemas import as_json_schema
from gateway.formats.gemini.vocabulary import NAME, member
from gateway.formats.values import ChatCall

_UNDERSTOOD = frozenset(
    {
        "contents",
        "generationConfig",
        "generation_config",
        "model",
        "systemInstruction",
        "system_instruction",
        "toolConfig",
        "tool_config",
        "tools",
    }
)
_SETTINGS_UNDERSTOOD = (
    "candidateCount",
    "frequencyPenalty",
    "logprobs",
    "maxOutputTokens",
    "presencePenalty",
    "responseJsonSchema",
    "responseLogprobs",
    "responseMimeType",
    "responseModalities",
    "responseSchema",
    "seed",
    "stopSequences",
    "temperature",
    "thinkingConfig",
    "topK",
    "topP",
)
_CALLING = ("functionCallingConfig", "function_calling_config")
_MODES = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}


def options_of(call: ChatCall, messages: tuple[Message, ...]) -> Conversation:
    """The conversation of these messages, under the options of the call."""
    document = call.document
    settings = member(document, "generationConfig") or {}
    terms = terms_of(call)
    top_k = member(settings, "topK")
    return Conversation(
        format=NAME,
        messages=messages,
        is_stream=call.stream,
        max_output_tokens=call.max_output_tokens,
        choices=call.choices,
        tools=terms.tools,
        tool_choice=_tool_choice(document),
        sampling=Sampling(
            temperature=member(settings, "temperature"),
            top_p=member(settings, "topP"),
            top_k=None if top_k is None else int(top_k),
            seed=member(settings, "seed"),
            frequency_penalty=member(settings, "frequencyPenalty"),
            presence_penalty=member(settings, "presencePenalty"),
            stop=terms.stops,
            wants_logprobs=bool(member(settings, "responseLogprobs")),
            top_logprobs=member(settings, "logprobs"),
        ),
        reasoning=_reasoning(member(settings, "thinkingConfig")),
        output=_output(settings),
        modalities=tuple(
            str(each).lower() for each in member(settings, "responseModalities") or ()
        ),
        foreign=dict(_foreign(document, settings)),
    )


def terms_of(call: ChatCall) -> AnswerTerms:
    """What the answer has to keep to."""
    settings = member(call.document, "generationConfig") or {}
    return AnswerTerms(
        tools=tuple(tool for told in call.document.get("tools") or () for tool in _tools(told)),
        stops=tuple(member(settings, "stopSequences") or ()),
    )


def _foreign(document: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((name, value) for name, value in document.items() if name not in _UNDERSTOOD)
    known = {id(member(settings, name)) for name in _SETTINGS_UNDERSTOOD}
    odd = {name: value for name, value in settings.items() if id(value) not in known}
    if odd:
        yield "generationConfig", odd
    config = member(document, "toolConfig") or {}
    beside = {name: value for name, value in config.items() if name not in _CALLING}
    if beside:
        yield "toolConfig", beside


def _tools(told: Mapping[str, Any]) -> Iterator[Tool]:
    for declared in member(told, "functionDeclarations") or ():
        parameters = member(declared, "parametersJsonSchema")
        if parameters is None and type(declared.get("parameters")) is dict:
            parameters = as_json_schema(declared["parameters"])
        yield FunctionTool(
            name=str(declared.get("name") or ""),
            description=declared.get("description") or "",
            parameters=parameters,
        )
    for name, value in told.items():
        match name:
            case "functionDeclarations" | "function_declarations":
                pass
            case "googleSearch" | "google_search":
                yield WebSearch()
            case "codeExecution" | "code_execution":
                yield CodeExecution()
            case _:
                yield ForeignTool(format=NAME, kind=name, value={name: value})


def _tool_choice(document: Mapping[str, Any]) -> ToolChoice | None:
    config = member(document, "toolConfig") or {}
    calling = member(config, "functionCallingConfig")
    if type(calling) is not dict:
        return None
    mode = _MODES.get(str(calling.get("mode") or "AUTO").upper(), "auto")
    names = tuple(member(calling, "allowedFunctionNames") or ())
    return ToolChoice(mode=mode, names=names)  # type: ignore[arg-type]  # from the table above


def _reasoning(told: Mapping[str, Any] | None) -> Reasoning | None:
    if told is None:
        return None
    budget, level = member(told, "thinkingBudget"), member(told, "thinkingLevel")
    is_dynamic = budget == -1
    return Reasoning(
        is_on=budget != 0 if budget is not None else None,
        effort=str(level or "").lower().removeprefix("thinking_level_"),
        budget_tokens=None if budget is None or is_dynamic else budget,
        is_adaptive=is_dynamic,
        tells_thoughts=member(told, "includeThoughts"),
    )


def _output(settings: Mapping[str, Any]) -> OutputFormat | None:
    kind = member(settings, "responseMimeType")
    schema = member(settings, "responseJsonSchema")
    if schema is None and type(member(settings, "responseSchema")) is dict:
        schema = as_json_schema(member(settings, "responseSchema"))
    if schema is not None:
        return OutputFormat(kind="schema", schema=schema)
    if kind is None:
        return None
    return OutputFormat(kind="json" if kind == "application/json" else "text")
