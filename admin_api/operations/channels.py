"""Channels: where they lead, and the provider keys that go nowhere else.

A provider's key belongs to the address it was entered for: a change of the address or of the type
takes the keys away unless new ones come with it, so that nobody who may edit a channel can have a
key sent to a place of their choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from admin_api import inputs
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.operations.in_turn import Step, in_turn
from ledger import ids, vault
from ledger.errors import NotFound
from ledger.streams import channel
from ledger.streams.channel import Channel, Route
from ledger.vault import Place

KEYS_MAX = 100
GROUPS_MAX = 100

_FORGET_KEYS = "delete from vault.cell where kind = 'channel_key' and row_id = any(%s)"


@dataclass(frozen=True, slots=True)
class ChannelInput:
    """A channel as people write it. None: the default, or in a change: as it is.

    `models` maps the client's name of a model to the provider's; `keys` are in clear.
    """

    name: str | None = None
    type: str | None = None
    base_url: str | None = None
    keys: Sequence[str] | None = field(default=None, repr=False)
    models: Mapping[str, str] | None = None
    groups: Sequence[str] | None = None
    priority: int | None = None
    weight: int | None = None
    is_paused: bool | None = None


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel for people; of its keys only the ids and whether they work."""

    channel_id: UUID
    name: str | None
    state: Channel


async def add_channel(desk: Desk, given: ChannelInput, *, actor: str) -> UUID:
    """Add a channel; its id. Raises InvalidInput, StoreUnavailable."""
    for required in ("name", "type", "models"):
        if getattr(given, required) is None:
            raise InvalidInput(required, "is required")
    fields = _fields(given)
    channel_id = ids.entity_id()
    key_ids = tuple(ids.entity_id() for _ in given.keys or ())
    route = Route(**fields, key_ids=key_ids)
    _require_type(desk, route)
    if desk.channel_types[route.type].needs_key and not key_ids:
        raise InvalidInput("keys", f"are required for the type {route.type}")
    name = inputs.text("name", given.name or "")
    await _put_secrets(desk, channel_id, name, dict(zip(key_ids, given.keys or (), strict=True)))
    await desk.handle(channel.STREAM, channel_id, channel.Add(channel_id, route, actor))
    return channel_id


async def change_channel(
    desk: Desk, channel_id: UUID, given: ChannelInput, *, actor: str
) -> ChannelView:
    """Change what is given and leave the rest; the channel as it is then.

    Raises InvalidInput, NotFound, StoreUnavailable.
    """
    fields = _fields(given)
    name = None if given.name is None else inputs.text("name", given.name)
    before = await require_channel(desk, channel_id)
    key_ids = None if given.keys is None else tuple(ids.entity_id() for _ in given.keys)
    secrets = dict(zip(key_ids or (), given.keys or (), strict=True))

    def changed(state: Channel) -> channel.Change:
        route = _merged(state.route, fields, key_ids)
        _require_type(desk, route)
        return channel.Change(route, actor)

    changed(before)  # refuse before anything is written
    await _put_secrets(desk, channel_id, name, secrets)
    steps: list[Step] = [changed]
    if given.is_paused is not None:
        pause = channel.Pause(actor) if given.is_paused else channel.Resume(actor)
        steps.append(lambda _: pause)
    await desk.handle(in_turn(channel.STREAM), channel_id, steps)
    after = await require_channel(desk, channel_id)
    await _forget_keys(desk, set(before.route.key_ids) - set(after.route.key_ids))
    return (await _views(desk, {channel_id: after}))[0]


async def remove_channel(desk: Desk, channel_id: UUID, *, actor: str) -> None:
    """Remove a channel for ever, its provider keys with it. Raises NotFound."""
    before = await require_channel(desk, channel_id)
    await desk.handle(channel.STREAM, channel_id, channel.Remove(actor))
    await _forget_keys(desk, set(before.route.key_ids))


