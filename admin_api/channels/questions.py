"""Asking a channel by hand, and what its vendor offers; how that is done, the gateway says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from admin_api.channels.asker import ASKED_IN, AnsweredQuestion, Question
from admin_api.channels.operations import ChannelView, read_channel, require_channel
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from admin_api.in_turn import in_turn
from ledger import clock
from ledger.errors import NotAllowedNow
from ledger.streams import channel
from ledger.streams.channel import Channel


@dataclass(frozen=True, slots=True)
class OfferedModels:
    """What a vendor offers now, against what the channel asks for: `gone`, names that it asks for
    and the vendor does not list; `new`, the other way round. `unpriced`: models of the channel that
    have no price, and so are served to nobody.
    """

    offered: Sequence[str]
    gone: Sequence[str]
    new: Sequence[str]
    unpriced: Sequence[str]


async def ask(desk: Desk, channel_id: UUID, question: Question) -> AnsweredQuestion:
    """Ask a channel for a few tokens, which are booked as its cost.

    Raises NotFound, InvalidInput, NotAllowedNow for a model without a price.
    """
    state = await _state(desk, channel_id)
    if question.model not in state.route.models:
        raise InvalidInput("model", "is none of the channel's")
    if question.asked_in not in ASKED_IN:
        raise InvalidInput("format", f"must be one of {', '.join(ASKED_IN)}")
    history = desk.configuration.held.prices.get(question.model)
    if history is None or history.at(clock.now_us()) is None:
        raise NotAllowedNow("the model has no price: what is used could not be booked")
    key_id = _key(state, question.key_id)
    asked = Question(question.model, question.asked_in, question.stream, key_id)
    return await desk.asker.ask(channel_id, state, asked)


async def offered(desk: Desk, channel_id: UUID, key_id: UUID | None = None) -> OfferedModels:
    """What its vendor lists now. Raises NotFound, InvalidInput, NotAnswered, NotCaughtUp."""
    state = await _state(desk, channel_id)
    listed = await desk.asker.offered(channel_id, state, _key(state, key_id))
    asked_for = set(state.route.models.values())
    prices, now_us = desk.configuration.held.prices, clock.now_us()
    return OfferedModels(
        offered=listed,
        gone=sorted(asked_for - set(listed)),
        new=sorted(set(listed) - asked_for),
        unpriced=sorted(
            model
            for model in state.route.models
            if (history := prices.get(model)) is None or history.at(now_us) is None
        ),
    )


async def take_over(
    desk: Desk,
    channel_id: UUID,
    *,
    actor: str,
    add: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> ChannelView:
    """Serve some of the vendor's models more, under its names for them, and others no more.

    Raises NotFound, InvalidInput for a name that the channel does not ask for, or has for another.
    """

    def changed(state: Channel) -> channel.Change:
        models = _taken_over(state.route.models, add, drop)
        return channel.Change(msgspec.structs.replace(state.route, models=models), actor)

    changed(await require_channel(desk, channel_id))  # refuse before anything is written
    await desk.handle(in_turn(channel.STREAM), channel_id, [changed])
    return await read_channel(desk, channel_id)


def _taken_over(
    before: Mapping[str, str], add: Sequence[str], drop: Sequence[str]
) -> dict[str, str]:
    models = dict(before)
    for name in drop:
        ours = [client for client, upstream in models.items() if upstream == name]
        if not ours:
            raise InvalidInput("drop", f"{name[:80]!r} is not asked for by this channel")
        for client in ours:
            del models[client]
    for name in add:
        if models.get(name, name) != name:
            raise InvalidInput("add", f"{name[:80]!r} is the channel's name for another model")
        models[name] = name
    inputs.models("add", list(models))
    return models


async def _state(desk: Desk, channel_id: UUID) -> Channel:
    await desk.up_to_date()
    return await require_channel(desk, channel_id)


def _key(state: Channel, key_id: UUID | None) -> UUID | None:
    """The key to ask with: the one that is named, else the first that is used."""
    keys = state.route.key_ids
    if key_id is not None:
        if key_id not in keys:
            raise InvalidInput("key", "is none of the channel's")
        return key_id
    return next(iter((*state.usable_keys, *keys)), None)
