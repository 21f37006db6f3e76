"""A conversation as a vendor takes it, before any format writes it; `accepted` is the table."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from gateway.conversation.parts import Part, ToolCall, ToolResult
from gateway.conversation.request import (
    Conversation,
    CustomTool,
    FunctionTool,
    Message,
    Tool,
    WebSearch,
)
from gateway.formats.shared.accepted import Accepted
from gateway.formats.shared.tool_names import as_arguments, as_function, written_name

Fitted = tuple[Conversation, list[str]]
"""What is written, and what of the conversation is left out or changed (parameter names)."""


def fitted(conversation: Conversation, takes: Accepted) -> Fitted:
    """The conversation within what is taken."""
    losses: list[str] = []
    for fit in _FITS:
        conversation, lost = fit(conversation, takes)
        losses += lost
    return conversation, losses


# ---------------------------------------------------------------------- tools


def _tools(conversation: Conversation, takes: Accepted) -> Fitted:
    losses: list[str] = []
    tools: list[Tool] = []
    for tool in conversation.tools:
        if isinstance(tool, WebSearch) and not takes.has_web_search:
            losses.append("tools.web_search")
        elif isinstance(tool, CustomTool) and not takes.has_custom_tools:
            losses += ["tools.grammar"] if _has_grammar(tool) else []
            tools.append(as_function(tool))
        elif isinstance(tool, FunctionTool) and takes.needs_properties:
            tools.append(_with_properties(tool))
        else:
            tools.append(tool)
    fit = replace(conversation, tools=tuple(tools))
    choice = conversation.tool_choice
    if "tools.web_search" in losses and choice is not None and choice.names == (_SEARCH,):
        return replace(fit, tool_choice=None), [*losses, "tool_choice"]
    return fit, losses


_SEARCH = "web_search"
"""How formats name the search that they force."""


def _with_properties(tool: FunctionTool) -> FunctionTool:
    schema = tool.parameters
    if schema is None or "properties" in schema or schema.get("type", "object") != "object":
        return tool
    return replace(tool, parameters={"type": "object", "properties": {}} | schema)


def _has_grammar(tool: CustomTool) -> bool:
    return tool.grammar is not None and tool.grammar.get("type") != "text"


def _names(conversation: Conversation, takes: Accepted) -> Fitted:
    """Names of tools, which are the client's own again in the answer: nothing is lost."""
    pattern = takes.tool_name
    if pattern is None:
        return conversation, []

    def named(name: str) -> str:
        return name if not name or pattern.fullmatch(name) else written_name(name)

    tools = tuple(
        replace(tool, name=named(tool.name))
        if isinstance(tool, FunctionTool | CustomTool)
        else tool
        for tool in conversation.tools
    )
    choice = conversation.tool_choice
    if choice is not None and choice.names:
        choice = replace(choice, names=tuple(named(name) for name in choice.names))

    def fit(part: Part) -> Part:
        if isinstance(part, ToolCall | ToolResult):
            return replace(part, name=named(part.name))
        return part

    return replace(_with_parts(conversation, fit), tools=tools, tool_choice=choice), []


def _calls(conversation: Conversation, takes: Accepted) -> Fitted:
    """Calls and their results: ids that are short enough, and objects where there is no text."""

    def fit(part: Part) -> Part:
        match part:
            case ToolCall():
                call = replace(part, id=_call_id(part.id, takes))
                if part.is_custom and not takes.has_custom_tools:
                    call = replace(call, is_custom=False, arguments=as_arguments(part.arguments))
                return call
            case ToolResult():
                is_custom = part.is_custom and takes.has_custom_tools
                return replace(part, call_id=_call_id(part.call_id, takes), is_custom=is_custom)
            case _:
                return part

    return _with_parts(conversation, fit), []


def _call_id(call_id: str, takes: Accepted) -> str:
    most = takes.call_id_most
    return call_id if most is None or len(call_id) <= most else written_name(call_id)


def _with_parts(conversation: Conversation, fit: Callable[[Part], Part]) -> Conversation:
    """The conversation with each part as `fit` writes it; messages without such parts stay."""
    messages = tuple(_message(message, fit) for message in conversation.messages)
    return replace(conversation, messages=messages)


def _message(message: Message, fit: Callable[[Part], Part]) -> Message:
    if not any(isinstance(part, ToolCall | ToolResult) for part in message.parts):
        return message
    return replace(message, parts=tuple(fit(part) for part in message.parts))


# ---------------------------------------------------------------------- options

_NOTHING: dict[str, Any] = {
    name: getattr(Conversation(format="", messages=()), name)
    for name in ("prompt_cache_key", "verbosity", "metadata", "is_stored", "user", "service")
}
_TOLD_AS = {"is_stored": "store", "service": "service_tier", "max_output_tokens": "max_tokens"}


def _members(conversation: Conversation, takes: Accepted) -> Fitted:
    changed: dict[str, Any] = {}
    if takes.user_most is not None and len(conversation.user) > takes.user_most:
        changed["user"] = hashlib.sha256(conversation.user.encode()).hexdigest()
    for name in takes.refused:
        if name in _NOTHING and getattr(conversation, name) != _NOTHING[name]:
            changed[name] = _NOTHING[name]
    least = takes.output_tokens_least
    if conversation.max_output_tokens is not None and conversation.max_output_tokens < least:
        changed["max_output_tokens"] = least
    if conversation.reasoning is not None and not takes.reasons:
        changed["reasoning"] = None
    losses = [_TOLD_AS.get(name, name) for name in changed]
    return replace(conversation, **changed), losses


def _sampling(conversation: Conversation, takes: Accepted) -> Fitted:
    sampling = conversation.sampling
    changed: dict[str, Any] = {}
    losses: list[str] = []
    if "logit_bias" in takes.refused and sampling.logit_bias:
        changed["logit_bias"] = None
        losses.append("logit_bias")
    if "logprobs" in takes.refused and (sampling.wants_logprobs or sampling.top_logprobs):
        changed |= {"wants_logprobs": False, "top_logprobs": None}
        losses.append("logprobs")
    if takes.stops_most is not None:  # the rest is looked for in the answer: nothing is lost
        changed["stop"] = sampling.stop[: takes.stops_most]
    return replace(conversation, sampling=replace(sampling, **changed)), losses


_FITS: Sequence[Callable[[Conversation, Accepted], Fitted]] = (
    _tools,
    _names,
    _calls,
    _members,
    _sampling,
)
