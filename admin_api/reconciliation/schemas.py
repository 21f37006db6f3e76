"""What is said of reconciliations."""

from typing import Any, Self
from uuid import UUID

import msgspec

from admin_api.fields.bodies import Moment, Output, SignedAmount
from admin_api.fields.inputs import format_moment
from projections.reconciliation.matching import Line, Outcome
from projections.reconciliation.sheet import line_as_object
from projections.reconciliation.storage import KeptReport


class CaptureOutput(Output):
    """Two sums and their ratio, ours / theirs: exact, and as a decimal with six places."""

    theirs: str
    ours: str
    ratio: str | None
    rate: str | None


class ReconciledDayOutput(Output):
    """One day in UTC. A capture is null where the export does not speak of such things."""

    day: str
    tokens: CaptureOutput | None
    requests: CaptureOutput | None
    amount: CaptureOutput | None
    recorded: SignedAmount
    estimated_requests: int
    uncosted_requests: int
    failed_attempts: int


class LeftOutput(Output):
    """Figures that are in no line."""

    tokens: str
    amount: SignedAmount


class SummaryOutput(Output):
    """What all lines come to. `differences`: theirs - ours, in USD, by outcome.

    `suggestions`: a name of theirs that may mean a model of ours; never applied by itself.
    """

    outcomes: dict[str, int]
    differences: dict[str, SignedAmount]
    tokens: CaptureOutput | None
    requests: CaptureOutput | None
    amount: CaptureOutput | None
    recorded: SignedAmount
    rounding: SignedAmount
    residue: SignedAmount
    not_compared: LeftOutput
    outside: LeftOutput
    outside_rows: int
    days: list[ReconciledDayOutput]
    suggestions: dict[str, str]
    notes: list[str]


class ReconciliationOutput(Output):
    """A report. It never changes: it is of what was recorded up to `as_of_position`.

    `digest`: the SHA-256 of the file. `channels` null: all there were. `models`: the provider's
    names of models that were taken for ours.
    """

    id: UUID
    format: str
    digest: str
    size_bytes: int
    first_day: str
    last_day: str
    channels: list[UUID] | None
    models: dict[str, str]
    tolerance_bp: int
    tolerance_usd: SignedAmount
    as_of_position: int
    as_of: Moment
    agrees: bool
    lines: int
    summary: SummaryOutput
    actor: str
    made_at: Moment

    @classmethod
    def of(cls, report: KeptReport) -> Self:
        """As it is told."""
        summary: dict[str, Any] = msgspec.to_builtins(report.summary)
        return cls(
            id=report.report_id,
            format=report.format,
            digest=report.sha256,
            size_bytes=report.size_bytes,
            first_day=report.first_day.isoformat(),
            last_day=report.last_day.isoformat(),
            channels=report.channel_ids,
            models=report.aliases,
            tolerance_bp=report.tolerance_basis_points,
            tolerance_usd=report.tolerance_text,
            as_of_position=report.as_of_position,
            as_of=format_moment(report.as_of),
            agrees=report.summary.agrees,
            lines=report.lines,
            summary=SummaryOutput(**summary),
            actor=report.actor,
            made_at=format_moment(report.made_at),
        )


class ReconciliationPage(Output):
    """Some reports, the newest first, and the `before` of the next page."""

    reconciliations: list[ReconciliationOutput]
    next: UUID | None


class ReconciledLineOutput(Output):
    """One comparison. Null: that side does not say. Differences are theirs - ours."""

    number: int
    day: str
    model: str
    their_models: list[str]
    unit: str
    outcome: Outcome
    their_units: str | None
    our_units: str | None
    difference_units: str | None
    their_amount: SignedAmount | None
    our_amount: SignedAmount | None
    difference_amount: SignedAmount | None

    @classmethod
    def of(cls, number: int, line: Line) -> Self:
        """As it is told."""
        return cls(number=number, **line_as_object(line))


class ReconciliationLinesOutput(Output):
    """A report with some of its lines, and the `after` of the next page."""

    reconciliation: ReconciliationOutput
    lines: list[ReconciledLineOutput]
    next: int | None
