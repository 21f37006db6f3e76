"""Channels: where they lead, and the provider keys that go nowhere else.

A provider's key belongs to the address it was entered for: a change of the address, of the type or
of a setting that has a say in where keys go takes the keys away unless new ones come with it, so
that nobody who may edit a channel can have a key sent to a place of their choice.

A channel's own system prompt lies in the vault as its keys do, and so does the address of a proxy
that asks who passes; each text under an id of its own.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from admin_api.channels import names, overrides, ways
from admin_api.channels.types import ChannelType
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from admin_api.in_turn import Step, in_turn
from ledger import ids, vault
from ledger.errors import NotFound
from ledger.streams import channel
from ledger.streams.channel import Channel
from ledger.streams.routes import KEY_CHOICES, Route
from ledger.vault import Place

KEYS_MAX = 100
GROUPS_MAX = 100

SETTINGS_MAX = 32

_KEY, _TEXT = ("channel_key", "key"), ("channel_text", "text")
_FORGET = "delete from vault.cell where kind = any(%s) and row_id = any(%s)"


@dataclass(frozen=True, slots=True)
class ChannelInput:
    """A channel as people write it. None: the default, or in a change: as it is.

    `models` maps the client's name of a model to the provider's; `keys` are in clear, and so is
    who may pass the `proxy`. An empty `system_prompt`, `proxy` or `trusted_certificates` takes away
    what was there, a time-out of 0 is as usual; so do overrides of `{}`, which are JSON.
    `follow_models`: the models are a chain, see `followed`.
    """

    name: str | None = None
    type: str | None = None
    base_url: str | None = None
    keys: Sequence[str] | None = field(default=None, repr=False)
    key_choice: str | None = None
    models: Mapping[str, str] | None = None
    groups: Sequence[str] | None = None
    priority: int | None = None
    weight: int | None = None
    settings: Mapping[str, str] | None = None
    thinking_to_content: bool | None = None
    force_format: bool | None = None
    system_prompt: str | None = field(default=None, repr=False)
    system_prompt_leads: bool | None = None
    keeps_suffix: Sequence[str] | None = None
    proxy: str | None = field(default=None, repr=False)
    trusted_certificates: str | None = None
    connect_timeout_ms: int | None = None
    first_byte_timeout_ms: int | None = None
    idle_timeout_ms: int | None = None
    first_content_timeout_ms: int | None = None
    parameter_overrides: str | None = field(default=None, repr=False)
    header_overrides: str | None = field(default=None, repr=False)
    status_codes: Mapping[str, int] | None = None
    follow_models: bool | None = None
    is_paused: bool | None = None


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel for people; of its keys only the ids and whether they work."""

    channel_id: UUID
    name: str | None
    state: Channel
    system_prompt: str | None = field(default=None, repr=False)
    parameter_overrides: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Told:
    """What an input says, checked: fields of Route, those of its Shaping, and what is secret.

    `keys` and `text` are by their new ids; None where nothing new is given.
    """

    fields: Mapping[str, Any]
    shaping: Mapping[str, Any]
    way: Mapping[str, Any]
    overrides: Mapping[str, Any]
    keys: Mapping[UUID, str] | None
    texts: Mapping[UUID, str]


async def add_channel(desk: Desk, given: ChannelInput, *, actor: str) -> UUID:
    """Add a channel; its id. Raises InvalidInput, NotAllowedNow for a name that another channel
    has, StoreUnavailable.
    """
    for required in ("name", "type", "models"):
        if getattr(given, required) is None:
            raise InvalidInput(required, "is required")
    told = _told(desk, _kind(desk, given.type or ""), given)
    channel_id = ids.entity_id()
    route = _merged(desk, Route(type=given.type or ""), told)
    if desk.channel_types[route.type].needs_key and not route.key_ids:
        raise InvalidInput("keys", f"are required for the type {route.type}")
    name = inputs.text("name", given.name or "")
    await _put_secrets(desk, channel_id, name, told)
    try:
        await desk.handle(channel.STREAM, channel_id, channel.Add(channel_id, route, actor))
    except Exception:
        # Should it be stored after all, its name is claimed again with the next one.
        with contextlib.suppress(psycopg.Error):
            await names.release(desk, channel_id)
        raise
    return channel_id


