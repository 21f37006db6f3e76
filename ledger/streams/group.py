"""A price group: one stream per name, and the multiplier its members pay."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar
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
