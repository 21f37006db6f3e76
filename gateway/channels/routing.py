"""Which channels may serve a call, and in which order they are asked. Pure.

Tiers of priority, highest first; within a tier a weighted random order, so that load spreads by
weight and every member gets its turn before the next tier is asked.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from ledger.streams.channel import Channel
from ledger.streams.routes import KeyChoice, Overrides, Shaping, Way


@dataclass(frozen=True, slots=True)
class Candidate:
    """A channel that serves the model, the provider's name for it, and the keys that work."""

    channel_id: UUID
    type: str
    base_url: str
    upstream_model: str
    priority: int
    weight: int
    key_ids: tuple[UUID, ...]
    key_choice: KeyChoice = "random"
    settings: Mapping[str, str] = field(default_factory=dict)
    shaping: Shaping = Shaping()
    way: Way = Way()
    overrides: Overrides = Overrides()


def candidates(
    channels: Mapping[UUID, Channel],
    group: str,
    model: str,
    needs_key: Callable[[str], bool],
) -> tuple[Candidate, ...]:
    """Every channel that may serve this model to this group now, in no particular order."""
    return tuple(
        found
        for channel_id, channel in channels.items()
        if model in channel.route.models
        and group in channel.route.groups
        and (found := named_candidate(channel_id, channel, model, needs_key)) is not None
    )


def suffixed(
    channels: Mapping[UUID, Channel], group: str, model: str, needs_key: Callable[[str], bool]
) -> Iterator[tuple[str, tuple[Candidate, ...]]]:
    """Models of which `model` may be another spelling, with an ending that says how to think, the
    longest name first; each with the channels that serve it, which are asked for it by the
    provider's name with the same ending.
    """
    at = len(model)
    for _ in range(_ENDINGS_MOST):
        at = model.rfind("-", 0, at)
        if at <= 0:
            return
        found = candidates(channels, group, model[:at], needs_key)
        if found:
            ended = (
                replace(each, upstream_model=each.upstream_model + model[at:]) for each in found
            )
            yield model[:at], tuple(ended)


_ENDINGS_MOST = 3
"""Of hyphens in an ending: `-thinking-512` has two."""


def named_candidate(
    channel_id: UUID, channel: Channel, model: str, needs_key: Callable[[str], bool]
) -> Candidate | None:
    """One channel, whoever is served and whatever models it lists: what it has no name for is
    asked for as it is. None where it may not be asked now.
    """
    if channel.is_paused or channel.is_removed:
        return None
    usable = channel.usable_keys
    if not usable and (channel.route.key_ids or needs_key(channel.route.type)):
        return None  # nor is one asked without a key that has some
    return _candidate(channel_id, channel, model, usable)


def candidate_of(
    channel_id: UUID, channel: Channel, model: str, key_id: UUID | None
) -> Candidate | None:
    """One channel with one of its keys, whatever else it has; None where that key does not work."""
    if key_id is not None and key_id not in channel.usable_keys:
        return None
    return _candidate(channel_id, channel, model, () if key_id is None else (key_id,))


def probed_candidate(
    channel_id: UUID, channel: Channel, model: str, key_id: UUID | None
) -> Candidate:
    """One channel with one of its keys, or none, whatever is on record of either: to find out."""
    return _candidate(channel_id, channel, model, () if key_id is None else (key_id,))


def only_at(
    options: Iterable[Candidate], channel_id: UUID, key_id: UUID | None
) -> tuple[Candidate, ...]:
    """Of some candidates the one channel, with the one key; none where that may not serve."""
    return tuple(
        replace(option, key_ids=() if key_id is None else (key_id,))
        for option in options
        if option.channel_id == channel_id and (key_id is None or key_id in option.key_ids)
    )


def in_order(
    options: Iterable[Candidate], draw: Callable[[], float] = random.random
) -> list[Candidate]:
    """The order in which to ask them; `draw` gives numbers in [0, 1).

    Weighted random sampling without replacement by the exponential keys of Efraimidis and
    Spirakis (2006): each gets draw ** (1 / weight), and the largest goes first.
    """
    options = tuple(options)
    if len(options) == 1:
        return [options[0]]
    drawn = [(option, draw() ** (1 / max(option.weight, 1e-9))) for option in options]
    drawn.sort(key=lambda pair: (-pair[0].priority, -pair[1]))
    return [option for option, _ in drawn]


def is_listed(channels: Iterable[Channel], group: str, model: str) -> bool:
    """Whether some channel serves the model to this group, whatever its keys are worth now."""
    served = models_served(channels, group)
    return any(model == name or model.startswith(f"{name}-") for name in served)


def models_served(channels: Iterable[Channel], group: str) -> set[str]:
    """Every model some channel serves to this group now."""
    return {
        model
        for channel in channels
        if group in channel.route.groups and not (channel.is_paused or channel.is_removed)
        for model in channel.route.models
    }


def _candidate(
    channel_id: UUID, channel: Channel, model: str, key_ids: tuple[UUID, ...]
) -> Candidate:
    route = channel.route
    return Candidate(
        channel_id=channel_id,
        type=route.type,
        base_url=route.base_url,
        upstream_model=route.models.get(model, model),
        priority=route.priority,
        weight=route.weight,
        key_ids=key_ids,
        key_choice=route.key_choice,
        settings=route.settings,
        shaping=route.shaping,
        way=route.way,
        overrides=route.overrides,
    )
