"""What a channel or a model's name changes in a Messages request.

Sources: https://docs.anthropic.com/en/docs/build-with-claude/{extended-thinking,adaptive-thinking,
effort}; the share of the budget is what operators of this family are used to.
"""

from collections.abc import Mapping
from typing import Any

from gateway.conversation.reasoning_suffixes import OUTPUT_TOKENS_LEAST
from gateway.conversation.request import Reasoning
from gateway.formats.anthropic_messages.models import Traits, traits_of
from gateway.formats.anthropic_messages.requests.writing_options import (
    BUDGET_LEAST_TOKENS,
    nearest_effort,
)
from gateway.formats.shared.vendors.accepted import Accepted
from gateway.formats.shared.vendors.billing_line import NAME as BILLING_LINE
from gateway.formats.shared.vendors.billing_line import without_billing_line
from gateway.http.raw_members import Edits

_BUDGET_PERCENT = 80
_DRAWN = ("temperature", "top_p", "top_k")


def think(document: Mapping[str, Any], model: str, reasoning: Reasoning) -> Edits:
    """Thinking by itself where the model can, else within a share of the limit of its answer."""
    traits = traits_of(model)
    if traits.thinking == "never" or not reasoning.is_on:
        return Edits()
    lost = tuple(name for name in _DRAWN if name in document)
    if traits.thinking == "adaptive":
        return Edits(_adaptive(document, traits, reasoning.effort or "high"), lost=lost)
    limit = max(document.get("max_tokens") or traits.max_tokens, OUTPUT_TOKENS_LEAST)
    budget = max(limit * _BUDGET_PERCENT // 100, BUDGET_LEAST_TOKENS)
    thinking = {"type": "enabled", "budget_tokens": budget}
    return Edits({"max_tokens": limit, "thinking": thinking}, lost=lost)


def _adaptive(document: Mapping[str, Any], traits: Traits, effort: str) -> dict[str, Any]:
    thinking = {"type": "adaptive"}
    if not traits.takes_sampling:  # from the same version on thoughts are told only if asked for
        thinking["display"] = "summarized"
    own = document.get("output_config") or {}
    told = nearest_effort(effort, traits.efforts)
    return {"thinking": thinking, "output_config": {**own, "effort": told}}


def fit(document: Mapping[str, Any], takes: Accepted) -> Edits:
    """The system prompt without the line that only Anthropic reads."""
    own = document.get("system")
    if takes.has_billing_line or not own:
        return Edits()
    if isinstance(own, str):
        kept: Any = without_billing_line(own)
    else:
        told = ({**each, "text": without_billing_line(each.get("text") or "")} for each in own)
        kept = [each for each in told if each["text"]]
    if kept == own:
        return Edits()
    return Edits({"system": kept} if kept else {}, () if kept else ("system",), (BILLING_LINE,))


def lead(document: Mapping[str, Any], words: str, before_own: bool) -> dict[str, Any]:
    """A system prompt, where there is none or before the client's own."""
    own = document.get("system")
    if not own:
        return {"system": words}
    if not before_own:
        return {}
    if isinstance(own, str):
        return {"system": f"{words}\n{own}"}
    return {"system": [{"type": "text", "text": words}, *own]}
