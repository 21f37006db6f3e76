"""What a channel or a model's name changes in a chat request: its system prompt, how it thinks."""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.request import Reasoning
from gateway.formats.shared.openai_models import draws_by_itself, takes_completion_limit
from gateway.http.raw_members import Edits

_SYSTEM = ("system", "developer")
_DRAWN = ("temperature", "top_p", "logprobs", "top_logprobs")


def think(document: Mapping[str, Any], model: str, reasoning: Reasoning) -> Edits:
    """The effort; and what goes with it, for models that refuse the request otherwise."""
    if not reasoning.effort:
        return Edits()
    replaced: dict[str, Any] = {"reasoning_effort": reasoning.effort}
    moved: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    if takes_completion_limit(model) and document.get("max_tokens") is not None:
        replaced["max_completion_tokens"] = document["max_tokens"]
        moved = ("max_tokens",)
    if draws_by_itself(model):
        lost = tuple(name for name in _DRAWN if name in document)
    return Edits(replaced, moved, lost)


def lead(document: Mapping[str, Any], words: str, before_own: bool) -> dict[str, Any]:
    """A system prompt, where there is none or before the client's own."""
    messages: list[Any] = document["messages"]
    place = next((at for at, each in enumerate(messages) if each.get("role") in _SYSTEM), None)
    if place is None:
        return {"messages": [{"role": "system", "content": words}, *messages]}
    if not before_own:
        return {}
    own = messages[place]
    content = own.get("content")
    if isinstance(content, list):
        led: Any = [{"type": "text", "text": words}, *content]
    else:
        led = f"{words}\n{content or ''}"
    return {"messages": [*messages[:place], {**own, "content": led}, *messages[place + 1 :]]}
