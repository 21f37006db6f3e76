"""What calls brought in and what they cost us, by quarter of an hour: per account, channel and
model.

Quarters, because every time zone's days begin at one: so they add up to the days of any zone.
Corrections count in the quarter they were made in, for who answered the corrected call. Where
usage came late, what the provider takes for it counts with them.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ledger.store.reader import Recorded
from ledger.streams.charge.events import ChargeAdjusted, UsageSettled
from projections.contract import Key, Projection, Row, Table, beginning, members

NO_CHANNEL = UUID(int=0)
"""Stands for the channel of corrections of calls that nobody answered, and of early releases."""

QUARTER_MINUTES = 15


class ProfitRow(Row, frozen=True):
    """One quarter of one combination; amounts in nanodollars.

    charged_nanos: by settlements; adjusted_nanos: by corrections, positive where the customer pays
    more. Revenue is both. calls - costed_calls is how many had no known cost.
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
    """The one combination that the settlement, or the correction, belongs to."""
    quarter = beginning(event.recorded_at, QUARTER_MINUTES)
    match event.event:
        case UsageSettled() as settled:
            place = (settled.channel_id, settled.terms.model, settled.upstream_model)
            return ((quarter, settled.account_id, *place),)
        case ChargeAdjusted() as adjusted:
            answered = adjusted if adjusted.late is None else adjusted.late
            channel_id = answered.channel_id or NO_CHANNEL
            place = (channel_id, adjusted.terms.model, answered.upstream_model)
            return ((quarter, adjusted.account_id, *place),)
        case _:
            return ()


def fold(key: Key, row: ProfitRow | None, events: Sequence[Recorded]) -> ProfitRow:
    """Adds what the events say to the sums."""
    row = row or ProfitRow(*key)  # type: ignore[arg-type]  # as `touches` made it
    calls, costed, adjustments = row.calls, row.costed_calls, row.adjustments
    charged, adjusted = row.charged_nanos, row.adjusted_nanos
    cost, shortfall = row.cost_nanos, row.shortfall_nanos
    for event in events:
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


TABLE = Table(
    name="profit_quarter_hours",
    row=ProfitRow,
    key=_KEY,
    events=(UsageSettled, ChargeAdjusted),
    touches=touches,
    fold=fold,
)
PROJECTION = Projection(
    name="profit_quarter_hours",
    version=2,
    tables=(TABLE,),
    looks_at={
        UsageSettled: members(
            "account_id channel_id terms upstream_model charged_nanos shortfall_nanos cost"
        )
    },
    uses_places=members("recorded_at"),
)
