"""What a conversation asks for besides its messages, in the words of a Responses request."""

from collections.abc import Container
from typing import Any

from gateway.conversation.losses import of_search
from gateway.conversation.request import (
    CodeExecution,
    Conversation,
    CustomTool,
    ForeignTool,
    FunctionTool,
    OutputFormat,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
    WebSearch,
)
from gateway.formats.openai_responses.vocabulary import NAME, TIER_OF_SERVICE
from gateway.formats.shared.openai_models import refused_sampling
from gateway.formats.shared.vendors.accepted import accepted

_LOW_BUDGET_TOKENS = 2_048
_MEDIUM_BUDGET_TOKENS = 16_384
_SEARCH = ("country", "city", "region", "time_zone", "context_size", "allowed_domains")
_SEALED_THOUGHTS = "reasoning.encrypted_content"


def write_options(
    document: dict[str, Any], conversation: Conversation, upstream_model: str
) -> list[str]:
    """Add the options to a document; what of them was lost.

    Nothing is stored at the provider unless that was asked for: thoughts come back sealed instead.
    """
    sampling = conversation.sampling
    refused = refused_sampling(upstream_model, sampling, conversation.reasoning)
    members = {
        "stream": conversation.is_stream,
        "max_output_tokens": conversation.max_output_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_logprobs": sampling.top_logprobs,
        "service_tier": TIER_OF_SERVICE.get(conversation.service),
        "user": conversation.user,
        "metadata": conversation.metadata,
        "prompt_cache_key": conversation.prompt_cache_key,
        "text": _text(conversation),
        "reasoning": _reasoning(conversation.reasoning),
    }
    document |= {
        name: value
        for name, value in members.items()
        if value not in (None, "", {}, False) and name not in refused
    }
    document["store"] = bool(conversation.is_stored)
    include = [_SEALED_THOUGHTS] if accepted("", NAME, upstream_model).reasons else []
    if sampling.wants_logprobs and "logprobs" not in refused:
        include.append("message.output_text.logprobs")
    if include:
        document["include"] = include
    losses = _write_tools(document, conversation) + _lost(sampling)
    losses += [name for name in refused if name not in losses]
    if conversation.format == NAME:
        document |= conversation.foreign
        return losses
    return losses + sorted(conversation.foreign)


def _write_tools(document: dict[str, Any], conversation: Conversation) -> list[str]:
    tools: list[dict[str, Any]] = []
    losses: list[str] = []
    for tool in conversation.tools:
        if isinstance(tool, ForeignTool) and tool.format != NAME:
            losses.append(f"tools.{tool.kind}")
            continue
        if isinstance(tool, FunctionTool) and tool.cache is not None:
            losses.append("cache_control")
        if isinstance(tool, WebSearch):
            losses += of_search(tool, *_SEARCH)
        if isinstance(tool, FunctionTool) and tool.namespace:
            _within(tools, tool.namespace).append(_tool(tool))
        else:
            tools.append(_tool(tool))
    if tools:
        document |= {"tools": tools, **_tool_use(conversation)}
    return losses


def _tool_use(conversation: Conversation) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if conversation.tool_choice is not None:
        custom = {tool.name for tool in conversation.tools if isinstance(tool, CustomTool)}
        written["tool_choice"] = _tool_choice(conversation.tool_choice, custom)
    if conversation.parallel_tool_calls is not None:
        written["parallel_tool_calls"] = conversation.parallel_tool_calls
    return written


def _within(tools: list[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
    """The tools of a namespace, which begins where its first one stands."""
    wanted = {"type": "namespace", "name": namespace}
    found = next((each for each in tools if wanted.items() <= each.items()), None)
    if found is None:
        found = {**wanted, "description": namespace, "tools": []}
        tools.append(found)
    within: list[dict[str, Any]] = found["tools"]
    return within


def _tool(tool: Tool) -> dict[str, Any]:
    match tool:
        case FunctionTool():
            return _without_nothing(
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description or None,
                    "strict": bool(tool.is_strict),
                }
            ) | {"parameters": tool.parameters or {"type": "object", "properties": {}}}
        case CustomTool():
            return _without_nothing(
                {
                    "type": "custom",
                    "name": tool.name,
                    "description": tool.description or None,
                    "format": tool.grammar,
                }
            )
        case WebSearch():
            return _web_search(tool)
        case CodeExecution():
            return {"type": "code_interpreter", "container": {"type": "auto"}}
        case ForeignTool(value=value):
            return value


def _web_search(search: WebSearch) -> dict[str, Any]:
    place = {
        "country": search.country,
        "city": search.city,
        "region": search.region,
        "timezone": search.time_zone,
    }
    told = {name: value for name, value in place.items() if value}
    domains = list(search.allowed_domains)
    return _without_nothing(
        {
            "type": "web_search",
            "search_context_size": search.context_size or None,
            "user_location": {"type": "approximate", **told} if told else None,
            "filters": {"allowed_domains": domains} if domains else None,
        }
    )


def _tool_choice(choice: ToolChoice, custom: Container[str]) -> str | dict[str, Any]:
    if not choice.names:
        return choice.mode
    named = [
        {"type": "custom" if name in custom else "function", "name": name} for name in choice.names
    ]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": named}


def _lost(sampling: Sampling) -> list[str]:
    members = {
        "top_k": sampling.top_k,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "logit_bias": sampling.logit_bias,
    }
    return [name for name, value in members.items() if value is not None]


def _reasoning(reasoning: Reasoning | None) -> dict[str, Any]:
    if reasoning is None:
        return {}
    effort = "xhigh" if reasoning.effort == "max" else reasoning.effort
    if not effort and reasoning.budget_tokens is not None:
        effort = _effort(reasoning.budget_tokens)
    summary = "auto" if reasoning.tells_thoughts or reasoning.is_on else None
    return _without_nothing({"effort": effort or None, "summary": summary})


def _effort(budget_tokens: int) -> str:
    if budget_tokens <= _LOW_BUDGET_TOKENS:
        return "low"
    return "medium" if budget_tokens <= _MEDIUM_BUDGET_TOKENS else "high"


def _text(conversation: Conversation) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if conversation.output is not None:
        told["format"] = _output(conversation.output)
    if conversation.verbosity:
        told["verbosity"] = conversation.verbosity
    return told


def _output(output: OutputFormat) -> dict[str, Any]:
    if output.kind == "json":
        return {"type": "json_object"}
    if output.kind == "text":
        return {"type": "text"}
    return _without_nothing(
        {
            "type": "json_schema",
            "name": output.name or "answer",
            "description": output.description or None,
            "schema": output.schema or {},
            "strict": output.is_strict,
        }
    )


def _without_nothing(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
