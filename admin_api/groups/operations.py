"""Price groups: a name, and the multiplier that its members pay."""

from collections.abc import Mapping
from fractions import Fraction

from admin_api.desk import Desk
from admin_api.fields import inputs
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
) -> Group:
    """Set a group's multiplier, written like an amount ("1.5"); the group as it is then.

    `for_members`: what members of other groups pay in this one instead; None: as it is.
    Raises InvalidAmount, InvalidInput, StoreUnavailable.
    """
    name = inputs.group("name", name)
    special = None
    if for_members is not None:
        special = {
            inputs.group("for_members", own): _multiplier(text) for own, text in for_members.items()
        }
    command = SetGroup(name, _multiplier(multiplier), actor, for_members=special)
    await desk.handle(group.STREAM, group.group_stream_id(name), command)
    state: Group = await desk.state(group.STREAM, group.group_stream_id(name))
    return state


async def list_groups(desk: Desk) -> list[Group]:
    """Every group that was ever set, by name. Raises NotCaughtUp."""
    await desk.up_to_date()
    return [held for _, held in sorted(desk.configuration.held.groups.items())]


def _multiplier(text: str) -> Multiplier:
    ratio = Fraction(parse_usd(text), NANOS_PER_USD)
    return Multiplier(ratio.numerator, ratio.denominator)
