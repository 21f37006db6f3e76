"""What is said of price groups."""

from typing import Self

from pydantic import Field

from admin_api.fields.bodies import Amount, Input, Output, ReasonCode
from admin_api.fields.inputs import format_multiplier
from ledger.streams.group import Group

MEMBERS_MAX = 1_000


class NewMultiplier(Input):
    """The multiplier, written like an amount: "1.5" is half as much again, "0" is free.

    `for_members`: what accounts of other groups pay when they call in this one, by their own
    group; absent: as it is. `reason`: needed where somebody pays less than before.
    """

    multiplier: Amount
    for_members: dict[str, Amount] | None = Field(default=None, max_length=MEMBERS_MAX)
    reason: ReasonCode | None = None


class GroupOutput(Output):
    """A group."""

    name: str
    multiplier: str
    for_members: dict[str, str]
    version: int

    @classmethod
    def of(cls, group: Group) -> Self:
        """As it is told."""
        return cls(
            name=group.name,
            multiplier=format_multiplier(group.multiplier),
            for_members={
                own: format_multiplier(each) for own, each in sorted(group.for_members.items())
            },
            version=group.version,
        )


class GroupList(Output):
    """Every group that was set, by name; all others pay the list price."""

    groups: list[GroupOutput]
