"""What is said of usage."""

from typing import Self
from uuid import UUID

from admin_api.fields.bodies import Moment, Output, SignedAmount
from admin_api.fields.inputs import format_moment
from admin_api.usage.operations import UsageLine, UsageReport
from ledger.money import format_usd
from ledger.usage import CLASSES


class UsageLineOutput(Output):
    """What was used from `begins_at` to before `ends_at`; named by what was asked for, else null.

    `requests` were settled and `charged`, `refunds` given back whole; `adjusted` is what
    corrections added to what is charged, and `spent` both. `usage` by class, without what none
    used. `cost`: what the providers take for the `costed_requests`, where that is known; operators
    alone are told.
    """

    begins_at: Moment
    ends_at: Moment
    account_id: UUID | None = None
    key_id: UUID | None = None
    model: str | None = None
    channel_id: UUID | None = None
    group: str | None = None
    requests: int
    refunds: int
    adjustments: int
    usage: dict[str, int]
    charged: SignedAmount
    adjusted: SignedAmount
    spent: SignedAmount
    shortfall: SignedAmount
    costed_requests: int | None = None
    cost: SignedAmount | None = None

    @classmethod
    def of(cls, line: UsageLine, *, shows_costs: bool) -> Self:
        """As it is told."""
        sums = line.sums
        output = cls(
            begins_at=format_moment(line.begins_at),
            ends_at=format_moment(line.ends_at),
            requests=sums["requests"],
            refunds=sums["refunds"],
            adjustments=sums["adjustments"],
            usage={kind: sums[kind] for kind in CLASSES if sums[kind]},
            charged=format_usd(sums["charged_nanos"]),
            adjusted=format_usd(sums["adjusted_nanos"]),
            spent=format_usd(sums["charged_nanos"] + sums["adjusted_nanos"]),
            shortfall=format_usd(sums["shortfall_nanos"]),
        )
        told: dict[str, object] = {_FIELD_OF.get(by, by): name for by, name in line.names.items()}
        if shows_costs:
            told["costed_requests"] = sums["costed_requests"]
            told["cost"] = format_usd(sums["cost_nanos"])
        return output.model_copy(update=told)


_FIELD_OF = {"account": "account_id", "key": "key_id", "channel": "channel_id"}


class UsageOutput(Output):
    """Days and hours are those of `time_zone`. Everything up to `position` is counted."""

    lines: list[UsageLineOutput]
    time_zone: str
    position: int

    @classmethod
    def of(cls, report: UsageReport, *, shows_costs: bool) -> Self:
        """As it is told."""
        lines = [UsageLineOutput.of(line, shows_costs=shows_costs) for line in report.lines]
        return cls(lines=lines, time_zone=report.time_zone, position=report.position)
