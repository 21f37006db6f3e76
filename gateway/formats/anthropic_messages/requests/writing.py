"""A conversation in no format as a Messages request, for a provider of this format."""

from collections.abc import Sequence
from typing import Any

from gateway.conversation.request import Conversation, Message, Written
from gateway.formats.anthropic_messages.models import Traits, traits_of
from gateway.formats.anthropic_messages.requests.writing_blocks import (
    Block,
    BlockWriter,
    inexpressible,
)
from gateway.formats.anthropic_messages.requests.writing_options import OptionWriter
from gateway.formats.anthropic_messages.vocabulary import NAME

_OPENING = "..."
"""Said by the user where a conversation begins otherwise: this format demands it."""
_SYSTEM = ("system", "developer")


def request_of(conversation: Conversation, upstream_model: str) -> Written:
    """The request as a provider reads it. Raises InvalidRequest for what it has no words for."""
    _refuse_what_changes_the_meaning(conversation)
    traits = traits_of(upstream_model)
    messages = _Messages(conversation.format, traits)
    for message in _with_system_first(conversation.messages):
        messages.add(message)
    written, system = messages.finished()
    document: dict[str, Any] = {"model": upstream_model, "messages": written}
    if system:
        document["system"] = system
    options = OptionWriter(conversation, traits, written)
    document |= options.written()
    losses = [*messages.losses, *options.losses]
    return Written(document=document, losses=tuple(dict.fromkeys(losses)))


def _refuse_what_changes_the_meaning(conversation: Conversation) -> None:
    if conversation.choices > 1:
        raise inexpressible("More than one choice", "n")
    if any(modality.lower() != "text" for modality in conversation.modalities):
        raise inexpressible("An answer that is not text", "modalities")


def _with_system_first(messages: Sequence[Message]) -> list[Message]:
    """The messages that lead with instructions become one."""
    leading = 0
    while leading < len(messages) and messages[leading].role in _SYSTEM:
        leading += 1
    parts = tuple(part for message in messages[:leading] for part in message.parts)
    first = [Message(role="system", parts=parts)] if parts else []
    return [*first, *messages[leading:]]


class _Messages:
    """Collects messages: the results of tools directly after their calls, roles in turn.

    Instructions within the conversation stay where they are if the model takes them there: after a
    user's message, and before the model's or at the end
    (https://docs.anthropic.com/en/docs/build-with-claude/mid-conversation-system-messages).
    """

    def __init__(self, format_name: str, traits: Traits) -> None:
        self._blocks = BlockWriter(format_name)
        self._traits = traits
        self._is_own = format_name == NAME
        self._system: list[Block] = []
        self._written: list[dict[str, Any]] = []
        self._has_begun = False

    @property
    def losses(self) -> list[str]:
        return self._blocks.losses

    def add(self, message: Message) -> None:
        """Take one more message."""
        if message.name:
            self.losses.append("messages.name")
        blocks = self._blocks.blocks(message.role, message.parts)
        if message.role not in _SYSTEM:
            self._has_begun = True
            if blocks:
                self._append(message.role, blocks)
        elif not self._has_begun:
            self._system += blocks
        elif blocks:
            self._append("system", blocks)

    def finished(self) -> tuple[list[dict[str, Any]], list[Block]]:
        """The messages, and what goes before them."""
        self._settle_instructions()
        if not self._written or self._written[0]["role"] != "user":
            self._written.insert(0, _message("user", [{"type": "text", "text": _OPENING}]))
            self.losses.append("messages.first")
        for message in self._written:
            if message["role"] == "user":
                message["content"].sort(key=lambda block: block["type"] != "tool_result")
        return self._written, self._system

    def _append(self, role: str, blocks: list[Block]) -> None:
        if self._written and self._written[-1]["role"] == role:
            self._written[-1]["content"] += blocks
        else:
            self._written.append(_message(role, blocks))

    def _settle_instructions(self) -> None:
        """Move instructions to the front that may not stay; their neighbours become one message."""
        told, self._written = self._written, []
        for place, message in enumerate(told):
            after = told[place + 1]["role"] if place + 1 < len(told) else "assistant"
            before = self._written[-1]["role"] if self._written else ""
            may_stay = self._traits.has_later_system_messages and (before, after) == (
                "user",
                "assistant",
            )
            if message["role"] == "system" and not may_stay:
                self._system += message["content"]
                self.losses.append("system_position")
            else:
                self._append(message["role"], message["content"])


def _message(role: str, blocks: list[Block]) -> dict[str, Any]:
    return {"role": role, "content": [*blocks]}
