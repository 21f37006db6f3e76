"""Names of tools and ids of calls that a provider does not take, and plain text for a tool where
every tool takes an object: written otherwise, and told to the client as its own again.

What is written depends on the name alone, so it is the same on every call and at every provider.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.conversation.parts import Part, ToolCall
from gateway.conversation.request import CustomTool, FunctionTool, Tool
from gateway.conversation.turn import (
    Choice,
    PartBegun,
    PartEnded,
    TextDelta,
    Turn,
    TurnEvent,
)

INPUT = "input"
"""The one member of the object that stands for plain text."""
WRITTEN_MOST = 40
"""No vendor takes shorter names or ids."""
_DIGEST_CHARACTERS = 12
_ODD = re.compile("[^a-zA-Z0-9_-]")


def written_name(name: str) -> str:
    """A name or an id within every vendor's bounds, one for each.

    >>> written_name("mcp.server/" + "x" * 80)
    'mcp_server_xxxxxxxxxxxxxxxx_06f1be7c0b6e'
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    head = _ODD.sub("_", name)[: WRITTEN_MOST - _DIGEST_CHARACTERS - 1]
    if not head[:1].isalpha():  # some take no digit first
        head = f"t{head}"[: WRITTEN_MOST - _DIGEST_CHARACTERS - 1]
    return f"{head}_{digest[:_DIGEST_CHARACTERS]}"


def flat_name(named: FunctionTool | CustomTool | ToolCall) -> str:
    """A name with that of its namespace before it, where there are no namespaces."""
    namespace = "" if isinstance(named, CustomTool) else named.namespace
    return f"{namespace}__{named.name}" if namespace else named.name


def as_function(tool: CustomTool) -> FunctionTool:
    """A tool of plain text as one that takes an object; its grammar is told in words."""
    grammar = tool.grammar or {}
    definition, syntax = grammar.get("definition"), grammar.get("syntax") or "lark"
    told = [tool.description] if tool.description else []
    if definition:
        told.append(f"The {INPUT} must match this {syntax} grammar:\n{definition}")
    schema = {"type": "object", "properties": {INPUT: {"type": "string"}}, "required": [INPUT]}
    return FunctionTool(name=tool.name, description="\n\n".join(told), parameters=schema)


def as_arguments(text: str) -> str:
    """Plain text as the object that stands for it."""
    return msgspec.json.encode({INPUT: text}).decode()


def as_text(arguments: str) -> str:
    """The plain text that an object stands for; what is no such object is the text itself."""
    try:
        told: Any = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    if type(told) is dict and type(told.get(INPUT)) is str:
        return str(told[INPUT])
    return arguments


class ClientNames:
    """A turn with the client's own names and kinds of tools, whole or event by event."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools: dict[str, FunctionTool | CustomTool] = {}
        for tool in tools:
            if isinstance(tool, FunctionTool | CustomTool):
                name = flat_name(tool)
                self._tools |= {name: tool, written_name(name): tool}
        self._texts: dict[tuple[int, int], list[str]] = {}

    def turn(self, told: Turn) -> Turn:
        """A whole turn."""
        return replace(told, choices=tuple(self._choice(choice) for choice in told.choices))

    def told(self, events: Sequence[TurnEvent]) -> list[TurnEvent]:
        """Events; the plain text for a tool comes when all of its object is there."""
        return [told for event in events for told in self._event(event)]

    def _choice(self, choice: Choice) -> Choice:
        return replace(choice, parts=tuple(self._part(part) for part in choice.parts))

    def _part(self, part: Part) -> Part:
        if not isinstance(part, ToolCall):
            return part
        named = self._named(part)
        if named.is_custom and not part.is_custom:
            return replace(named, arguments=as_text(part.arguments))
        return named

    def _named(self, call: ToolCall) -> ToolCall:
        tool = self._tools.get(call.name)
        if tool is None or call.namespace:
            return call
        is_custom = call.is_custom or isinstance(tool, CustomTool)
        namespace = tool.namespace if isinstance(tool, FunctionTool) else ""
        return replace(call, name=tool.name, namespace=namespace, is_custom=is_custom)

    def _event(self, event: TurnEvent) -> Iterator[TurnEvent]:
        match event:
            case PartBegun(part=ToolCall() as call):
                named = self._named(call)
                if named.is_custom and not call.is_custom:
                    self._texts[event.choice, event.number] = [call.arguments]
                    named = replace(named, arguments="")
                yield replace(event, part=named)
            case TextDelta() if (event.choice, event.number) in self._texts:
                self._texts[event.choice, event.number].append(event.text)
            case PartEnded() if (event.choice, event.number) in self._texts:
                text = as_text("".join(self._texts.pop((event.choice, event.number))))
                yield TextDelta(choice=event.choice, number=event.number, text=text)
                yield event
            case _:
                yield event
