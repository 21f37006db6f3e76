"""A channel: one way to a provider. Its name and its provider keys live in the vault."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, NamedTuple, assert_never
from uuid import UUID

from ledger.errors import NotAllowedNow, NotFound
from ledger.streams.contract import Event, Stream
from ledger.streams.routes import Route

KeyState = Literal["usable", "unusable", "refused", "out_of_money", "paused"]
"""`unusable` is what releases up to 0.3.0 wrote; it is read as `refused`."""
OutOfUse = Literal["refused", "out_of_money", "paused"]


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
    """One of its keys was refused by the provider, has no money left there, was paused by hand, or
    may be used again. The reason is a code where a node tells it, and a person's own word else.
    """

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
    """Note what the provider says of a key. Changes nothing where the key is not in the state
    `expected` any more, nor where somebody paused it.
    """

    key_id: UUID
    state: Literal["usable", "refused", "out_of_money"]
    actor: str
    reason: str = ""
    expected: KeyState | None = None


@dataclass(frozen=True, slots=True)
class PauseKey:
    """By hand: ask nobody with it, until somebody resumes it."""

    key_id: UUID
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ResumeKey:
    """By hand: use it again, whatever was wrong with it."""

    key_id: UUID
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the channel for ever."""

    actor: str
    reason: str = ""


KeyCommand = MarkKey | PauseKey | ResumeKey
Command = Add | Change | Pause | Resume | MarkKey | PauseKey | ResumeKey | Remove
AnyEvent = (
    ChannelAdded
    | ChannelChanged
    | ChannelPaused
    | ChannelResumed
    | ChannelKeyStateChanged
    | ChannelRemoved
)


class KeyCondition(NamedTuple):
    """Why a key is out of use."""

    state: OutOfUse
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """The fold of one channel stream. `out_of_use`: its keys that nobody is asked with."""

    version: int = 0
    channel_id: UUID | None = None
    route: Route = Route(type="")
    out_of_use: Mapping[UUID, KeyCondition] = field(default_factory=dict)
    is_paused: bool = False
    is_removed: bool = False

    @property
    def usable_keys(self) -> tuple[UUID, ...]:
        """The keys that calls may be sent with, in their order."""
        return tuple(key for key in self.route.key_ids if key not in self.out_of_use)

    def key_state(self, key_id: UUID) -> KeyState:
        """What is on record of one of its keys."""
        condition = self.out_of_use.get(key_id)
        return "usable" if condition is None else condition.state


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
    if isinstance(command, KeyCommand):
        return _key_changed(state, state.channel_id, command)
    return _changed(state, state.channel_id, command)


def _changed(
    state: Channel, channel_id: UUID, command: Change | Pause | Resume | Remove
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
        case Remove():
            changed = True
            event = ChannelRemoved(channel_id=channel_id, actor=actor, reason=reason)
        case _:
            assert_never(command)
    return (event,) if changed else ()


def _key_changed(state: Channel, channel_id: UUID, command: KeyCommand) -> tuple[Event, ...]:
    key_id = command.key_id
    if key_id not in state.route.key_ids:
        raise NotFound("no such key on this channel")
    before = state.key_state(key_id)
    after: KeyState
    match command:
        case PauseKey():
            after = "paused"
        case ResumeKey():
            after = "usable"
        case MarkKey(state=after, expected=expected):
            if before == "paused" or expected not in (None, before):
                return ()
        case _:
            assert_never(command)
    if before == after:
        return ()
    changed = ChannelKeyStateChanged(
        channel_id=channel_id,
        key_id=key_id,
        state=after,
        actor=command.actor,
        reason=command.reason,
    )
    return (changed,)


def evolve(state: Channel, event: AnyEvent) -> Channel:
    """The state after an event."""
    state = replace(state, version=state.version + 1)
    match event:
        case ChannelAdded(channel_id=channel_id, route=route):
            return replace(state, channel_id=channel_id, route=route)
        case ChannelChanged(route=route):
            kept = {key: one for key, one in state.out_of_use.items() if key in route.key_ids}
            return replace(state, route=route, out_of_use=kept)
        case ChannelPaused():
            return replace(state, is_paused=True)
        case ChannelResumed():
            return replace(state, is_paused=False)
        case ChannelKeyStateChanged(key_id=key_id, state=key_state, reason=reason):
            others = {key: one for key, one in state.out_of_use.items() if key != key_id}
            if key_state == "usable":
                return replace(state, out_of_use=others)
            known = "refused" if key_state == "unusable" else key_state
            return replace(state, out_of_use={**others, key_id: KeyCondition(known, reason)})
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
