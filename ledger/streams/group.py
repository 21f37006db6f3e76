"""A price group: one stream per name, and the multiplier its members pay."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple
from uuid import UUID

import msgspec

from ledger.ids import derived_id
from ledger.pricing import Multiplier
from ledger.streams.contract import Event, Stream


class GroupSet(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Who calls in this group pays list price times this multiplier.

    `for_members`: what members of other groups pay here in its place, by their own group.
    """

    TOPIC: ClassVar[str] = "group.GroupSet.v1"

    name: str
    multiplier: Multiplier
    actor: str
    reason: str = ""
    for_members: dict[str, Multiplier] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetGroup:
    """Set a group's multiplier; and what members of others pay, None: as it is."""

    name: str
    multiplier: Multiplier
    actor: str
    reason: str = ""
    for_members: Mapping[str, Multiplier] | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The fold of one group stream."""

    version: int = 0
    name: str = ""
    multiplier: Multiplier = Multiplier()
    for_members: Mapping[str, Multiplier] = field(default_factory=dict)


class Lowered(NamedTuple):
    """What members pay less than before; `member`: those of which group, None: all others."""

    member: str | None
    before: Multiplier
    after: Multiplier


def paid(state: Group, member: str | None) -> Multiplier:
    """What accounts of a group pay when they call in this one."""
    return state.multiplier if member is None else state.for_members.get(member, state.multiplier)


def is_less(one: Multiplier, other: Multiplier) -> bool:
    """Whether one ratio is smaller than the other."""
    return one.numerator * other.denominator < other.numerator * one.denominator


def lowered(before: Group, after: Group) -> tuple[Lowered, ...]:
    """Who pays less than before in a group that changes."""
    members = (None, *sorted(before.for_members.keys() | after.for_members.keys()))
    pairs = (Lowered(each, paid(before, each), paid(after, each)) for each in members)
    return tuple(each for each in pairs if is_less(each.after, each.before))


def group_stream_id(name: str) -> UUID:
    """The stream of one group."""
    return derived_id("group", name)


def decide(state: Group, command: SetGroup) -> tuple[Event, ...]:
    """The new multipliers; nothing where they are the same."""
    given = command.for_members
    for_members = dict(state.for_members if given is None else given)
    is_same = state.multiplier == command.multiplier and state.for_members == for_members
    if state.version and is_same:
        return ()
    return (
        GroupSet(
            name=command.name,
            multiplier=command.multiplier,
            actor=command.actor,
            reason=command.reason,
            for_members=for_members,
        ),
    )


def evolve(state: Group, event: GroupSet) -> Group:
    """The state after an event."""
    return Group(state.version + 1, event.name, event.multiplier, event.for_members)


STREAM = Stream(
    name="group",
    events=(GroupSet,),
    initial=Group,
    decide=decide,
    evolve=evolve,
    is_configuration=True,
)
