"""Price groups: a name, and the multiplier that its members pay."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from admin_api.in_turn import in_turn
from ledger.money import NANOS_PER_USD, parse_usd
from ledger.pricing import Multiplier
from ledger.streams import group
from ledger.streams.group import Group, SetGroup


async def set_group(
    desk: Desk,
    name: str,
    *,
    multiplier: str,
    actor: str,
    for_members: Mapping[str, str] | None = None,
    reason: str = "",
) -> Group:
    """Set a group's multiplier, written like an amount ("1.5"); the group as it is then.

    `for_members`: what members of other groups pay in this one instead; None: as it is.
    Whoever lets somebody pay less says why: calls for nothing are money given away.

    Raises InvalidAmount, InvalidInput, StoreUnavailable.
    """
    name = inputs.group("name", name)
    special = None
    if for_members is not None:
        special = {
            inputs.group("for_members", own): _multiplier(text) for own, text in for_members.items()
        }
    command = SetGroup(name, _multiplier(multiplier), actor, reason, for_members=special)

    def changed(state: Group) -> SetGroup:
        members = state.for_members if special is None else special
        after = replace(state, multiplier=command.multiplier, for_members=members)
        if not reason and group.lowered(state, after):
            raise InvalidInput("reason", "is needed where somebody pays less than before: a code")
        return command

    await desk.handle(in_turn(group.STREAM), group.group_stream_id(name), [changed])
    state: Group = await desk.state(group.STREAM, group.group_stream_id(name))
    return state


async def list_groups(desk: Desk) -> list[Group]:
    """Every group that was ever set, by name. Raises NotCaughtUp."""
    await desk.up_to_date()
    return [held for _, held in sorted(desk.configuration.held.groups.items())]


def _multiplier(text: str) -> Multiplier:
    ratio = Fraction(parse_usd(text), NANOS_PER_USD)
    return Multiplier(ratio.numerator, ratio.denominator)
