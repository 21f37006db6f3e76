"""What a channel or a model's name changes in a Responses request."""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.request import Reasoning
from gateway.http.raw_members import Edits

_SYSTEM = ("system", "developer")
_DRAWN = ("temperature", "top_p", "top_logprobs")


def think(document: Mapping[str, Any], model: str, reasoning: Reasoning) -> Edits:  # noqa: ARG001 - all that have a suffix draw by themselves
    """The effort, without what its models do not take beside it."""
    if not reasoning.effort:
        return Edits()
    own = document.get("reasoning") or {}
    lost = tuple(name for name in _DRAWN if name in document)
    return Edits({"reasoning": {**own, "effort": reasoning.effort}}, lost=lost)


def lead(document: Mapping[str, Any], words: str, before_own: bool) -> dict[str, Any]:
    """A system prompt, where there is none or before the client's own."""
    own = document.get("instructions")
    if own and before_own:
        return {"instructions": f"{words}\n{own}"}
    if own or (_has_system(document.get("input")) and not before_own):
        return {}
    return {"instructions": words}


def _has_system(items: object) -> bool:
    if not isinstance(items, list):
        return False
    return any(isinstance(each, dict) and each.get("role") in _SYSTEM for each in items)