async def change_channel(
    desk: Desk, channel_id: UUID, given: ChannelInput, *, actor: str
) -> ChannelView:
    """Change what is given and leave the rest; the channel as it is then.

    Raises InvalidInput, NotFound, NotAllowedNow for a name that another channel has,
    StoreUnavailable.
    """
    name = None if given.name is None else inputs.text("name", given.name)
    before = await require_channel(desk, channel_id)
    told = _told(desk, _kind(desk, given.type or before.route.type), given)

    def changed(state: Channel) -> channel.Change:
        return channel.Change(_merged(desk, state.route, told), actor)

    changed(before)  # refuse before anything is written
    await _put_secrets(desk, channel_id, name, told)
    steps: list[Step] = [changed]
    if given.is_paused is not None:
        pause = channel.Pause(actor) if given.is_paused else channel.Resume(actor)
        steps.append(lambda _: pause)
    await desk.handle(in_turn(channel.STREAM), channel_id, steps)
    after = await require_channel(desk, channel_id)
    await _forget(desk, _secrets(before.route) - _secrets(after.route))
    return (await _views(desk, {channel_id: after}))[0]


async def remove_channel(desk: Desk, channel_id: UUID, *, actor: str) -> None:
    """Remove a channel for ever, its keys and texts with it. Raises NotFound."""
    before = await require_channel(desk, channel_id)
    await desk.handle(channel.STREAM, channel_id, channel.Remove(actor))
    await _forget(desk, _secrets(before.route))
    await names.release(desk, channel_id)


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
    prompts = {each: state.route.shaping.system_prompt_id for each, state in states.items()}
    changes = {each: state.route.overrides.parameters_id for each, state in states.items()}
    text_ids = [one for one in (*prompts.values(), *changes.values()) if one is not None]
    async with desk.pool.connection() as connection:
        names = await vault.tell_many(connection, desk.vault, "channel", "name", list(states))
        texts = await vault.tell_many(connection, desk.vault, *_TEXT, text_ids) if text_ids else {}
    return [
        ChannelView(
            each,
            names.get(each),
            state,
            _text(texts, prompts[each]),
            _text(texts, changes[each]),
        )
        for each, state in states.items()
    ]


def _text(texts: Mapping[UUID, str], text_id: UUID | None) -> str | None:
    return None if text_id is None else texts.get(text_id)


def _secrets(route: Route) -> set[UUID]:
    """The ids of everything of a route that lies in the vault."""
    changes = route.overrides
    texts = (
        *(route.shaping.system_prompt_id, route.way.proxy_id),
        *(changes.parameters_id, changes.headers_id),
    )
    return {*route.key_ids, *(each for each in texts if each is not None)}


def _kind(desk: Desk, name: str) -> ChannelType:
    """Raises InvalidInput."""
    kind = desk.channel_types.get(name)
    if kind is None:
        raise InvalidInput("type", f"must be one of {', '.join(sorted(desk.channel_types))}")
    return kind


def _merged(desk: Desk, route: Route, told: _Told) -> Route:
    """The route with what was told. Raises InvalidInput where its type does not allow it."""
    shaping = msgspec.structs.replace(route.shaping, **told.shaping)
    way = msgspec.structs.replace(route.way, **told.way)
    changes = msgspec.structs.replace(route.overrides, **told.overrides)
    changed = msgspec.structs.replace(
        route, **told.fields, shaping=shaping, way=way, overrides=changes
    )
    if changed.type != route.type and "settings" not in told.fields:
        changed = msgspec.structs.replace(changed, settings={})
    kind = _kind(desk, changed.type)
    if changed.base_url and changed.base_url != route.base_url:
        changed = msgspec.structs.replace(changed, base_url=kind.address(changed.base_url))
    kind.check_base_url("base_url", changed.base_url or kind.base_url)
    kind.check_settings("settings", changed.settings)
    if told.keys is not None:
        return msgspec.structs.replace(changed, key_ids=tuple(told.keys))
    leads_elsewhere = (changed.base_url, changed.type) != (route.base_url, route.type)
    address = changed.base_url or kind.base_url
    if (
        leads_elsewhere
        or kind.leads_keys_elsewhere(route.settings, changed.settings)
        or ways.leads_keys_elsewhere(route, changed, address)
    ):
        return msgspec.structs.replace(changed, key_ids=())
    return changed


