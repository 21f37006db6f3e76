"""How much a provider is likely to have read of what it was sent, where it does not say.

Counted from the conversation, so that it does not depend on the format the client asked in: texts,
what vendors put around messages and tools, and media as they are likely to count. Unlike a hold it
does not err upwards. The figures were set to what vendors counted of recorded requests.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from gateway.conversation.parts import (
    Foreign,
    Inline,
    Media,
    Part,
    PlainDocument,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import (
    CodeExecution,
    Conversation,
    CustomTool,
    ForeignTool,
    FunctionTool,
    Tool,
    WebSearch,
)
from gateway.formats.translator import Asking
from gateway.media import tokens as media_tokens
from gateway.media.image_sizes import size_of_base64

_MOST_OF_AN_IMAGE = 4_000
_AUDIO_BYTES_PER_TOKEN = 240
_DEPTH_MAX = 16


class Habits(NamedTuple):
    """What a family of models adds: percent of the tokens that we count, and tokens besides: for
    each message, the request, tools at all, each of the client's, and what a search or a run of
    code by the provider gives the model to read.
    """

    percent: int = 100
    message: int = 4
    request: int = 3
    tools: int = 9
    tool: int = 3
    search: int = 8_000
    code: int = 3_000


_FAMILIES: tuple[tuple[str, Habits], ...] = (
    # 346: https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview (pricing)
    (
        r"claude-\w+-(4-[7-9]|[5-9])\b",
        Habits(percent=141, message=2, request=2, tools=346, tool=20),
    ),
    (r"claude", Habits(percent=114, message=2, request=2, tools=346, tool=20)),
    (r"gemini|gemma", Habits(message=0, request=1, tools=0, tool=13, search=0)),
)
_INSTRUCTING = frozenset({"system", "developer"})
_OTHERS = Habits()
_COMPLETIONS = Habits(message=0, request=0)


class Sent(NamedTuple):
    """Texts to be counted, the percent of their tokens that the model sees, and other tokens."""

    texts: tuple[str, ...]
    percent: int
    other_tokens: int

    def tokens(self, counted: int) -> int:
        """All of it, once the texts are counted."""
        return -(-counted * self.percent // 100) + self.other_tokens


def sent_prompt(conversation: Conversation, format_name: str, asking: Asking) -> Sent:
    """What was sent in a format to who was asked, with the channel's own system prompt."""
    model = asking.suffix.model
    roles = {message.role for message in conversation.messages}
    words = asking.words if asking.before_own or not roles & _INSTRUCTING else ""
    habits = _COMPLETIONS if format_name == "openai_completions" else habits_of(model)
    texts = [words] if words else []
    other_tokens = habits.request + habits.message * (len(conversation.messages) + bool(words))
    for message in conversation.messages:
        for part in message.parts:
            texts += _texts_of(part)
            other_tokens += _media_tokens(part, model)
    texts += map(_written, conversation.tools)
    other_tokens += _tools_tokens(conversation.tools, habits)
    if conversation.output is not None and conversation.output.schema is not None:
        texts.append(_json(conversation.output.schema))
    return Sent(tuple(texts), habits.percent, other_tokens)


def habits_of(model: str) -> Habits:
    """By the model's name, behind whatever prefix."""
    return next((habits for name, habits in _FAMILIES if re.search(name, model)), _OTHERS)


def _texts_of(part: Part) -> Iterator[str]:
    match part:
        case Text() | Thinking() | Refusal():
            yield part.text
        case PlainDocument():
            yield from (part.title, part.context, part.text)
        case ToolCall():
            yield from (part.name, part.arguments)
        case ToolResult():
            for each in part.content:
                yield from _texts_of(each)
        case Media():
            yield from (part.title, part.context)
        case Foreign():
            yield _json(part.value)


def _media_tokens(part: Part, model: str) -> int:
    if isinstance(part, ToolResult):
        return sum(_media_tokens(each, model) for each in part.content)
    if not isinstance(part, Media):
        return 0
    data = part.source.data if isinstance(part.source, Inline) else ""
    match part.kind:
        case "image":
            size = size_of_base64(data) if data else None
            return media_tokens.image(model, size, part.detail, _MOST_OF_AN_IMAGE).likely
        case "audio":
            likely = media_tokens.AUDIO_LIKELY_TOKENS
            return min(likely, len(data) // _AUDIO_BYTES_PER_TOKEN + 1) if data else likely
        case "video":
            return media_tokens.VIDEO_LIKELY_TOKENS
        case _:
            return media_tokens.FILE_LIKELY_TOKENS


def _tools_tokens(tools: tuple[Tool, ...], habits: Habits) -> int:
    if not tools:
        return 0
    by_kind = {WebSearch: habits.search, CodeExecution: habits.code}
    return habits.tools + sum(by_kind.get(type(tool), habits.tool) for tool in tools)


def _written(tool: Tool) -> str:
    """A tool in about as many words as models read of it: vendors do not show them its JSON."""
    match tool:
        case FunctionTool():
            head = f"// {tool.description}\n" if tool.description else ""
            return f"{head}type {tool.name} = (_: {_type(tool.parameters or {})}) => any;"
        case CustomTool():
            grammar = _json(tool.grammar) if tool.grammar else ""
            return f"// {tool.description}\ntype {tool.name} = (_: string) => any;{grammar}"
        case ForeignTool():
            return _json(tool.value)
        case WebSearch() | CodeExecution():
            return ""


def _type(schema: Mapping[str, Any], depth: int = 0) -> str:
    """A JSON Schema as a type; what has no such form as itself."""
    if depth > _DEPTH_MAX:
        return _json(schema)
    kind, properties, items = (schema.get(name) for name in ("type", "properties", "items"))
    if type(properties) is dict and properties:
        members = "".join(_member(*each, depth + 1) for each in properties.items())
        return "{\n" + members + "}"
    if type(schema.get("enum")) is list:
        return " | ".join(map(_json, schema["enum"]))
    if kind == "array" and type(items) is dict:
        return f"{_type(items, depth + 1)}[]"
    if type(kind) is str:
        return "{}" if kind == "object" else kind
    return _json(schema) if schema else "{}"


def _member(name: str, schema: Any, depth: int) -> str:  # noqa: ANN401 - decoded JSON
    told = schema if type(schema) is dict else {}
    description = told.get("description")
    head = f"// {description}\n" if type(description) is str and description else ""
    return f"{head}{name}: {_type(told, depth)},\n"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
