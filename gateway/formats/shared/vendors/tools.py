"""Tools, their names and calls of them, as a vendor takes them."""

from msgspec.structs import replace

from gateway.conversation.parts import Part, ToolCall, ToolResult
from gateway.conversation.request import Conversation, CustomTool, FunctionTool, Tool, WebSearch
from gateway.formats.shared.vendors.accepted import Accepted
from gateway.formats.shared.vendors.fitted import Fitted, with_parts
from gateway.formats.shared.vendors.schema_subset import (
    OPTIONAL_MOST,
    STRICT_TOOLS_MOST,
    narrowed,
    optional_in,
)
from gateway.formats.shared.vendors.tool_names import (
    as_arguments,
    as_function,
    flat_name,
    written_name,
)


def tools(conversation: Conversation, takes: Accepted) -> Fitted:
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


def _has_grammar(tool: CustomTool) -> bool:
    return tool.grammar is not None and tool.grammar.get("type") != "text"


_SEARCH = "web_search"
"""How formats name the search that they force."""


def schemas(conversation: Conversation, takes: Accepted) -> Fitted:
    """Schemas that are enforced: of the answer, and of strict tools."""
    if not takes.has_schema_subset:
        return conversation, []
    losses: list[str] = []
    output = conversation.output
    if output is not None and output.schema:
        schema, lost = narrowed(output.schema)
        output = replace(output, schema=schema)
        losses += [f"response_format.{name}" for name in lost]
    optional = optional_in(output.schema) if output is not None else 0
    strict = 0
    tools: list[Tool] = []
    for tool in conversation.tools:
        if isinstance(tool, FunctionTool) and tool.is_strict:
            more = optional_in(tool.parameters)
            if strict == STRICT_TOOLS_MOST or optional + more > OPTIONAL_MOST:
                losses.append("tools.strict")
                tools.append(replace(tool, is_strict=None))
                continue
            strict, optional = strict + 1, optional + more
            schema, lost = narrowed(tool.parameters or {"type": "object", "properties": {}})
            losses += [f"tools.{name}" for name in lost]
            tools.append(replace(tool, parameters=schema))
        else:
            tools.append(tool)
    return replace(conversation, output=output, tools=tuple(tools)), losses


def _with_properties(tool: FunctionTool) -> FunctionTool:
    schema = tool.parameters
    if schema is None or "properties" in schema or schema.get("type", "object") != "object":
        return tool
    return replace(tool, parameters={"type": "object", "properties": {}} | schema)


def namespaces(conversation: Conversation, takes: Accepted) -> Fitted:
    """Names with their namespace before them, where there is none: told as they were again."""
    if takes.has_namespaces:
        return conversation, []

    def fit(part: Part) -> Part:
        if isinstance(part, ToolCall) and part.namespace:
            return replace(part, name=flat_name(part), namespace="")
        return part

    flat = tuple(
        replace(tool, name=flat_name(tool), namespace="")
        if isinstance(tool, FunctionTool) and tool.namespace
        else tool
        for tool in conversation.tools
    )
    return replace(with_parts(conversation, fit), tools=flat), []


def names(conversation: Conversation, takes: Accepted) -> Fitted:
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

    return replace(with_parts(conversation, fit), tools=tools, tool_choice=choice), []


def calls(conversation: Conversation, takes: Accepted) -> Fitted:
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

    return with_parts(conversation, fit), []


def _call_id(call_id: str, takes: Accepted) -> str:
    most = takes.call_id_most
    return call_id if most is None or len(call_id) <= most else written_name(call_id)
