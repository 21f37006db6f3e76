"""Tools, and how they are to be used, in the words of a Converse request.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html
"""

from collections.abc import Sequence
from typing import Any

from gateway.conversation.parts import ToolCall
from gateway.conversation.request import (
    CodeExecution,
    Conversation,
    CustomTool,
    ForeignTool,
    FunctionTool,
    Tool,
    ToolChoice,
    WebSearch,
)
from gateway.formats.bedrock_converse.models import Traits
from gateway.formats.bedrock_converse.requests.writing_blocks import cache_point
from gateway.formats.shared.vendors.tool_names import as_function

Told = tuple[list[dict[str, Any]], list[str]]
"""Entries of `toolConfig.tools`, and what was lost."""

_ANYTHING = {"type": "object"}
_AUTO = ToolChoice()


def written_tools(conversation: Conversation, traits: Traits) -> tuple[dict[str, Any], list[str]]:
    """`toolConfig`, if there is one, and what of it was lost."""
    choice = conversation.tool_choice or _AUTO
    tools: list[dict[str, Any]] = []
    losses: list[str] = []
    if choice.mode != "none":
        for tool in _allowed(conversation.tools, choice, traits):
            told, lost = _tool(tool, traits)
            tools += told
            losses += lost
    if conversation.parallel_tool_calls is False and tools:
        losses.append("parallel_tool_calls")
    if not tools:
        # A request that tells of calls must define tools, and no word forbids them to be called.
        called = _called(conversation)
        lost = ["tool_choice"] if called else []
        return ({"toolConfig": {"tools": called}} if called else {}), losses + lost
    config: dict[str, Any] = {"tools": tools}
    if choice.mode == "required":
        demanded = _demanded(choice, traits)
        losses += [] if demanded else ["tool_choice"]
        config |= {"toolChoice": demanded} if demanded else {}
    return {"toolConfig": config}, losses


def _allowed(tools: Sequence[Tool], choice: ToolChoice, traits: Traits) -> Sequence[Tool]:
    """Names narrow the tools: only those are told of, but where the one name is demanded."""
    is_one = choice.mode == "required" and len(choice.names) == 1
    if not choice.names or (is_one and traits.forces_one):
        return tools
    return [tool for tool in tools if getattr(tool, "name", None) in choice.names]


def _demanded(choice: ToolChoice, traits: Traits) -> dict[str, Any]:
    if len(choice.names) == 1 and traits.forces_one:
        return {"tool": {"name": choice.names[0]}}
    return {"any": {}} if traits.forces_any else {}


def _tool(tool: Tool, traits: Traits) -> Told:
    match tool:
        case FunctionTool():
            return _function(tool, traits)
        case CustomTool():
            return _function(as_function(tool), traits)
        case WebSearch():
            return [], ["tools.web_search"]
        case CodeExecution():
            return [], ["tools.code_execution"]
        case ForeignTool(kind=kind):
            return [], [f"tools.{kind}"]


def _function(tool: FunctionTool, traits: Traits) -> Told:
    losses: list[str] = []
    schema = {**_ANYTHING, **(tool.parameters or {})}
    if tool.parameters is None:
        schema["properties"] = {}
    told = _spec(tool.name, tool.description, schema)
    if tool.is_strict and traits.has_structured_output:
        told["toolSpec"]["strict"] = True
    elif tool.is_strict:
        losses.append("tools.strict")
    if tool.cache is None:
        return [told], losses
    if not traits.caches_tools:
        return [told], [*losses, "cache_control"]
    point, lost = cache_point(tool.cache, traits.caches_for_an_hour)
    return [told, point], losses + lost


def _spec(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "inputSchema": {"json": schema}}
    return {"toolSpec": told | ({"description": description} if description else {})}


def _called(conversation: Conversation) -> list[dict[str, Any]]:
    names = dict.fromkeys(
        part.name
        for message in conversation.messages
        for part in message.parts
        if isinstance(part, ToolCall)
    )
    return [_spec(name, "", _ANYTHING) for name in names]
