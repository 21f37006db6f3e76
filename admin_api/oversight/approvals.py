"""Approvals that one person may have given, who proposed as well: within one hand, or by tokens
that came from one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection

from admin_api.adjustments.hands import Act, one_hand, read_histories, shared_hand
from admin_api.fields.log_range import LogRange
from admin_api.oversight.facts import NEWEST, read_facts
from ledger.store.reader import Recorded, read_stream
from ledger.streams.adjustment import AdjustmentApproved, AdjustmentProposed


@dataclass(frozen=True, slots=True)
class CloseApproval:
    """An adjustment whose approver was within the proposer's hand, and why."""

    fact: Recorded
    proposed: AdjustmentProposed
    approver: str
    why: str


@dataclass(frozen=True, slots=True)
class SharedApproval:
    """An adjustment whose proposer and approver had their tokens from one hand, and whose."""

    fact: Recorded
    proposed: AdjustmentProposed
    approver: str
    maker: str


async def read_approvals(
    connection: AsyncConnection[Any], stretch: LogRange, limit: int
) -> tuple[tuple[CloseApproval, ...], tuple[SharedApproval, ...]]:
    """What there is to say of the last `limit` approvals of a stretch, each in one list at most."""
    given = (AdjustmentApproved.TOPIC, stretch.after, stretch.before, limit)
    close: list[CloseApproval] = []
    shared: list[SharedApproval] = []
    histories: dict[str, Sequence[Recorded]] = {}
    for fact in await read_facts(connection, NEWEST, given):
        assert isinstance(fact.event, AdjustmentApproved)
        first, *_ = await read_stream(connection, fact.stream_id)
        if not isinstance(first.event, AdjustmentProposed):
            continue
        proposed = Act(first.event.actor, first.recorded_at)
        approved = Act(fact.event.actor, fact.recorded_at)
        histories = await read_histories(connection, (proposed.actor, approved.actor), histories)
        why = one_hand(proposed, approved, histories)
        if why is not None:
            close.append(CloseApproval(fact, first.event, approved.actor, why))
            continue
        maker = shared_hand(proposed, approved, histories)
        if maker is not None:
            shared.append(SharedApproval(fact, first.event, approved.actor, maker))
    return tuple(close), tuple(shared)


def moved_nanos(proposed: AdjustmentProposed) -> int:
    """What an adjustment moves; positive gives to customers."""
    correction = proposed.correction
    return proposed.amount_nanos if correction is None else -correction.delta_nanos
