"""Whom a call would be sent to, and why not the others. Pure; the gateway decides the same, which
a test holds against this.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from admin_api.channels.types import ChannelType
from ledger.streams.channel import Channel
from projections.cache.channel_keys import SharedCooling

WhyNot = Literal["", "group", "paused", "no_key", "keys_out_of_use", "keys_cooling"]
KeyPlanState = Literal["usable", "cooling", "refused", "out_of_money", "paused"]
Cooling = Mapping[tuple[UUID, str], SharedCooling]
"""What processes tell each other of a channel's keys, and under its own id of itself."""

_NOTHING: Cooling = {}
_ALL_MODELS = ""
_ENDINGS_MOST = 3


@dataclass(frozen=True, slots=True)
class PlannedKey:
    """`probability` of being the first key that the channel is asked with."""

    key_id: UUID
    state: KeyPlanState
    reason: str
    rests_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class PlannedChannel:
    """`probability` of being the first channel that is asked; `why_not`: the one reason why it is
    not asked at all. With an open breaker it is asked after all others.
    """

    channel_id: UUID
    upstream_model: str
    priority: int
    weight: int
    why_not: WhyNot
    breaker: Literal["", "open", "half_open"]
    breaker_rests_s: float
    keys: tuple[PlannedKey, ...]
    probability: float = 0.0


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """`sold_as`: the model whose price counts, which is asked for under the name it was asked by;
    empty where no channel lists it. `channels`: in the order in which they would be asked.
    """

    sold_as: str
    channels: tuple[PlannedChannel, ...]


def plan_route(
    channels: Mapping[UUID, Channel],
    group: str,
    model: str,
    types: Mapping[str, ChannelType],
    cooling: Mapping[UUID, Cooling],
) -> RoutePlan:
    """Of every channel that lists the model."""
    sold_as, ending = _listed_name(channels, model)
    planned = [
        _planned(channel_id, one, group, one.route.models[sold_as] + ending, types, cooling)
        for channel_id, one in channels.items()
        if sold_as in one.route.models and not one.is_removed
    ]
    return RoutePlan(sold_as, tuple(_in_order(planned)))


def _listed_name(channels: Mapping[UUID, Channel], model: str) -> tuple[str, str]:
    """The name that channels list, and the ending that says how to think; the longest name."""
    listed = {name for one in channels.values() if not one.is_removed for name in one.route.models}
    name, at = model, len(model)
    for _ in range(_ENDINGS_MOST + 1):
        if name in listed:
            return name, model[len(name) :]
        at = model.rfind("-", 0, at)
        if at <= 0:
            break
        name = model[:at]
    return "", ""


def _planned(
    channel_id: UUID,
    one: Channel,
    group: str,
    upstream_model: str,
    types: Mapping[str, ChannelType],
    cooling: Mapping[UUID, Cooling],
) -> PlannedChannel:
    told = cooling.get(channel_id, _NOTHING)
    keys = _planned_keys(one, upstream_model, told)
    breaker = told.get((channel_id, upstream_model)) or told.get((channel_id, _ALL_MODELS))
    is_open = breaker is not None and breaker.failures > 0
    left_s = breaker.left_s if breaker is not None and is_open else 0.0
    return PlannedChannel(
        channel_id=channel_id,
        upstream_model=upstream_model,
        priority=one.route.priority,
        weight=one.route.weight,
        why_not=_why_not(one, group, keys, needs_key=_needs_key(types, one)),
        breaker="" if not is_open else "open" if left_s else "half_open",
        breaker_rests_s=left_s,
        keys=keys,
    )


def _needs_key(types: Mapping[str, ChannelType], one: Channel) -> bool:
    kind = types.get(one.route.type)
    return kind is None or kind.needs_key


def _why_not(one: Channel, group: str, keys: Sequence[PlannedKey], *, needs_key: bool) -> WhyNot:
    if group not in one.route.groups:
        return "group"
    if one.is_paused:
        return "paused"
    if not keys:
        return "no_key" if needs_key else ""
    states = {key.state for key in keys}
    if "usable" in states:
        return ""
    return "keys_cooling" if "cooling" in states else "keys_out_of_use"


def _planned_keys(one: Channel, upstream_model: str, told: Cooling) -> tuple[PlannedKey, ...]:
    found = []
    for key_id in one.route.key_ids:
        condition = one.out_of_use.get(key_id)
        if condition is not None:
            found.append(PlannedKey(key_id, condition.state, condition.reason, 0.0, 0.0))
            continue
        places = ((key_id, upstream_model), (key_id, _ALL_MODELS))
        resting = [told[each] for each in places if each in told and told[each].left_s]
        if resting:
            longest = max(resting, key=lambda rest: rest.left_s)
            found.append(PlannedKey(key_id, "cooling", longest.reason, longest.left_s, 0.0))
            continue
        found.append(PlannedKey(key_id, "usable", "", 0.0, 0.0))
    return _with_shares(found, in_order=one.route.key_choice == "in_order")


def _with_shares(found: Sequence[PlannedKey], *, in_order: bool) -> tuple[PlannedKey, ...]:
    usable = [key.key_id for key in found if key.state == "usable"]
    chosen = usable[:1] if in_order else usable
    return tuple(
        replace(key, probability=1 / len(chosen) if key.key_id in chosen else 0.0) for key in found
    )


def _in_order(planned: Sequence[PlannedChannel]) -> list[PlannedChannel]:
    """By priority and weight; open breakers after all others, and who is not asked at the end."""

    def rank(one: PlannedChannel) -> tuple[bool, bool, int, int]:
        return bool(one.why_not), one.breaker == "open", -one.priority, -one.weight

    ordered = sorted(planned, key=rank)
    first = [one for one in ordered if rank(one)[:3] == rank(ordered[0])[:3] and not one.why_not]
    weights = sum(max(one.weight, 1e-9) for one in first)
    return [
        replace(one, probability=max(one.weight, 1e-9) / weights if one in first else 0.0)
        for one in ordered
    ]
