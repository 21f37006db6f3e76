"""What fitting a conversation to a vendor gives, and what the parts of it share."""

from collections.abc import Callable

from msgspec.structs import replace

from gateway.conversation.parts import Part, ToolCall, ToolResult
from gateway.conversation.request import Conversation, Message

Fitted = tuple[Conversation, list[str]]
"""What is written, and what of the conversation is left out or changed (parameter names)."""


def with_parts(conversation: Conversation, fit: Callable[[Part], Part]) -> Conversation:
    """The conversation with each part as `fit` writes it; messages without such parts stay."""
    messages = tuple(message_with(message, fit) for message in conversation.messages)
    return replace(conversation, messages=messages)


def message_with(message: Message, fit: Callable[[Part], Part]) -> Message:
    if not any(isinstance(part, ToolCall | ToolResult) for part in message.parts):
        return message
    return replace(message, parts=tuple(fit(part) for part in message.parts))
