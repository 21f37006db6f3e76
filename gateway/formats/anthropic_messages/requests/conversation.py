"""A Messages request as a conversation in no format."""

from typing import Any

from gateway.conversation.parts import Part
from gateway.conversation.request import (
    AnswerTerms,
    CodeExecution,
    Conversation,
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
from gateway.errors import InvalidRequest
from gateway.formats.anthropic_messages.answers.reading_blocks import parts_of
from gateway.formats.anthropic_messages.vocabulary import NAME, cache_mark
from gateway.formats.values import ChatCall

_UNDERSTOOD = frozenset(
    {
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "service_tier",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
_TOOL_MEMBERS = frozenset(
    {"type", "name", "description", "input_schema", "strict", "cache_control"}
)
_SEARCH_MEMBERS = frozenset(
    {"type", "name", "max_uses", "allowed_domains", "blocked_domains", "user_location"}
)
_THINKING_KINDS = ("enabled", "adaptive", "disabled")
_SERVICES = {"standard_only": "standard"}
_MODES = {"auto": "auto", "any": "required", "none": "none", "tool": "required"}


def conversation_of(call: ChatCall) -> Conversation:
    """What `call` asks for. Raises InvalidRequest for a block that is not what its type says."""
    try:
        return _read(call)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidRequest(
            "The request holds a block that is not what its type says.", param="messages"
        ) from error


def _read(call: ChatCall) -> Conversation:
    document = call.document
    metadata = dict(document.get("metadata") or {})
    choice = document.get("tool_choice") or {}
    one_by_one = choice.get("disable_parallel_tool_use")
    user = metadata.pop("user_id", None) or ""
    return Conversation(
        format=NAME,
        messages=_messages(document),
        is_stream=call.stream,
        max_output_tokens=call.max_output_tokens,
        tools=terms_of(call).tools,
        tool_choice=_tool_choice(choice),
        parallel_tool_calls=None if one_by_one is None else not one_by_one,
        sampling=Sampling(
            temperature=document.get("temperature"),
            top_p=document.get("top_p"),
            top_k=document.get("top_k"),
            stop=terms_of(call).stops,
        ),
        reasoning=_reasoning(document),
        output=_output(document),
        service=_SERVICES.get(document.get("service_tier") or "", ""),
        user=user if type(user) is str else "",
        metadata={name: value for name, value in metadata.items() if type(value) is str} or None,
        foreign=_foreign(document),
    )


def terms_of(call: ChatCall) -> AnswerTerms:
    """What the answer has to keep to."""
    document = call.document
    return AnswerTerms(
        tools=tuple(_tool(tool) for tool in document.get("tools") or ()),
        stops=tuple(document.get("stop_sequences") or ()),
    )


def _messages(document: dict[str, Any]) -> tuple[Message, ...]:
    messages = [
        Message(role=message["role"], parts=parts_of(message["content"]))
        for message in document["messages"]
    ]
    system: tuple[Part, ...] = parts_of(document.get("system"))
    return (*((Message(role="system", parts=system),) if system else ()), *messages)


def _tool(tool: dict[str, Any]) -> Tool:
    kind = tool.get("type") or "custom"
    if kind == "custom":
        return FunctionTool(
            name=tool["name"],
            description=tool.get("description") or "",
            parameters=tool.get("input_schema"),
            is_strict=tool.get("strict"),
            cache=cache_mark(tool),
        )
    if kind.startswith("web_search_"):
        return _web_search(tool)
    if kind.startswith("code_execution_"):
        return CodeExecution()
    return ForeignTool(format=NAME, kind=kind, value=tool)


def _web_search(tool: dict[str, Any]) -> WebSearch:
    place = tool.get("user_location") or {}
    return WebSearch(
        uses_max=tool.get("max_uses"),
        allowed_domains=tuple(tool.get("allowed_domains") or ()),
        blocked_domains=tuple(tool.get("blocked_domains") or ()),
        country=place.get("country") or "",
        city=place.get("city") or "",
        region=place.get("region") or "",
        time_zone=place.get("timezone") or "",
    )


def _tool_choice(choice: dict[str, Any]) -> ToolChoice | None:
    mode = _MODES.get(choice.get("type") or "")
    if mode is None:
        return None
    names = (choice["name"],) if choice["type"] == "tool" else ()
    return ToolChoice(mode=mode, names=names)  # type: ignore[arg-type]  # one of _MODES


def _reasoning(document: dict[str, Any]) -> Reasoning | None:
    thinking = document.get("thinking") or {}
    effort = (document.get("output_config") or {}).get("effort") or ""
    kind = thinking.get("type")
    if kind not in _THINKING_KINDS:
        return Reasoning(effort=effort) if effort else None
    display = thinking.get("display")
    return Reasoning(
        is_on=kind != "disabled",
        effort=effort,
        budget_tokens=thinking.get("budget_tokens") if kind == "enabled" else None,
        is_adaptive=kind == "adaptive",
        tells_thoughts=None if display is None else display != "omitted",
    )


def _output(document: dict[str, Any]) -> OutputFormat | None:
    """`output_format` is what `output_config.format` was called in its beta."""
    config = document.get("output_config") or {}
    told = config.get("format") or document.get("output_format")
    if type(told) is not dict or told.get("type") != "json_schema":
        return None
    return OutputFormat(kind="schema", schema=told.get("schema"))


def _foreign(document: dict[str, Any]) -> dict[str, Any]:
    """What no other format can say. A name with a dot is a member of something understood: it is
    here to be told as a loss.
    """
    foreign = {
        name: value
        for name, value in document.items()
        if name not in _UNDERSTOOD and value is not None
    }
    thinking = document.get("thinking") or {}
    if thinking and thinking.get("type") not in _THINKING_KINDS:
        foreign["thinking"] = thinking
    for name, value in (document.get("output_config") or {}).items():
        if name not in ("effort", "format") and value is not None:
            foreign[f"output_config.{name}"] = value
    for tool in document.get("tools") or ():
        known = _known_members(tool.get("type") or "custom")
        foreign |= {
            f"tools.{name}": True
            for name, value in tool.items()
            if known and name not in known and value is not None
        }
    return foreign


def _known_members(kind: str) -> frozenset[str]:
    """The members of a tool that the conversation holds; none where it is kept as it came."""
    if kind == "custom":
        return _TOOL_MEMBERS
    return _SEARCH_MEMBERS if kind.startswith("web_search_") else frozenset()