async def read_channel(desk: Desk, channel_id: UUID) -> ChannelView:
    """One channel. Raises NotFound."""
    state = await require_channel(desk, channel_id)
    return (await _views(desk, {channel_id: state}))[0]


async def list_channels(desk: Desk) -> list[ChannelView]:
    """Every channel that is not removed, oldest first. Raises NotCaughtUp."""
    await desk.up_to_date()
    held = desk.configuration.held.channels
    return await _views(desk, {i: state for i, state in held.items() if not state.is_removed})


async def require_channel(desk: Desk, channel_id: UUID) -> Channel:
    """A channel that is there. Raises NotFound."""
    state: Channel = await desk.state(channel.STREAM, channel_id)
    if state.channel_id is None or state.is_removed:
        raise NotFound("no such channel")
    return state


async def _views(desk: Desk, states: Mapping[UUID, Channel]) -> list[ChannelView]:
    async with desk.pool.connection() as connection:
        names = await vault.get_many(connection, desk.vault, "channel", "name", list(states))
    return [ChannelView(each, names.get(each), state) for each, state in states.items()]


def _merged(route: Route, fields: Mapping[str, Any], key_ids: tuple[UUID, ...] | None) -> Route:
    changed = msgspec.structs.replace(route, **fields)
    leads_elsewhere = (changed.base_url, changed.type) != (route.base_url, route.type)
    if key_ids is not None:
        return msgspec.structs.replace(changed, key_ids=key_ids)
    return msgspec.structs.replace(changed, key_ids=()) if leads_elsewhere else changed


def _fields(given: ChannelInput) -> dict[str, Any]:
    """The fields of Route that are given, checked; all but the keys' ids."""
    fields: dict[str, Any] = {}
    if given.type is not None:
        fields["type"] = given.type
    if given.base_url is not None:
        empty = given.base_url == ""
        fields["base_url"] = "" if empty else inputs.base_url("base_url", given.base_url)
    if given.models is not None:
        clients = inputs.models("models", list(given.models))
        fields["models"] = {
            client: inputs.text("models", given.models[client], inputs.MODEL_MAX)
            for client in clients
        }
    if given.groups is not None:
        if not 1 <= len(given.groups) <= GROUPS_MAX:
            raise InvalidInput("groups", f"must name 1 to {GROUPS_MAX} groups")
        groups = (inputs.group("groups", group) for group in given.groups)
        fields["groups"] = tuple(dict.fromkeys(groups))
    if given.priority is not None:
        fields["priority"] = given.priority
    if given.weight is not None:
        fields["weight"] = given.weight
    _check_keys(given.keys or ())
    return fields


def _check_keys(keys: Sequence[str]) -> None:
    if len(keys) > KEYS_MAX:
        raise InvalidInput("keys", f"must not be more than {KEYS_MAX}")
    for key in keys:
        inputs.secret("keys", key)


def _require_type(desk: Desk, route: Route) -> None:
    known = desk.channel_types.get(route.type)
    if known is None:
        raise InvalidInput("type", f"must be one of {', '.join(sorted(desk.channel_types))}")
    if known.needs_base_url and not (route.base_url or known.base_url):
        raise InvalidInput("base_url", f"is required for the type {route.type}")


async def _put_secrets(
    desk: Desk, channel_id: UUID, name: str | None, keys: Mapping[UUID, str]
) -> None:
    async with desk.pool.connection() as connection, connection.transaction():
        if name is not None:
            place = Place("channel", channel_id, "name", channel_id)
            await vault.put(connection, desk.vault, place, name)
        for key_id, key in keys.items():
            place = Place("channel_key", key_id, "key", channel_id)
            await vault.put(connection, desk.vault, place, key)


async def _forget_keys(desk: Desk, key_ids: set[UUID]) -> None:
    if key_ids:
        async with desk.pool.connection() as connection:
            await connection.execute(_FORGET_KEYS, (list(key_ids),))
