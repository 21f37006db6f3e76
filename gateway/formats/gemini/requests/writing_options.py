"""What a conversation asks for besides its messages, in the words of generateContent."""

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
from gateway.formats.gemini.vocabulary import NAME
from gateway.formats.shared.vendors.tool_names import as_function

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_BUDGETS = {"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576}
_BY_BUDGET = ("gemini-2.5", "gemini-2.0", "gemini-robotics")
"""Models that are told how much to think in tokens; later ones take a level."""
_LEVELS = {"none": "minimal", "xhigh": "high", "max": "high"}


def write_options(
    document: dict[str, Any], conversation: Conversation, upstream_model: str
) -> list[str]:
    """Add the options to a document; what of them was lost."""
    settings = _settings(conversation)
    thinking = _thinking(conversation.reasoning, upstream_model)
    if thinking:
        settings["thinkingConfig"] = thinking
    if conversation.output is not None:
        settings |= _output(conversation.output)
    losses = _write_tools(document, conversation) + _lost(conversation)
    if conversation.format == NAME:
        own = dict(conversation.foreign)
        settings |= own.pop("generationConfig", {})
        if "toolConfig" in own:
            document.setdefault("toolConfig", {}).update(own.pop("toolConfig"))
        document |= own
    else:
        losses += sorted(conversation.foreign)
    if settings:
        document["generationConfig"] = settings
    return losses


def _settings(conversation: Conversation) -> dict[str, Any]:
    sampling = conversation.sampling
    members = {
        "maxOutputTokens": conversation.max_output_tokens,
        "candidateCount": conversation.choices if conversation.choices > 1 else None,
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k,
        "seed": sampling.seed,
        "frequencyPenalty": sampling.frequency_penalty,
        "presencePenalty": sampling.presence_penalty,
        "stopSequences": list(sampling.stop) or None,
        "responseLogprobs": sampling.wants_logprobs or None,
        "logprobs": sampling.top_logprobs,
        "responseModalities": [each.upper() for each in conversation.modalities] or None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _lost(conversation: Conversation) -> list[str]:
    sampling: Sampling = conversation.sampling
    members = {
        "logit_bias": sampling.logit_bias,
        "parallel_tool_calls": conversation.parallel_tool_calls is False,
        "verbosity": conversation.verbosity,
        "service_tier": conversation.service,
        "user": conversation.user,
        "metadata": conversation.metadata,
        "store": conversation.is_stored,
        "prompt_cache_key": conversation.prompt_cache_key,
    }
    return [name for name, value in members.items() if value]


def _write_tools(document: dict[str, Any], conversation: Conversation) -> list[str]:
    declared: list[dict[str, Any]] = []
    hosted: list[dict[str, Any]] = []
    losses: list[str] = []
    for tool in conversation.tools:
        if isinstance(tool, CustomTool):
            declared.append(_function(as_function(tool)))
            continue
        if isinstance(tool, FunctionTool):
            declared.append(_function(tool))
            losses += [] if tool.cache is None else ["cache_control"]
            losses += ["tools.strict"] if tool.is_strict else []
            continue
        written, loss = _hosted(tool)
        hosted += written
        losses += loss
    tools = ([{"functionDeclarations": declared}] if declared else []) + hosted
    if tools:
        document["tools"] = tools
    if conversation.tool_choice is not None and declared:
        document["toolConfig"] = {"functionCallingConfig": _tool_choice(conversation.tool_choice)}
    return losses


def _function(tool: FunctionTool) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    if tool.parameters is not None:
        written["parametersJsonSchema"] = tool.parameters
    return written


def _hosted(tool: Tool) -> tuple[list[dict[str, Any]], list[str]]:
    match tool:
        case WebSearch():
            return [{"googleSearch": {}}], of_search(tool)
        case CodeExecution():
            return [{"codeExecution": {}}], []
        case ForeignTool(format=format_name, value=value) if format_name == NAME:
            return [value], []
        case ForeignTool(kind=kind):
            return [], [f"tools.{kind}"]
        case FunctionTool() | CustomTool():
            raise AssertionError("functions are declared together")


def _tool_choice(choice: ToolChoice) -> dict[str, Any]:
    if choice.mode == "none" or not choice.names:
        return {"mode": _MODES[choice.mode]}
    # https://ai.google.dev/gemini-api/docs/function-calling: names go with these two modes alone.
    mode = "ANY" if choice.mode == "required" else "VALIDATED"
    return {"mode": mode, "allowedFunctionNames": list(choice.names)}


def _thinking(reasoning: Reasoning | None, upstream_model: str) -> dict[str, Any]:
    if reasoning is None:
        return {}
    told: dict[str, Any] = {}
    is_by_budget = upstream_model.rpartition("/")[2].startswith(_BY_BUDGET)
    if reasoning.is_on is False:
        told["thinkingBudget"] = 0
    elif reasoning.budget_tokens is not None:
        told["thinkingBudget"] = reasoning.budget_tokens
    elif reasoning.effort and is_by_budget:
        told["thinkingBudget"] = _BUDGETS.get(reasoning.effort, _BUDGETS["high"])
    elif reasoning.effort:
        told["thinkingLevel"] = _LEVELS.get(reasoning.effort, reasoning.effort)
    elif reasoning.is_adaptive:
        told["thinkingBudget"] = -1
    if reasoning.tells_thoughts is not None:
        told["includeThoughts"] = reasoning.tells_thoughts
    elif told.get("thinkingBudget") != 0 and (reasoning.is_on or reasoning.effort):
        told["includeThoughts"] = True
    return told


def _output(output: OutputFormat) -> dict[str, Any]:
    if output.kind == "text":
        return {"responseMimeType": "text/plain"}
    written: dict[str, Any] = {"responseMimeType": "application/json"}
    if output.kind == "schema":
        written["responseJsonSchema"] = output.schema or {}
    return written
