"""A conversation in no format as a Converse request. The model and whether to stream stand in the
address.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from typing import Any

from gateway.conversation.request import Conversation, Message, Written
from gateway.formats.bedrock_converse.models import Traits, traits_of
from gateway.formats.bedrock_converse.requests.writing_blocks import (
    Block,
    BlockWriter,
    Group,
    flattened,
    inexpressible,
)
from gateway.formats.bedrock_converse.requests.writing_options import written_options
from gateway.formats.bedrock_converse.requests.writing_tools import written_tools

_UNSAID = "..."
"""Said by the user where a conversation begins otherwise, and beside documents that nobody says
anything about: this format demands both."""
_SYSTEM = ("system", "developer")


def request_of(conversation: Conversation, upstream_model: str) -> Written:
    """The request as a provider reads it. Raises InvalidRequest for what it has no words for."""
    if conversation.choices > 1:
        raise inexpressible("More than one choice", "n")
    if any(modality.lower() != "text" for modality in conversation.modalities):
        raise inexpressible("An answer that is not text", "modalities")
    traits = traits_of(upstream_model)
    messages = _Messages(traits)
    for message in conversation.messages:
        messages.add(message)
    document: dict[str, Any] = {"messages": messages.finished()}
    if messages.system:
        document["system"] = messages.system
    tools, lost_tools = written_tools(conversation, traits)
    options, lost_options = written_options(conversation, traits)
    losses = [*messages.losses, *lost_tools, *lost_options]
    return Written(document=document | tools | options, losses=tuple(dict.fromkeys(losses)))


class _Messages:
    """Collects messages: the results of tools directly after their calls, roles in turn."""

    def __init__(self, traits: Traits) -> None:
        self._blocks = BlockWriter(traits)
        self._written: list[tuple[str, list[Group]]] = []
        self.system: list[Block] = []

    @property
    def losses(self) -> list[str]:
        return self._blocks.losses

    def add(self, message: Message) -> None:
        """Take one more message."""
        if message.name:
            self.losses.append("messages.name")
        groups = self._blocks.groups(message.role, message.parts)
        if message.role in _SYSTEM:
            if self._written and groups:
                self.losses.append("system_position")
            self.system += flattened(groups)
        elif self._written and self._written[-1][0] == message.role:
            self._written[-1][1].extend(groups)
        elif groups:
            self._written.append((message.role, groups))

    def finished(self) -> list[dict[str, Any]]:
        """The messages."""
        if not self._written or self._written[0][0] != "user":
            self._written.insert(0, ("user", [[{"text": _UNSAID}]]))
            self.losses.append("messages.first")
        return [{"role": role, "content": self._content(groups)} for role, groups in self._written]

    def _content(self, groups: list[Group]) -> list[Block]:
        content = flattened(groups)
        has_document = any("document" in block for block in content)
        if has_document and not any("text" in block for block in content):
            content.append({"text": _UNSAID})
            self.losses.append("messages.text")
        return content
