"""A price group: one stream per name, and the multiplier its members pay."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from ledger.ids import derived_id
from ledger.pricing import Multiplier
from ledger.streams.contract import Event, Stream


class GroupSet(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The group's members pay list price times this multiplier."""

    TOPIC: ClassVar[str] = "group.GroupSet.v1"

    name: str
    multiplier: Multiplier
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SetGroup:
    """Set a group's multiplier."""

    name: str
    multiplier: Multiplier
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The fold of one group stream."""

    version: int = 0
    name: str = ""
    multiplier: Multiplier = Multiplier()


def group_stream_id(name: str) -> UUID:
    """The stream of one group."""
    return derived_id("group", name)


def decide(state: Group, command: SetGroup) -> tuple[Event, ...]:
    """The new multiplier; nothing where it is the same."""
    if state.version and state.multiplier == command.multiplier:
        return ()
    return (
        GroupSet(
            name=command.name,
            multiplier=command.multiplier,
            actor=command.actor,
            reason=command.reason,
        ),
    )


def evolve(state: Group, event: GroupSet) -> Group:
    """The state after an event."""
    return Group(state.version + 1, event.name, event.multiplier)


STREAM = Stream(
    name="group",
    events=(GroupSet,),
    initial=Group,
    decide=decide,
    evolve=evolve,
    is_configuration=True,
)
