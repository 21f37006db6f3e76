"""Tools, and how they are to be used, in the words of a Messages request."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.conversation.request import (
    CodeExecution,
    Conversation,
    CustomTool,
    ForeignTool,
    FunctionTool,
    Tool,
    WebSearch,
)
from gateway.formats.anthropic_messages.models import Traits
from gateway.formats.anthropic_messages.vocabulary import NAME, cache_control
from gateway.formats.shared.vendors.tool_names import as_function

_WEB_SEARCH = "web_search_20250305"
_CODE_EXECUTION = "code_execution_20250825"
_USES_OF_CONTEXT_SIZE = {"low": 1, "medium": 5, "high": 10}
"""How often to search, where a client says how much to read: this format counts searches."""
_MODES = {"auto": "auto", "required": "any", "none": "none"}

Written = tuple[dict[str, Any], list[str]]


def written_tools(
    conversation: Conversation, traits: Traits, messages: Sequence[Mapping[str, Any]]
) -> Written:
    """`tools` and `tool_choice`, and what of them was lost."""
    losses: list[str] = []
    tools = []
    for tool in _allowed(conversation):
        written, lost = _tool(tool, traits)
        losses += lost
        tools += written
    if not tools:
        # A request that tells of calls must define their tools; none of them may be called now.
        called = _called(messages)
        if called:
            return {"tools": called, "tool_choice": {"type": "none"}}, losses
        return {}, losses
    choice = _choice(conversation)
    return {"tools": tools} | ({"tool_choice": choice} if choice else {}), losses


def _allowed(conversation: Conversation) -> Iterable[Tool]:
    """Several names narrow the tools: only those are told of. One that is required is forced."""
    choice = conversation.tool_choice
    if choice is None or not choice.names or (choice.mode == "required" and len(choice.names) == 1):
        return conversation.tools
    named = {"web_search": WebSearch, "code_execution": CodeExecution}
    return [
        tool
        for tool in conversation.tools
        if getattr(tool, "name", None) in choice.names
        or any(isinstance(tool, named[name]) for name in choice.names if name in named)
    ]


def _choice(conversation: Conversation) -> dict[str, Any]:
    told = conversation.tool_choice
    choice: dict[str, Any] = {}
    if told is not None:
        choice = {"type": _MODES[told.mode]}
        if told.mode == "required" and len(told.names) == 1:
            choice = {"type": "tool", "name": told.names[0]}
    if conversation.parallel_tool_calls is not None and choice.get("type") != "none":
        is_needed = told is not None or not conversation.parallel_tool_calls
        one_by_one = not conversation.parallel_tool_calls
        if is_needed:
            choice = {"type": "auto", **choice, "disable_parallel_tool_use": one_by_one}
    return choice


def _tool(tool: Tool, traits: Traits) -> tuple[list[dict[str, Any]], list[str]]:
    match tool:
        case FunctionTool():
            return _function(tool, traits)
        case CustomTool():
            return _function(as_function(tool), traits)
        case WebSearch():
            return _web_search(tool)
        case CodeExecution():
            return [{"type": _CODE_EXECUTION, "name": "code_execution"}], []
        case ForeignTool(format=format_name, kind=kind, value=value):
            return ([value], []) if format_name == NAME else ([], [f"tools.{kind}"])


def _function(tool: FunctionTool, traits: Traits) -> tuple[list[dict[str, Any]], list[str]]:
    schema = {"type": "object", **(tool.parameters or {})}
    if tool.parameters is None:
        schema["properties"] = {}
    written: dict[str, Any] = {"name": tool.name, "input_schema": schema}
    if tool.description:
        written["description"] = tool.description
    losses: list[str] = []
    if tool.is_strict and traits.has_structured_output:
        written["strict"] = True
    elif tool.is_strict:
        losses.append("tools.strict")
    return [written | cache_control(tool.cache)], losses


def _web_search(search: WebSearch) -> tuple[list[dict[str, Any]], list[str]]:
    uses = search.uses_max
    members = {
        "max_uses": _USES_OF_CONTEXT_SIZE.get(search.context_size) if uses is None else uses,
        "allowed_domains": list(search.allowed_domains),
        "blocked_domains": [] if search.allowed_domains else list(search.blocked_domains),
    }
    place = {
        "city": search.city,
        "region": search.region,
        "country": search.country,
        "timezone": search.time_zone,
    }
    written: dict[str, Any] = {"type": _WEB_SEARCH, "name": "web_search"}
    written |= {name: value for name, value in members.items() if value}
    told = {name: value for name, value in place.items() if value}
    if told:
        written["user_location"] = {"type": "approximate", **told}
    is_lost = search.allowed_domains and search.blocked_domains
    return [written], ["web_search.blocked_domains"] if is_lost else []


def _called(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = dict.fromkeys(
        block["name"]
        for message in messages
        for block in message["content"]
        if block["type"] == "tool_use"
    )
    return [{"name": name, "input_schema": {"type": "object"}} for name in names]
