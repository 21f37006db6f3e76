"""A conversation as a vendor takes it, before any format writes it; `accepted` is the table."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from gateway.conversation.parts import Media, Part, Text, ToolCall, ToolResult
from gateway.conversation.request import (
    Conversation,
    CustomTool,
    FunctionTool,
    Message,
    Reasoning,
    Tool,
    WebSearch,
)
from gateway.formats.shared.accepted import Accepted
from gateway.formats.shared.billing_line import NAME as BILLING_LINE
from gateway.formats.shared.billing_line import without_billing_line
from gateway.formats.shared.schema_subset import (
    OPTIONAL_MOST,
    STRICT_TOOLS_MOST,
    narrowed,
    optional_in,
)
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


# ---------------------------------------------------------------------- instructions


def _instructions(conversation: Conversation, takes: Accepted) -> Fitted:
    """Without what only Anthropic reads in them."""
    if takes.has_billing_line or not conversation.messages:
        return conversation, []
    first = conversation.messages[0]
    parts = tuple(
        replace(part, text=without_billing_line(part.text)) if isinstance(part, Text) else part
        for part in first.parts
    )
    if first.role != "system" or parts == first.parts:
        return conversation, []
    parts = tuple(part for part in parts if not isinstance(part, Text) or part.text)
    led = (replace(first, parts=parts),) if parts else ()
    return replace(conversation, messages=(*led, *conversation.messages[1:])), [BILLING_LINE]


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


def _schemas(conversation: Conversation, takes: Accepted) -> Fitted:
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


def _order(conversation: Conversation, takes: Accepted) -> Fitted:  # noqa: ARG001 - of all alike
    """The results of a turn's calls directly after it: what was said between them comes next."""
    messages: list[Message] = []
    waiting: list[Message] = []
    open_calls: set[str] = set()
    for message in conversation.messages:
        answered = {part.call_id for part in message.parts if isinstance(part, ToolResult)}
        if open_calls and not answered and message.role != "assistant":
            waiting.append(message)
            continue
        open_calls -= answered
        if answered and open_calls:
            results = tuple(part for part in message.parts if isinstance(part, ToolResult))
            rest = tuple(part for part in message.parts if not isinstance(part, ToolResult))
            waiting += [replace(message, parts=rest)] if rest else []
            message = replace(message, parts=results)
        if not answered:
            open_calls = {part.id for part in message.parts if isinstance(part, ToolCall)}
            messages += waiting
            waiting = []
        messages.append(message)
        if not open_calls:
            messages += waiting
            waiting = []
    return replace(conversation, messages=(*messages, *waiting)), []


def _unnamed(conversation: Conversation, takes: Accepted) -> Fitted:
    """Calls without ids: their results tell the name and stand in the order of the calls."""
    if takes.has_call_ids:
        return conversation, []
    calls = [part for each in conversation.messages for part in each.parts]
    names = {part.id: part.name for part in calls if isinstance(part, ToolCall)}
    places = {call_id: place for place, call_id in enumerate(names)}

    def fit(part: Part) -> Part:
        match part:
            case ToolCall():
                return replace(part, id="")
            case ToolResult():
                return replace(part, call_id="", name=part.name or names.get(part.call_id, ""))
            case _:
                return part

    def place(part: Part) -> int:
        return places.get(part.call_id, 0) if isinstance(part, ToolResult) else len(places)

    ordered = tuple(
        replace(each, parts=tuple(sorted(each.parts, key=place)))
        if any(isinstance(part, ToolResult) for part in each.parts)
        else each
        for each in conversation.messages
    )
    return _with_parts(replace(conversation, messages=ordered), fit), []


def _shown(conversation: Conversation, takes: Accepted) -> Fitted:
    """Media of results in a message of their own after them."""
    if takes.shows_results:
        return conversation, []
    messages: list[Message] = []
    media: list[Part] = []
    for message in conversation.messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        if media and not results:
            messages.append(Message(role="user", parts=tuple(media)))
            media = []
        messages.append(_message(message, _without_media))
        media += [each for part in results for each in _media_of(part)]
    if media:
        messages.append(Message(role="user", parts=tuple(media)))
    return replace(conversation, messages=tuple(messages)), []


def _without_media(part: Part) -> Part:
    if not isinstance(part, ToolResult) or not _media_of(part):
        return part
    content = tuple(each for each in part.content if not isinstance(each, Media))
    return replace(part, content=content or (Text(text=_SHOWN_NEXT),))


_SHOWN_NEXT = "(shown in the next message)"


def _media_of(result: ToolResult) -> list[Part]:
    media: list[Part] = [part for part in result.content if isinstance(part, Media)]
    return [Text(text=f"Shown by the tool call {result.call_id}:"), *media] if media else []


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
    reasoning = _reasoning(conversation.reasoning, takes)
    if reasoning != conversation.reasoning:
        changed["reasoning"] = reasoning
    losses = [_TOLD_AS.get(name, name) for name in changed]
    return replace(conversation, **changed), losses


def _reasoning(told: Reasoning | None, takes: Accepted) -> Reasoning | None:
    if told is None or not takes.reasons:
        return None
    is_off = told.is_on is False or told.budget_tokens == 0 or told.effort == "none"
    if is_off and not takes.can_rest:
        least = takes.budget_range
        told = replace(told, is_on=None, budget_tokens=None, effort="low" if least is None else "")
        return replace(told, budget_tokens=least[0]) if least is not None else told
    if told.budget_tokens and takes.budget_range is not None:
        least_tokens, most_tokens = takes.budget_range
        budget = min(max(told.budget_tokens, least_tokens), most_tokens)
        return replace(told, budget_tokens=budget)
    return told


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
    _instructions,
    _tools,
    _schemas,
    _names,
    _calls,
    _order,
    _shown,
    _unnamed,
    _members,
    _sampling,
)
