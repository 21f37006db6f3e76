"""What a conversation asks for besides its messages, in the words of a chat request."""

from collections.abc import Container, Sequence
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
    ToolChoice,
    WebSearch,
)
from gateway.formats.openai_chat.vocabulary import (
    NAME,
    TIER_OF_SERVICE,
)
from gateway.formats.shared.openai_models import (
    refused_sampling,
    takes_completion_limit,
    takes_effort,
)

_LOW_BUDGET_TOKENS = 2_048
_MEDIUM_BUDGET_TOKENS = 16_384
_EFFORTS = {"max": "xhigh"}
_PLACE = ("country", "city", "region", "time_zone")


def write_options(
    document: dict[str, Any], conversation: Conversation, upstream_model: str
) -> list[str]:
    """Add the options to a document; what of them was lost."""
    if conversation.is_stream:
        document |= {"stream": True, "stream_options": {"include_usage": True}}
    if conversation.max_output_tokens is not None:
        is_new = takes_completion_limit(upstream_model)
        name = "max_completion_tokens" if is_new else "max_tokens"
        document[name] = conversation.max_output_tokens
    if conversation.choices > 1:
        document["n"] = conversation.choices
    losses = _write_tools(document, conversation)
    refused = refused_sampling(upstream_model, conversation.sampling, conversation.reasoning)
    losses += _write_sampling(document, conversation.sampling, refused)
    losses += _write_reasoning(document, conversation.reasoning, upstream_model)
    if conversation.output is not None:
        document["response_format"] = _output(conversation.output)
    members = {
        "verbosity": conversation.verbosity,
        "modalities": list(conversation.modalities),
        "service_tier": TIER_OF_SERVICE.get(conversation.service),
        "user": conversation.user,
        "metadata": conversation.metadata,
        "prompt_cache_key": conversation.prompt_cache_key,
    }
    document |= {name: value for name, value in members.items() if value}
    if conversation.is_stored is not None:
        document["store"] = conversation.is_stored
    if conversation.format == NAME:
        document |= conversation.foreign
        return losses
    return losses + sorted(conversation.foreign)


def _write_tools(document: dict[str, Any], conversation: Conversation) -> list[str]:
    losses: list[str] = []
    tools: list[dict[str, Any]] = []
    for tool in conversation.tools:
        if isinstance(tool, WebSearch):
            document["web_search_options"] = _web_search(tool)
            losses += of_search(tool, *_PLACE, "context_size")
            continue
        written, loss = _tool(tool)
        tools += written
        losses += loss
    if tools:
        document["tools"] = tools
        document |= _tool_use(conversation)
    return losses


def _tool(
    tool: FunctionTool | CustomTool | CodeExecution | ForeignTool,
) -> tuple[list[dict[str, Any]], list[str]]:
    match tool:
        case FunctionTool(cache=cache):
            losses = [] if cache is None else ["cache_control"]
            return [{"type": "function", "function": _function(tool)}], losses
        case CustomTool():
            return [{"type": "custom", "custom": _custom(tool)}], []
        case ForeignTool(format=format_name, value=value) if format_name == NAME:
            return [value], []
        case ForeignTool(kind=kind):
            return [], [f"tools.{kind}"]
        case CodeExecution():
            return [], ["tools.code_execution"]


def _tool_use(conversation: Conversation) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if conversation.tool_choice is not None:
        custom = {tool.name for tool in conversation.tools if isinstance(tool, CustomTool)}
        written["tool_choice"] = _tool_choice(conversation.tool_choice, custom)
    if conversation.parallel_tool_calls is not None:
        written["parallel_tool_calls"] = conversation.parallel_tool_calls
    return written


def _function(tool: FunctionTool) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    if tool.parameters is not None:
        written["parameters"] = tool.parameters
    if tool.is_strict is not None:
        written["strict"] = tool.is_strict
    return written


def _custom(tool: CustomTool) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    if tool.grammar is not None:
        within = {name: value for name, value in tool.grammar.items() if name != "type"}
        kind = {"type": tool.grammar.get("type") or "text"}
        written["format"] = kind | ({"grammar": within} if within else {})
    return written


def _web_search(search: WebSearch) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if search.context_size:
        written["search_context_size"] = search.context_size
    place = {
        "country": search.country,
        "city": search.city,
        "region": search.region,
        "timezone": search.time_zone,
    }
    told = {name: value for name, value in place.items() if value}
    if told:
        written["user_location"] = {"type": "approximate", "approximate": told}
    return written


def _tool_choice(choice: ToolChoice, custom: Container[str]) -> str | dict[str, Any]:
    if not choice.names:
        return choice.mode
    kinds = [(name, "custom" if name in custom else "function") for name in choice.names]
    named = [{"type": kind, kind: {"name": name}} for name, kind in kinds]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    allowed = {"mode": choice.mode, "tools": named}
    return {"type": "allowed_tools", "allowed_tools": allowed}


def _write_sampling(
    document: dict[str, Any], sampling: Sampling, refused: Sequence[str]
) -> list[str]:
    members = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "logit_bias": sampling.logit_bias,
        "logprobs": sampling.wants_logprobs or None,
        "top_logprobs": sampling.top_logprobs,
        "stop": list(sampling.stop) or None,
    }
    document |= {
        name: value for name, value in members.items() if value is not None and name not in refused
    }
    return [*refused, *(["top_k"] if sampling.top_k is not None else [])]


def _write_reasoning(
    document: dict[str, Any], reasoning: Reasoning | None, upstream_model: str
) -> list[str]:
    if reasoning is None or (reasoning.is_on is False and not reasoning.effort):
        return []
    effort = _EFFORTS.get(reasoning.effort, reasoning.effort) or _effort(reasoning.budget_tokens)
    if not effort:
        return []
    if not takes_effort(upstream_model):
        return ["reasoning"]
    document["reasoning_effort"] = effort
    return []


def _effort(budget_tokens: int | None) -> str:
    """The effort that a budget amounts to; the model's own where there is none."""
    if budget_tokens is None:
        return ""
    if budget_tokens <= _LOW_BUDGET_TOKENS:
        return "low"
    return "medium" if budget_tokens <= _MEDIUM_BUDGET_TOKENS else "high"


def _output(output: OutputFormat) -> dict[str, Any]:
    if output.kind == "json":
        return {"type": "json_object"}
    if output.kind == "text":
        return {"type": "text"}
    schema: dict[str, Any] = {"name": output.name or "answer", "schema": output.schema or {}}
    if output.description:
        schema["description"] = output.description
    if output.is_strict is not None:
        schema["strict"] = output.is_strict
    return {"type": "json_schema", "json_schema": schema}
