"""What a conversation asks for besides, as a vendor takes it."""

import hashlib
from typing import Any

from msgspec.structs import replace

from gateway.conversation.request import Conversation, Reasoning
from gateway.formats.shared.vendors.accepted import Accepted
from gateway.formats.shared.vendors.fitted import Fitted

_NOTHING: dict[str, Any] = {
    name: getattr(Conversation(format="", messages=()), name)
    for name in ("prompt_cache_key", "verbosity", "metadata", "is_stored", "user", "service")
}


_TOLD_AS = {"is_stored": "store", "service": "service_tier", "max_output_tokens": "max_tokens"}


def members(conversation: Conversation, takes: Accepted) -> Fitted:
    changed: dict[str, Any] = {}
    if takes.user_most is not None and len(conversation.user) > takes.user_most:
        changed["user"] = hashlib.sha256(conversation.user.encode()).hexdigest()
    for name in takes.refused:
        if name in _NOTHING and getattr(conversation, name) != _NOTHING[name]:
            changed[name] = _NOTHING[name]
    least = takes.output_tokens_least
    if conversation.max_output_tokens is not None and conversation.max_output_tokens < least:
        changed["max_output_tokens"] = least
    reasoning = _reasoning(conversation.reasoning, takes)
    if reasoning != conversation.reasoning:
        changed["reasoning"] = reasoning
    losses = [_TOLD_AS.get(name, name) for name in changed]
    return replace(conversation, **changed), losses


def _reasoning(told: Reasoning | None, takes: Accepted) -> Reasoning | None:
    if told is None or not takes.reasons:
        return None
    is_off = told.is_on is False or told.budget_tokens == 0 or told.effort == "none"
    if is_off and not takes.can_rest:
        least = takes.budget_range
        told = replace(told, is_on=None, budget_tokens=None, effort="low" if least is None else "")
        return replace(told, budget_tokens=least[0]) if least is not None else told
    if told.budget_tokens and takes.budget_range is not None:
        least_tokens, most_tokens = takes.budget_range
        budget = min(max(told.budget_tokens, least_tokens), most_tokens)
        return replace(told, budget_tokens=budget)
    return told


def sampling(conversation: Conversation, takes: Accepted) -> Fitted:
    sampling = conversation.sampling
    changed: dict[str, Any] = {}
    losses: list[str] = []
    if "logit_bias" in takes.refused and sampling.logit_bias:
        changed["logit_bias"] = None
        losses.append("logit_bias")
    if "logprobs" in takes.refused and (sampling.wants_logprobs or sampling.top_logprobs):
        changed |= {"wants_logprobs": False, "top_logprobs": None}
        losses.append("logprobs")
    if takes.stops_most is not None:  # the rest is looked for in the answer: nothing is lost
        changed["stop"] = sampling.stop[: takes.stops_most]
    return replace(conversation, sampling=replace(sampling, **changed)), losses
