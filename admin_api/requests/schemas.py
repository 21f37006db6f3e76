"""What is said of requests."""

from typing import Literal, Self
from uuid import UUID

from pydantic import Field

from admin_api.fields.bodies import Moment, Output, SignedAmount
from admin_api.fields.inputs import format_moment, format_multiplier
from admin_api.requests.operations import ChargeView, RefusalView
from ledger.money import format_usd
from ledger.pricing import Line
from ledger.streams.charge.events import Attempt
from ledger.usage import Usage
from projections.views.request_log import RequestRow

_MICROS_PER_NANO = 1_000_000


class AttemptOutput(Output):
    """One try at one channel. Operators alone are told which one, and what it used and costs us
    though nobody is charged for it.
    """

    channel_id: UUID | None
    outcome: str
    status: int
    ttft_ms: int | None
    duration_ms: int
    usage: dict[str, int] | None = None
    cost: SignedAmount | None = None

    @classmethod
    def of(cls, attempt: Attempt, *, shows_channels: bool) -> Self:
        """As it is told."""
        output = cls(
            channel_id=None,
            outcome=attempt.outcome,
            status=attempt.status,
            ttft_ms=attempt.ttft_ms,
            duration_ms=attempt.duration_ms,
        )
        if not shows_channels:
            return output
        usage, cost = attempt.usage, attempt.cost
        return output.model_copy(
            update={
                "channel_id": attempt.channel_id,
                "usage": None if usage is None else _counts(usage),
                "cost": None if cost is None else format_usd(cost.amount_nanos),
            }
        )


