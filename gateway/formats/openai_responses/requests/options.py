"""What a Responses request asks for besides its items."""

from typing import Any

from msgspec.structs import replace

from gateway.conversation.request import (
    AnswerTerms,
    CodeExecution,
    Conversation,
    CustomTool,
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
from gateway.formats.openai_responses.vocabulary import NAME, SERVICE_OF_TIER
from gateway.formats.values import ChatCall

_UNDERSTOOD = frozenset(
    {
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
    }
)
_SEARCHES = ("web_search", "web_search_preview")


def options_of(call: ChatCall, messages: tuple[Message, ...]) -> Conversation:
    """The conversation of these messages, under the options of the call."""
    document = call.document
    text = document.get("text") or {}
    return Conversation(
        format=NAME,
        messages=messages,
        is_stream=call.stream,
        max_output_tokens=call.max_output_tokens,
        tools=terms_of(call).tools,
        tool_choice=_tool_choice(document.get("tool_choice")),
        parallel_tool_calls=document.get("parallel_tool_calls"),
        sampling=Sampling(
            temperature=document.get("temperature"),
            top_p=document.get("top_p"),
            wants_logprobs="message.output_text.logprobs" in (document.get("include") or ()),
            top_logprobs=document.get("top_logprobs"),
        ),
        reasoning=_reasoning(document.get("reasoning")),
        output=_output(text.get("format")),
        verbosity=text.get("verbosity") or "",
        service=SERVICE_OF_TIER.get(document.get("service_tier") or "", ""),
        user=document.get("user") or "",
        metadata=document.get("metadata"),
        is_stored=document.get("store"),
        prompt_cache_key=document.get("prompt_cache_key") or "",
        foreign={
            name: value
            for name, value in document.items()
            if name not in _UNDERSTOOD and name not in call.stripped and value is not None
        },
    )


def terms_of(call: ChatCall) -> AnswerTerms:
    """What the answer has to keep to."""
    told = call.document.get("tools") or ()
    return AnswerTerms(tools=tuple(tool for each in told for tool in _tools(each)))


def _tools(told: dict[str, Any]) -> list[Tool]:
    """A namespace is the tools within it."""
    if told["type"] != "namespace":
        return [_tool(told)]
    within = [_tool(each) for each in told.get("tools") or ()]
    name = told.get("name") or ""
    return [
        replace(tool, namespace=name) if isinstance(tool, FunctionTool) else tool for tool in within
    ]


def _tool(tool: dict[str, Any]) -> Tool:
    kind = tool["type"]
    if kind == "function":
        return FunctionTool(
            name=tool["name"],
            description=tool.get("description") or "",
            parameters=tool.get("parameters"),
            is_strict=tool.get("strict"),
        )
    if kind == "custom":
        return CustomTool(
            name=tool.get("name") or "",
            description=tool.get("description") or "",
            grammar=tool.get("format"),
        )
    if kind.startswith(_SEARCHES):
        return _web_search(tool)
    if kind == "code_interpreter" and (tool.get("container") or {}).get("type") == "auto":
        return CodeExecution()
    return ForeignTool(format=NAME, kind=kind, value=tool)


def _web_search(tool: dict[str, Any]) -> WebSearch:
    place = tool.get("user_location") or {}
    filters = tool.get("filters") or {}
    return WebSearch(
        context_size=tool.get("search_context_size") or "",
        allowed_domains=tuple(filters.get("allowed_domains") or ()),
        country=place.get("country") or "",
        city=place.get("city") or "",
        region=place.get("region") or "",
        time_zone=place.get("timezone") or "",
    )


def _tool_choice(choice: str | dict[str, Any] | None) -> ToolChoice | None:
    if type(choice) is str:
        return ToolChoice(mode=choice) if choice in ("auto", "none", "required") else None  # type: ignore[arg-type]  # just checked
    if type(choice) is not dict:
        return None
    if choice.get("type") == "allowed_tools":
        names = tuple(tool["name"] for tool in choice.get("tools") or () if tool.get("name"))
        mode = choice.get("mode")
        return ToolChoice(mode="required" if mode == "required" else "auto", names=names)
    name = choice.get("name")
    return ToolChoice(mode="required", names=(name,)) if name else None


def _reasoning(told: dict[str, Any] | None) -> Reasoning | None:
    if told is None:
        return None
    effort = told.get("effort") or ""
    summary = told.get("summary")
    return Reasoning(
        is_on=effort != "none" if effort else None,
        effort=effort,
        tells_thoughts=True if summary else None,
    )


def _output(told: dict[str, Any] | None) -> OutputFormat | None:
    if told is None:
        return None
    if told.get("type") == "json_schema":
        return OutputFormat(
            kind="schema",
            schema=told.get("schema"),
            name=told.get("name") or "",
            description=told.get("description") or "",
            is_strict=told.get("strict"),
        )
    return OutputFormat(kind="json" if told.get("type") == "json_object" else "text")
