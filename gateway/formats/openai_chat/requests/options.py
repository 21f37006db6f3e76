"""What a chat request asks for besides its messages, read into and written from a conversation."""

from typing import Any

from gateway.conversation.request import (
    AnswerTerms,
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
from gateway.formats.openai_chat.vocabulary import NAME, SERVICE_OF_TIER
from gateway.formats.values import ChatCall

_UNDERSTOOD = frozenset(
    {
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning",
        "reasoning_effort",
        "response_format",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    }
)


def options_of(call: ChatCall, messages: tuple[Message, ...]) -> Conversation:
    """The conversation of these messages, under the options of the call."""
    document = call.document
    return Conversation(
        format=NAME,
        messages=messages,
        is_stream=call.stream,
        max_output_tokens=call.max_output_tokens,
        choices=call.choices,
        tools=tuple(_tools(document)),
        tool_choice=_tool_choice(document),
        parallel_tool_calls=document.get("parallel_tool_calls"),
        sampling=_sampling(document),
        reasoning=_reasoning(document),
        output=_output(document.get("response_format")),
        verbosity=document.get("verbosity") or "",
        modalities=tuple(document.get("modalities") or ()),
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
    return AnswerTerms(tools=tuple(_tools(call.document)), stops=_sampling(call.document).stop)


def _tools(document: dict[str, Any]) -> list[Tool]:
    tools = [_tool(tool) for tool in document.get("tools") or ()]
    tools += [_function(function) for function in document.get("functions") or ()]
    search = document.get("web_search_options")
    if type(search) is dict:
        tools.append(_web_search(search))
    return tools


def _tool(tool: dict[str, Any]) -> Tool:
    if tool["type"] == "function" and tool.get("function"):
        return _function(tool["function"])
    custom = tool.get("custom")
    if tool["type"] == "custom" and type(custom) is dict:
        return CustomTool(
            name=custom.get("name") or "",
            description=custom.get("description") or "",
            grammar=_grammar(custom.get("format")),
        )
    return ForeignTool(format=NAME, kind=tool["type"], value=tool)


def _grammar(told: object) -> dict[str, Any] | None:
    """This format has the syntax one level deeper."""
    if type(told) is not dict:
        return None
    within = told.get("grammar")
    return {"type": told.get("type"), **within} if type(within) is dict else told


def _function(function: dict[str, Any]) -> FunctionTool:
    return FunctionTool(
        name=function["name"],
        description=function.get("description") or "",
        parameters=function.get("parameters"),
        is_strict=function.get("strict"),
    )


def _web_search(options: dict[str, Any]) -> WebSearch:
    place = (options.get("user_location") or {}).get("approximate") or {}
    return WebSearch(
        context_size=options.get("search_context_size") or "",
        country=place.get("country") or "",
        city=place.get("city") or "",
        region=place.get("region") or "",
        time_zone=place.get("timezone") or "",
    )


def _tool_choice(document: dict[str, Any]) -> ToolChoice | None:
    choice = document.get("tool_choice") or document.get("function_call")
    if type(choice) is str:
        return ToolChoice(mode=choice) if choice in ("auto", "none", "required") else None  # type: ignore[arg-type]  # just checked
    if type(choice) is not dict:
        return None
    allowed = choice.get("allowed_tools")
    if type(allowed) is dict:
        names = tuple(_named(tool) for tool in allowed.get("tools") or ())
        return ToolChoice(
            mode="required" if allowed.get("mode") == "required" else "auto", names=names
        )
    return ToolChoice(mode="required", names=(_named(choice),))


def _named(tool: dict[str, Any]) -> str:
    return (tool.get("function") or tool.get("custom") or tool).get("name") or ""


def _sampling(document: dict[str, Any]) -> Sampling:
    stop = document.get("stop")
    return Sampling(
        temperature=document.get("temperature"),
        top_p=document.get("top_p"),
        top_k=document.get("top_k"),
        seed=document.get("seed"),
        frequency_penalty=document.get("frequency_penalty"),
        presence_penalty=document.get("presence_penalty"),
        stop=(stop,) if type(stop) is str else tuple(stop or ()),
        logit_bias=document.get("logit_bias"),
        wants_logprobs=document.get("logprobs") or False,
        top_logprobs=document.get("top_logprobs"),
    )


def _reasoning(document: dict[str, Any]) -> Reasoning | None:
    """OpenAI's effort, OpenRouter's `reasoning`, and the `thinking` of many others."""
    effort = document.get("reasoning_effort") or ""
    told, thinking = document.get("reasoning"), document.get("thinking")
    if type(told) is dict:
        is_on = told.get("enabled")
        return Reasoning(
            is_on=is_on if type(is_on) is bool else None,
            effort=told.get("effort") or effort,
            budget_tokens=told.get("max_tokens"),
            tells_thoughts=not told.get("exclude") if "exclude" in told else None,
        )
    if type(thinking) is dict:
        return Reasoning(
            is_on=thinking.get("type") != "disabled",
            effort=effort,
            budget_tokens=thinking.get("budget_tokens"),
        )
    if effort:
        return Reasoning(is_on=effort != "none", effort=effort)
    return None


def _output(told: dict[str, Any] | None) -> OutputFormat | None:
    if told is None:
        return None
    schema = told.get("json_schema")
    if told["type"] == "json_schema" and type(schema) is dict:
        return OutputFormat(
            kind="schema",
            schema=schema.get("schema"),
            name=schema.get("name") or "",
            description=schema.get("description") or "",
            is_strict=schema.get("strict"),
        )
    return OutputFormat(kind="json" if told["type"] == "json_object" else "text")
