"""What calls brought in and what they cost us, by quarter of an hour: per account, channel and
model.

Quarters, because every time zone's days begin at one: so they add up to the days of any zone.
Corrections count in the quarter they were made in, for who answered the corrected call. Where
usage came late, what the provider takes for it counts with them. What a try cost that nobody is
charged for counts where it was made.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ledger.store.reader import Recorded
from ledger.streams.charge.events import (
    Attempt,
    ChargeAdjusted,
    RefundIssued,
    UsageSettled,
    paid_tries,
)
from ledger.streams.contract import Event
from projections.contract import Key, Projection, Row, Table, beginning, members

NO_CHANNEL = UUID(int=0)
"""Stands for the channel of corrections of calls that nobody answered, and of early releases."""

QUARTER_MINUTES = 15


class ProfitRow(Row, frozen=True):
    """One quarter of one combination; amounts in nanodollars.

    charged_nanos: by settlements; adjusted_nanos: by corrections, positive where the customer pays
    more. Revenue is both. calls - costed_calls is how many had no known cost. cost_nanos is that
    of the others, of usage that came late, and of tries that nobody is charged for.
    """

    quarter: datetime
    account_id: UUID
    channel_id: UUID
    model: str
    upstream_model: str
    calls: int = 0
    costed_calls: int = 0
    adjustments: int = 0
    charged_nanos: int = 0
    adjusted_nanos: int = 0
    cost_nanos: int = 0
    shortfall_nanos: int = 0


_KEY = ("quarter", "account_id", "channel_id", "model", "upstream_model")


def touches(event: Recorded) -> tuple[Key, ...]:
    """The combination of who answered, or is corrected, and those of tries that cost something."""
    told = event.event
    assert isinstance(told, UsageSettled | RefundIssued | ChargeAdjusted)
    quarter = beginning(event.recorded_at, QUARTER_MINUTES)
    places = [_tried(told, attempt) for attempt, _ in paid_tries(told.attempts)]
    if not isinstance(told, RefundIssued):
        places.append(_answered(told))
    return tuple([(quarter, *place) for place in dict.fromkeys(places)])


def _answered(told: UsageSettled | ChargeAdjusted) -> Key:
    """Where it belongs, but for the quarter."""
    if isinstance(told, UsageSettled):
        return (told.account_id, told.channel_id, told.terms.model, told.upstream_model)
    answered = told if told.late is None else told.late
    channel_id = answered.channel_id or NO_CHANNEL
    return (told.account_id, channel_id, told.terms.model, answered.upstream_model)


def _tried(told: UsageSettled | RefundIssued | ChargeAdjusted, attempt: Attempt) -> Key:
    return (told.account_id, attempt.channel_id, told.terms.model, attempt.upstream_model)


def fold(key: Key, row: ProfitRow | None, events: Sequence[Recorded]) -> ProfitRow:
    """Adds what the events say to the sums."""
    row = row or ProfitRow(*key)  # type: ignore[arg-type]  # as `touches` made it
    calls, costed, adjustments = row.calls, row.costed_calls, row.adjustments
    charged, adjusted = row.charged_nanos, row.adjusted_nanos
    cost, shortfall = row.cost_nanos, row.shortfall_nanos
    for event in events:
        tried, is_own = _of_tries(event.event, key)
        cost += tried
        if not is_own:
            continue
        match event.event:
            case UsageSettled() as settled:
                calls += 1
                charged += settled.charged_nanos
                shortfall += settled.shortfall_nanos
                if settled.cost is not None:
                    costed += 1
                    cost += settled.cost.amount_nanos
            case ChargeAdjusted(delta_nanos=delta, late=late):
                adjustments += 1
                adjusted += delta
                if late is not None and late.cost is not None:
                    cost += late.cost.amount_nanos
            case _:
                pass
    sums = (calls, costed, adjustments, charged, adjusted, cost, shortfall)
    return ProfitRow(*key, *sums)  # type: ignore[arg-type, call-arg]


def _of_tries(told: Event, key: Key) -> tuple[int, bool]:
    """What tries at this place cost, in nanodollars, and whether the event itself belongs here."""
    assert isinstance(told, UsageSettled | RefundIssued | ChargeAdjusted)
    tries = paid_tries(told.attempts)
    if not tries:  # nearly always
        return 0, True
    nanos = sum(paid.amount_nanos for one, paid in tries if _tried(told, one) == key[1:])
    return nanos, not isinstance(told, RefundIssued) and _answered(told) == key[1:]


TABLE = Table(
    name="profit_quarter_hours",
    row=ProfitRow,
    key=_KEY,
    events=(UsageSettled, RefundIssued, ChargeAdjusted),
    touches=touches,
    fold=fold,
)
PROJECTION = Projection(
    name="profit_quarter_hours",
    version=3,
    tables=(TABLE,),
    looks_at={
        UsageSettled: members(
            "account_id channel_id terms upstream_model charged_nanos shortfall_nanos cost attempts"
        ),
        RefundIssued: members("account_id terms attempts"),
    },
    uses_places=members("recorded_at"),
)
