"""How much to think, among the fields that only single models know.

Sources: https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html: with the
highest effort Nova decides by itself how tokens are drawn and how many; and
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-deepseek.html
"""

from typing import Any, NamedTuple

from gateway.conversation.request import Reasoning
from gateway.formats.bedrock_converse.models import Traits

_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}
_BEYOND = "high"
"""For efforts above high, and those that no one has heard of."""
_UNSAID = "medium"
_BUDGET_OF_LOW_TOKENS = 2_048
_BUDGET_OF_MEDIUM_TOKENS = 16_384
HIGHEST = "high"


class Thoughts(NamedTuple):
    """The model's own fields, and what was lost. `draws_by_itself`: temperature and share of the
    likeliest tokens must not be said beside them.
    """

    fields: dict[str, Any]
    losses: list[str]
    draws_by_itself: bool = False


def thoughts(reasoning: Reasoning | None, traits: Traits, has_limit: bool) -> Thoughts:
    """What says `reasoning`. `has_limit`: the client limits the answer, which is what it means to
    pay for; that is never given up for more thinking.
    """
    if reasoning is None or not _is_wanted(reasoning):
        is_off = reasoning is not None and (reasoning.is_on is False or reasoning.effort == "none")
        return Thoughts({}, ["reasoning"] if is_off and traits.thinking == "always" else [])
    if traits.thinking == "never":
        return Thoughts({}, ["reasoning"])
    losses = [] if reasoning.budget_tokens is None else ["reasoning.budget_tokens"]
    if traits.thinking == "always":
        return Thoughts({}, losses + (["reasoning.effort"] if reasoning.effort else []))
    effort = _effort(reasoning)
    if traits.thinking == "by_effort":
        told = {"reasoning_effort": effort}
        return Thoughts(told, losses + _changed(reasoning, effort))
    if effort == HIGHEST and has_limit:
        effort = "medium"
    config = {"type": "enabled", "maxReasoningEffort": effort}
    lost = losses + _changed(reasoning, effort)
    return Thoughts({"reasoningConfig": config}, lost, draws_by_itself=effort == HIGHEST)


def _is_wanted(reasoning: Reasoning) -> bool:
    """Elsewhere an effort, or a budget, means to think."""
    if reasoning.is_on is not None:
        return reasoning.is_on
    return reasoning.effort not in ("", "none") or bool(reasoning.budget_tokens)


def _effort(reasoning: Reasoning) -> str:
    if reasoning.effort not in ("", "none"):
        return _EFFORTS.get(reasoning.effort, _BEYOND)
    if reasoning.budget_tokens is None:
        return _UNSAID
    if reasoning.budget_tokens <= _BUDGET_OF_LOW_TOKENS:
        return "low"
    return "medium" if reasoning.budget_tokens <= _BUDGET_OF_MEDIUM_TOKENS else "high"


def _changed(reasoning: Reasoning, effort: str) -> list[str]:
    return ["reasoning.effort"] if reasoning.effort not in ("", "none", effort) else []
