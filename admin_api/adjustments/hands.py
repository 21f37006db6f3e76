"""Whether two operators are two people: an approver must not be the proposer's own creature.

Whoever registers an operator knows its token, and whoever gave it a token, a role, or its access
back has as much of a hand in it. So none of these was the proposer, and none is less than a day
old. A house of one operator says so by a setting; then it is not asked, and the report
(admin_api/oversight) names every approval that it would have refused.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from admin_api.desk import Desk
from admin_api.settings.operations import ONE_OPERATOR_SETTING, YES, read_setting
from ledger.errors import FourEyes
from ledger.store.reader import Recorded
from ledger.streams import adjustment
from ledger.streams.adjustment import Adjustment
from ledger.streams.user import (
    IdentityLinked,
    IdentityUnlinked,
    RoleChanged,
    UserEnabled,
    UserRegistered,
)

LEAST_AGE = timedelta(days=1)

_OPERATOR = "operator:"


async def require_another_hand(desk: Desk, adjustment_id: UUID, approver: str) -> None:
    """Raises FourEyes where the approver is within the proposer's hand."""
    state: Adjustment = await desk.state(adjustment.STREAM, adjustment_id)
    if state.proposed is None or state.approved is not None or state.proposed.actor == approver:
        return  # whatever is wrong with it is said when it is decided
    if await read_setting(desk, ONE_OPERATOR_SETTING) == YES:
        return
    events = await desk.ledger.events(operator_id(approver)) if is_operator(approver) else []
    async with desk.pool.connection() as connection:
        row = await (await connection.execute("select clock_timestamp()")).fetchone()
    assert row is not None
    why = one_hand(state.proposed.actor, approver, events, row[0])
    if why is not None:
        raise FourEyes(f"the approver {why}: another operator must approve it")


def is_operator(actor: str) -> bool:
    """Whether an actor is an operator by name."""
    return actor.startswith(_OPERATOR)


def operator_id(actor: str) -> UUID:
    """The operator that an actor names."""
    return UUID(actor.removeprefix(_OPERATOR))


def one_hand(
    proposer: str, approver: str, events: Sequence[Recorded], moment: datetime
) -> str | None:
    """Why the approver is within the proposer's hand at a moment; None where it is not.

    events: the approver's stream as far as it was recorded then. What the approver did itself,
    and tokens that are no longer accepted, do not count.
    """
    gone = {
        one.event.subject
        for one in events
        if one.recorded_at <= moment and isinstance(one.event, IdentityUnlinked)
    }
    for one in events:
        what = _made(one.event, gone)
        if what is None or one.recorded_at > moment:
            continue
        if one.event.actor == approver:  # type: ignore[attr-defined]  # all of them have one
            continue
        if one.event.actor == proposer:  # type: ignore[attr-defined]
            return f"{what} by the proposer"
        if moment - one.recorded_at < LEAST_AGE:
            return f"{what} less than a day before"
    return None


def _made(event: object, gone: set[str]) -> str | None:
    match event:
        case UserRegistered():
            return "was registered"
        case IdentityLinked(subject=subject) if subject not in gone:
            return "was given its token"
        case RoleChanged():
            return "was given its role"
        case UserEnabled():
            return "was let in again"
        case _:
            return None
