"""What is said of alarms."""

from collections.abc import Iterable
from typing import Self
from uuid import UUID

from admin_api.alarms.operations import MEANINGS
from admin_api.fields.bodies import Moment, Output, SignedAmount
from admin_api.fields.inputs import format_moment
from ledger.money import format_usd
from projections.views.alarms import AlarmRow, AlarmTotalRow


class AlarmOutput(Output):
    """An alarm: the event at `position`, of the call `request_id`.

    `amount` is how much money it is about, as far as the event says.
    """

    position: int
    recorded_at: Moment
    kind: str
    meaning: str
    amount: SignedAmount
    request_id: UUID
    account_id: UUID
    model: str
    channel_id: UUID | None

    @classmethod
    def of(cls, row: AlarmRow) -> Self:
        """As it is told."""
        return cls(
            position=row.position,
            recorded_at=format_moment(row.recorded_at),
            kind=row.kind,
            meaning=MEANINGS[row.kind],
            amount=format_usd(row.amount_nanos),
            request_id=row.charge_id,
            account_id=row.account_id,
            model=row.model,
            channel_id=row.channel_id,
        )


class AlarmPage(Output):
    """Some alarms; `next` is the `before` of the next page, null at the end.

    All there were up to `position` are known here.
    """

    alarms: list[AlarmOutput]
    next: int | None
    position: int


def as_metrics(totals: Iterable[AlarmTotalRow]) -> str:
    """Prometheus' text format 0.0.4: a counter with a label, and a line for every kind."""
    lines = [
        "# HELP tollgate_alarms_total Alarms of the ledger, ever, by kind.",
        "# TYPE tollgate_alarms_total counter",
        *(f'tollgate_alarms_total{{kind="{row.kind}"}} {row.alarms}' for row in totals),
    ]
    return "\n".join(lines) + "\n"
