"""Large credits, approvals within one hand, what was given away in other ways, and the settings
that say what one person may.

From the log: the audit trail tells where its events are; each is judged by what stood before it.
"""

from dataclasses import dataclass

from admin_api.desk import Desk, served_position
from admin_api.fields.log_range import read_range
from admin_api.oversight.approvals import CloseApproval, SharedApproval, read_approvals
from admin_api.oversight.concessions import Concession, read_concessions
from admin_api.oversight.credits import (
    LargeCredit,
    RepeatedCredits,
    read_large_credits,
    read_repeated_credits,
)
from admin_api.oversight.past_settings import read_past_setting
from admin_api.settings.operations import ALONE_UP_TO_SETTING, ONE_OPERATOR_SETTING, YES
from ledger.money import parse_usd
from ledger.store.reader import Recorded
from projections.views import audit_trail


@dataclass(frozen=True, slots=True)
class Oversight:
    """What there is to look at, the newest first, as of `position`."""

    position: int
    one_operator: bool
    alone_up_to_nanos: int
    credits: tuple[LargeCredit, ...]
    repeated: tuple[RepeatedCredits, ...]
    approvals: tuple[CloseApproval, ...]
    shared: tuple[SharedApproval, ...]
    concessions: tuple[Concession, ...]
    settings: tuple[Recorded, ...]


async def read_oversight(
    desk: Desk, *, since: str | None, until: str | None, limit: int, at_least: int = 0
) -> Oversight:
    """At most `limit` credits, and what is wrong with the last `limit` approvals, of a stretch.

    Raises InvalidInput, NotCaughtUp, QueryTooSlow.
    """
    async with desk.reading() as connection:
        position = await served_position(connection, audit_trail.PROJECTION.name, at_least)
        stretch = await read_range(connection, since, until, None)
        limits = await read_past_setting(connection, ALONE_UP_TO_SETTING)
        hands = await read_past_setting(connection, ONE_OPERATOR_SETTING)
        large: tuple[LargeCredit, ...] = ()
        repeated: tuple[RepeatedCredits, ...] = ()
        close: tuple[CloseApproval, ...] = ()
        shared: tuple[SharedApproval, ...] = ()
        conceded: tuple[Concession, ...] = ()
        if position:
            large = await read_large_credits(connection, stretch, limits, limit)
            repeated = await read_repeated_credits(connection, stretch, limits, limit)
            close, shared = await read_approvals(connection, stretch, limit)
            conceded = await read_concessions(connection, stretch, limit)
    return Oversight(
        position=position,
        one_operator=hands.at(position + 1) == YES,
        alone_up_to_nanos=parse_usd(limits.at(position + 1)),
        credits=large,
        repeated=repeated,
        approvals=close,
        shared=shared,
        concessions=conceded,
        settings=tuple(sorted((*limits.changes, *hands.changes), key=lambda one: -one.position)),
    )