def _told(desk: Desk, kind: ChannelType, given: ChannelInput) -> _Told:
    """What is given, checked as far as it stands alone. Raises InvalidInput."""
    keys = None
    if given.keys is not None:
        if len(given.keys) > KEYS_MAX:
            raise InvalidInput("keys", f"must not be more than {KEYS_MAX}")
        keys = {ids.entity_id(): kind.key("keys", key) for key in given.keys}
    names = ("thinking_to_content", "force_format", "system_prompt_leads")
    shaping = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    if given.keeps_suffix is not None:
        shaping["keeps_suffix"] = _names("keeps_suffix", given.keeps_suffix)
    said = asdict(given)
    way, texts = ways.told_way(said)
    changes, more_texts = overrides.told_overrides(said, desk.check_overrides)
    texts |= more_texts
    if given.system_prompt == "":
        shaping["system_prompt_id"] = None
    elif given.system_prompt is not None:
        text_id = shaping["system_prompt_id"] = ids.entity_id()
        texts[text_id] = inputs.passage("system_prompt", given.system_prompt)
    return _Told(_fields(given), shaping, way, changes, keys, texts)


def _names(field_name: str, given: Sequence[str]) -> tuple[str, ...]:
    """Providers' names of models, none or more."""
    if len(given) > inputs.LIST_MAX:
        raise InvalidInput(field_name, f"must not be more than {inputs.LIST_MAX}")
    named = (inputs.text(field_name, name, inputs.MODEL_MAX) for name in given)
    return tuple(dict.fromkeys(named))


def _fields(given: ChannelInput) -> dict[str, Any]:
    """The fields of Route that are given, checked; all but what lies in the vault."""
    plain = {name: getattr(given, name) for name in ("type", "priority", "weight")}
    fields: dict[str, Any] = {name: value for name, value in plain.items() if value is not None}
    if given.base_url is not None:
        empty = given.base_url == ""
        fields["base_url"] = "" if empty else inputs.base_url("base_url", given.base_url)
    if given.models is not None:
        fields["models"] = _models(given.models, follow=bool(given.follow_models))
    if given.groups is not None:
        if not 1 <= len(given.groups) <= GROUPS_MAX:
            raise InvalidInput("groups", f"must name 1 to {GROUPS_MAX} groups")
        groups = (inputs.group("groups", group) for group in given.groups)
        fields["groups"] = tuple(dict.fromkeys(groups))
    if given.key_choice is not None:
        fields["key_choice"] = _key_choice(given.key_choice)
    if given.settings is not None:
        if len(given.settings) > SETTINGS_MAX:
            raise InvalidInput("settings", f"must not be more than {SETTINGS_MAX}")
        fields["settings"] = dict(sorted(given.settings.items()))
    return fields


def _models(given: Mapping[str, str], *, follow: bool) -> dict[str, str]:
    models = {
        client: inputs.text("models", given[client], inputs.MODEL_MAX)
        for client in inputs.models("models", list(given))
    }
    return overrides.followed(models) if follow else models


def _key_choice(given: str) -> str:
    if given not in KEY_CHOICES:
        raise InvalidInput("key_choice", f"must be one of {', '.join(KEY_CHOICES)}")
    return given


async def _put_secrets(desk: Desk, channel_id: UUID, name: str | None, told: _Told) -> None:
    cells = [] if name is None else [(Place("channel", channel_id, "name", channel_id), name)]
    for (kind, field_name), texts in ((_KEY, told.keys or {}), (_TEXT, told.texts)):
        cells += [(Place(kind, each, field_name, channel_id), text) for each, text in texts.items()]
    async with desk.pool.connection() as connection, connection.transaction():
        if name is not None:
            await names.claim(connection, desk, channel_id, name)
        for place, text in cells:
            await vault.put(connection, desk.vault, place, text)


async def _forget(desk: Desk, secret_ids: set[UUID]) -> None:
    """Delete keys and texts from the vault."""
    if secret_ids:
        async with desk.pool.connection() as connection:
            await connection.execute(_FORGET, ([_KEY[0], _TEXT[0]], list(secret_ids)))