class LineOutput(Output):
    """units x price / per_units = base, exactly; the multiplier comes on top."""

    kind: str
    units: int
    price: SignedAmount
    per_units: int
    base: SignedAmount

    @classmethod
    def of(cls, line: Line) -> Self:
        """As it is told."""
        micros = line.units * line.price_nanos * (_MICROS_PER_NANO // line.per_units)
        return cls(
            kind=line.kind,
            units=line.units,
            price=format_usd(line.price_nanos),
            per_units=line.per_units,
            base=_exact_usd(micros),
        )


class AdjustmentOutput(Output):
    """A correction after the end; positive: the customer pays more."""

    position: int
    delta: SignedAmount
    reason: str


class RequestOutput(Output):
    """A call. cost = charged + adjustments; null: not known, or it never came to that."""

    id: UUID
    status: Literal["open", "settled", "refunded", "refused"]
    account_id: UUID | None
    key_id: UUID | None
    model: str | None
    group: str | None = None
    price_version: int | None = None
    multiplier: str | None = None
    dialect: str | None = None
    streaming: bool | None = None
    admitted_at: Moment | None = None
    closed_at: Moment | None = None
    refused_at: Moment | None = None
    held: SignedAmount = "0"
    charged: SignedAmount = "0"
    shortfall: SignedAmount = "0"
    cost: SignedAmount = "0"
    basis: str | None = None
    ending: str | None = None
    reason: str | None = None
    http_status: int | None = None
    channel_id: UUID | None = None
    upstream_model: str | None = None
    anomaly: str | None = None
    usage: dict[str, int] | None = None
    lines: list[LineOutput] = Field(default_factory=list)
    attempts: list[AttemptOutput] = Field(default_factory=list)
    adjustments: list[AdjustmentOutput] = Field(default_factory=list)
    ttft_ms: int | None = None
    duration_ms: int | None = None
    positions: list[int] = Field(default_factory=list)

    @classmethod
    def refused(cls, view: RefusalView) -> Self:
        """As it is told."""
        return cls(
            id=view.request_id,
            status="refused",
            account_id=view.account_id,
            key_id=view.key_id,
            model=view.model,
            refused_at=format_moment(view.refused_at),
            reason=view.code,
            http_status=view.status,
        )

    @classmethod
    def admitted(cls, view: ChargeView, *, shows_channels: bool) -> Self:
        """As it is told."""
        output = cls(
            id=view.request_id,
            status="open",
            account_id=view.account_id,
            key_id=view.key_id,
            model=view.terms.model,
            group=view.terms.group,
            price_version=view.terms.price_version,
            multiplier=format_multiplier(view.terms.multiplier),
            dialect=view.dialect,
            streaming=view.streaming,
            admitted_at=format_moment(view.admitted_at),
            closed_at=None if view.closed_at is None else format_moment(view.closed_at),
            held=format_usd(view.held_nanos),
            cost=format_usd(view.cost_nanos),
            attempts=[
                AttemptOutput.of(attempt, shows_channels=shows_channels)
                for attempt in view.attempts
            ],
            adjustments=[
                AdjustmentOutput(
                    position=position, delta=format_usd(event.delta_nanos), reason=event.reason
                )
                for position, event in view.adjustments
            ],
            ttft_ms=view.ttft_ms,
            duration_ms=view.duration_ms,
            positions=list(view.positions),
        )
        if view.refund_reason is not None:
            return output.model_copy(update={"status": "refunded", "reason": view.refund_reason})
        return output.model_copy(update=_settled(view, shows_channels=shows_channels))


class ClosedRequest(Output):
    """A closed call in a list. cost = charged + adjusted; more is told of it by its id.

    `position` is that of the closing event. `prompt_tokens` include `cached_tokens`.
    """

    id: UUID
    status: Literal["settled", "refunded"]
    account_id: UUID
    key_id: UUID
    model: str
    group: str
    closed_at: Moment
    position: int
    charged: SignedAmount
    adjusted: SignedAmount
    cost: SignedAmount
    shortfall: SignedAmount
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    basis: str | None
    ending: str | None
    reason: str | None
    tries: int
    ttft_ms: int | None
    duration_ms: int
    channel_id: UUID | None = None
    upstream_model: str | None = None
    anomaly: str | None = None

    @classmethod
    def of(cls, row: RequestRow, *, shows_channels: bool) -> Self:
        """As it is told."""
        is_settled = row.status == "settled"
        return cls(
            id=row.charge_id,
            status="settled" if is_settled else "refunded",
            account_id=row.account_id,
            key_id=row.key_id,
            model=row.model,
            group=row.group_name,
            closed_at=format_moment(row.closed_at),
            position=row.position,
            charged=format_usd(row.charged_nanos),
            adjusted=format_usd(row.adjusted_nanos),
            cost=format_usd(row.charged_nanos + row.adjusted_nanos),
            shortfall=format_usd(row.shortfall_nanos),
            prompt_tokens=row.prompt_tokens,
            cached_tokens=row.cached_tokens,
            output_tokens=row.output_tokens,
            basis=row.basis,
            ending=row.ending if is_settled else None,
            reason=None if is_settled else row.ending,
            tries=row.tries,
            ttft_ms=row.ttft_ms,
            duration_ms=row.duration_ms,
            channel_id=row.channel_id if shows_channels else None,
            upstream_model=row.upstream_model if shows_channels else None,
            anomaly=(row.anomaly or None) if shows_channels else None,
        )


class ClosedRequestPage(Output):
    """Some calls; `next` is the `before` of the next page, null at the end.

    All that were closed up to `position` are known here.
    """

    requests: list[ClosedRequest]
    next: int | None
    position: int


def _settled(view: ChargeView, *, shows_channels: bool) -> dict[str, object]:
    """What the settlement adds; nothing while the call is open."""
    settlement = view.settlement
    if settlement is None:
        return {}
    settled: dict[str, object] = {
        "status": "settled",
        "charged": format_usd(settlement.charged_nanos),
        "shortfall": format_usd(settlement.shortfall_nanos),
        "basis": settlement.basis,
        "ending": settlement.ending,
        "usage": _counts(settlement.usage),
        "lines": [LineOutput.of(line) for line in settlement.lines],
    }
    if shows_channels:
        settled |= {
            "channel_id": settlement.channel_id,
            "upstream_model": settlement.upstream_model,
            "anomaly": settlement.anomaly or None,
        }
    return settled


def _counts(usage: Usage) -> dict[str, int]:
    """What was used, by class; without what was not."""
    return {kind: count for kind, count in usage.classes() if count}


def _exact_usd(micro_nanos: int) -> str:
    """A decimal string of millionths of a nanodollar: fifteen places, none lost."""
    dollars, rest = divmod(micro_nanos, 10**15)
    return f"{dollars}.{rest:015d}".rstrip("0").rstrip(".")
