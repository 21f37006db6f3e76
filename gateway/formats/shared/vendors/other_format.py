"""Where a vendor serves a call in another of its formats only than the one it would be asked in."""

from collections.abc import Sequence

from gateway.conversation.reasoning_suffixes import Suffix
from gateway.formats.shared.vendors.accepted import CHAT, RESPONSES, accepted
from gateway.formats.values import ChatCall


def format_for(
    call: ChatCall, vendor: str, suffix: Suffix, chosen: str, spoken: Sequence[str]
) -> str:
    """The format of `spoken` in which the call is made: `chosen`, unless it would be refused."""
    if chosen != CHAT or RESPONSES not in spoken or call.choices > 1:
        return chosen
    takes = accepted(vendor, CHAT, suffix.model)
    if takes.reasons_beside_tools or not (call.document.get("tools") and _reasons(call, suffix)):
        return chosen
    return RESPONSES if _is_asked(call, suffix) or takes.reasons_unasked else chosen


def _reasons(call: ChatCall, suffix: Suffix) -> bool:
    effort = suffix.reasoning.effort if suffix.reasoning else call.document.get("reasoning_effort")
    return effort != "none"


_ASKING = ("reasoning_effort", "reasoning", "thinking", "output_config", "generationConfig")
"""Members by which clients of any format ask a model to reason."""


def _is_asked(call: ChatCall, suffix: Suffix) -> bool:
    return suffix.reasoning is not None or any(call.document.get(name) for name in _ASKING)
