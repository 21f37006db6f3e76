"""A channel: one way to a provider. Its name and its provider keys live in the vault."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, assert_never, get_args
from uuid import UUID

import msgspec

from ledger.errors import NotAllowedNow, NotFound
from ledger.streams.contract import Event, Stream

KeyState = Literal["usable", "unusable"]
KeyChoice = Literal["random", "in_turn", "in_order"]
KEY_CHOICES: tuple[KeyChoice, ...] = get_args(KeyChoice)


class Shaping(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a channel changes in the calls and answers that pass through it.

    `system_prompt_id`: its own system prompt, whose words lie in the vault; it stands in where the
    client has none, or with `system_prompt_leads` goes before the client's. `thinking_to_content`:
    thoughts are told as part of the text. `force_format`: answers are written anew, with nothing
    but what their format knows. `keeps_suffix`: the provider's models whose names end as if they
    said how much to think, and do not.
    """

    thinking_to_content: bool = False
    force_format: bool = False
    system_prompt_id: UUID | None = None
    system_prompt_leads: bool = False
    keeps_suffix: tuple[str, ...] = ()


class Way(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a channel's provider is reached. `proxy`: the address of one on the way, without who may
    pass; where it asks for that, the whole address lies in the vault as `proxy_id`. `roots`: whom
    to believe instead of the system's, certificates in PEM. Time-outs in milliseconds, 0: as usual.
    """

    proxy: str = ""
    proxy_id: UUID | None = None
    roots: str = ""
    connect_ms: int = 0
    first_byte_ms: int = 0
    idle_ms: int = 0


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a channel leads, and for whom. `models` maps the client's name to the provider's.
    `settings` are what its kind of provider needs to know besides: a region, a version, ...
    `key_choice`: which of its keys a call is sent with; in order: the first that may be asked.
    """

    type: str
    base_url: str = ""
    models: dict[str, str] = {}
    groups: tuple[str, ...] = ("default",)
    priority: int = 0
    weight: int = 1
    key_ids: tuple[UUID, ...] = ()
    key_choice: KeyChoice = "random"
    settings: dict[str, str] = {}
    shaping: Shaping = Shaping()
    way: Way = Way()


class ChannelAdded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The channel exists and takes calls."""

    TOPIC: ClassVar[str] = "channel.ChannelAdded.v1"

    channel_id: UUID
    route: Route
    actor: str


class ChannelChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The whole new route."""

    TOPIC: ClassVar[str] = "channel.ChannelChanged.v1"

    channel_id: UUID
    route: Route
    actor: str
    reason: str = ""


class ChannelPaused(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Takes no calls until it is resumed."""

    TOPIC: ClassVar[str] = "channel.ChannelPaused.v1"

    channel_id: UUID
    actor: str
    reason: str = ""


class ChannelResumed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Takes calls again."""

    TOPIC: ClassVar[str] = "channel.ChannelResumed.v1"

    channel_id: UUID
    actor: str
    reason: str = ""


class ChannelKeyStateChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One of its keys was refused by the provider, or works again."""

    TOPIC: ClassVar[str] = "channel.ChannelKeyStateChanged.v1"

    channel_id: UUID
    key_id: UUID
    state: KeyState
    actor: str
    reason: str = ""


class ChannelRemoved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Gone for ever; what it served keeps its name in the log."""

    TOPIC: ClassVar[str] = "channel.ChannelRemoved.v1"

    channel_id: UUID
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Add:
    """Add a channel."""

    channel_id: UUID
    route: Route
    actor: str


@dataclass(frozen=True, slots=True)
class Change:
    """Replace the route."""

    route: Route
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Give it no calls."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """Give it calls again."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MarkKey:
    """Note whether the provider accepts a key."""

    key_id: UUID
    state: KeyState
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the channel for ever."""

    actor: str
    reason: str = ""


Command = Add | Change | Pause | Resume | MarkKey | Remove
AnyEvent = (
    ChannelAdded
    | ChannelChanged
    | ChannelPaused
    | ChannelResumed
    | ChannelKeyStateChanged
    | ChannelRemoved
)


@dataclass(frozen=True, slots=True)
class Channel:
    """The fold of one channel stream."""

    version: int = 0
    channel_id: UUID | None = None
    route: Route = Route(type="")
    unusable_keys: frozenset[UUID] = frozenset()
    is_paused: bool = False
    is_removed: bool = False


def decide(state: Channel, command: Command) -> tuple[Event, ...]:
    """The events that answer a command; none where it changes nothing.

    Raises NotFound, NotAllowedNow.
    """
    if isinstance(command, Add):
        if state.channel_id is not None:
            raise NotAllowedNow("the channel exists")
        return (
            ChannelAdded(channel_id=command.channel_id, route=command.route, actor=command.actor),
        )
    if state.channel_id is None or state.is_removed:
        raise NotFound("no such channel")
    return _changed(state, state.channel_id, command)


def _changed(
    state: Channel, channel_id: UUID, command: Change | Pause | Resume | MarkKey | Remove
) -> tuple[Event, ...]:
    actor, reason = command.actor, command.reason
    match command:
        case Change(route=route):
            changed = route != state.route
            event: Event = ChannelChanged(
                channel_id=channel_id, route=route, actor=actor, reason=reason
            )
        case Pause():
            changed = not state.is_paused
            event = ChannelPaused(channel_id=channel_id, actor=actor, reason=reason)
        case Resume():
            changed = state.is_paused
            event = ChannelResumed(channel_id=channel_id, actor=actor, reason=reason)
        case MarkKey(key_id=key_id, state=key_state):
            if key_id not in state.route.key_ids:
                raise NotFound("no such key on this channel")
            changed = (key_id in state.unusable_keys) != (key_state == "unusable")
            event = ChannelKeyStateChanged(
                channel_id=channel_id, key_id=key_id, state=key_state, actor=actor, reason=reason
            )
        case Remove():
            changed = True
            event = ChannelRemoved(channel_id=channel_id, actor=actor, reason=reason)
        case _:
            assert_never(command)
    return (event,) if changed else ()


def evolve(state: Channel, event: AnyEvent) -> Channel:
    """The state after an event."""
    state = replace(state, version=state.version + 1)
    match event:
        case ChannelAdded(channel_id=channel_id, route=route):
            return replace(state, channel_id=channel_id, route=route)
        case ChannelChanged(route=route):
            kept = state.unusable_keys & frozenset(route.key_ids)
            return replace(state, route=route, unusable_keys=kept)
        case ChannelPaused():
            return replace(state, is_paused=True)
        case ChannelResumed():
            return replace(state, is_paused=False)
        case ChannelKeyStateChanged(key_id=key_id, state="unusable"):
            return replace(state, unusable_keys=state.unusable_keys | {key_id})
        case ChannelKeyStateChanged(key_id=key_id):
            return replace(state, unusable_keys=state.unusable_keys - {key_id})
        case ChannelRemoved():
            return replace(state, is_removed=True)
        case _:
            assert_never(event)


STREAM = Stream(
    name="channel",
    events=(
        ChannelAdded,
        ChannelChanged,
        ChannelPaused,
        ChannelResumed,
        ChannelKeyStateChanged,
        ChannelRemoved,
    ),
    initial=Channel,
    decide=decide,
    evolve=evolve,
    is_configuration=True,
)
