"""What is said of the books, and what may be wanted of them."""

from datetime import date
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field

from admin_api.fields.as_of_queries import AsOfOutput, Edge
from admin_api.fields.bodies import Input, Moment, Output, SignedAmount
from admin_api.fields.inputs import format_moment
from ledger.export.statement_file import NamedStatement
from ledger.money import format_usd
from ledger.statement import BalanceAt, Standing, Statement, StatementLine
from ledger.statement_summary import By, SummaryRow
from projections.books.profit import Profit, ProfitReport
from projections.books.trial_balance import LedgerTotal


class BalanceAtOutput(Output):
    """available = posted - held. `position`: the account's last event until then, 0 for none."""

    position: int
    recorded_at: Moment | None
    posted: SignedAmount
    held: SignedAmount
    available: SignedAmount
    open_charges: int

    @classmethod
    def of(cls, balance: BalanceAt) -> Self:
        """As it is told."""
        standing, at = balance.standing, balance.recorded_at
        return cls(
            position=balance.position,
            recorded_at=None if at is None else format_moment(at),
            posted=format_usd(standing.posted_nanos),
            held=format_usd(standing.held_nanos),
            available=format_usd(standing.available_nanos),
            open_charges=standing.open_charges,
        )


class StatementTotals(Output):
    """What happened in the period: opening + credited - charged + adjusted = closing, posted."""

    credited: SignedAmount
    charged: SignedAmount
    adjusted: SignedAmount
    credits: int
    charges: int
    adjustments: int

    @classmethod
    def of(cls, moved: Standing) -> Self:
        """As it is told."""
        return cls(
            credited=format_usd(moved.credited_nanos),
            charged=format_usd(moved.charged_nanos),
            adjusted=format_usd(moved.adjusted_nanos),
            credits=moved.credits,
            charges=moved.charges,
            adjustments=moved.adjustments,
        )


class StatementLineOutput(Output):
    """`amount`: positive for the customer. `balance`: posted, after it. `detail` is a code."""

    position: int
    recorded_at: Moment
    kind: Literal["credit", "charge", "adjustment"]
    amount: SignedAmount
    balance: SignedAmount
    reference: UUID
    detail: str
    model: str | None
    key_id: UUID | None

    @classmethod
    def of(cls, line: StatementLine) -> Self:
        """As it is told."""
        return cls(
            position=line.position,
            recorded_at=format_moment(line.recorded_at),
            kind=line.kind,
            amount=format_usd(line.amount_nanos),
            balance=format_usd(line.balance_nanos),
            reference=line.reference,
            detail=line.detail,
            model=line.model or None,
            key_id=line.key_id,
        )


class StatementOutput(Output):
    """`since` counts, `until` does not; null: the beginning, the end. All but `lines` is of the
    whole period; `next` is the `after` of the next page, null with the last line.
    """

    account_id: UUID
    since: Moment | None
    until: Moment | None
    as_of: AsOfOutput
    opening: BalanceAtOutput
    closing: BalanceAtOutput
    totals: StatementTotals
    lines: list[StatementLineOutput]
    next: int | None

    @classmethod
    def of(cls, page: Statement, as_of: AsOfOutput) -> Self:
        """As it is told."""
        return cls(
            account_id=page.account_id,
            since=None if page.since is None else format_moment(page.since),
            until=None if page.until is None else format_moment(page.until),
            as_of=as_of,
            opening=BalanceAtOutput.of(page.opening),
            closing=BalanceAtOutput.of(page.closing),
            totals=StatementTotals.of(page.moved),
            lines=[StatementLineOutput.of(line) for line in page.lines],
            next=page.next_after,
        )


class SummaryRowOutput(Output):
    """What the lines of a day, a model or a key come to; `label` is null for those that have none.

    `balance`: posted after the day; null by model or key.
    """

    label: str | None
    change: SignedAmount
    totals: StatementTotals
    balance: SignedAmount | None

    @classmethod
    def of(cls, row: SummaryRow) -> Self:
        """As it is told."""
        return cls(
            label=row.label or None,
            change=format_usd(row.moved.posted_nanos),
            totals=StatementTotals.of(row.moved),
            balance=None if row.balance_nanos is None else format_usd(row.balance_nanos),
        )


class StatementSummaryOutput(Output):
    """A statement without its lines: the rows lead from opening to closing as they do."""

    account_id: UUID
    since: Moment | None
    until: Moment | None
    opening: BalanceAtOutput
    closing: BalanceAtOutput
    totals: StatementTotals
    as_of_position: int
    by: By
    rows: list[SummaryRowOutput]

    @classmethod
    def of(cls, named: NamedStatement) -> Self:
        """As it is told."""
        whole, summary = named.statement, named.summary
        assert summary is not None
        return cls(
            account_id=whole.account_id,
            since=None if whole.since is None else format_moment(whole.since),
            until=None if whole.until is None else format_moment(whole.until),
            opening=BalanceAtOutput.of(whole.opening),
            closing=BalanceAtOutput.of(whole.closing),
            totals=StatementTotals.of(whole.moved),
            as_of_position=whole.as_of,
            by=summary.by,
            rows=[SummaryRowOutput.of(row) for row in summary.rows()],
        )


class LedgerTotalOutput(Output):
    """What was posted to one ledger account: net = credits - debits."""

    account: str
    debits: SignedAmount
    credits: SignedAmount
    net: SignedAmount
    postings: int

    @classmethod
    def of(cls, total: LedgerTotal) -> Self:
        """As it is told."""
        return cls(
            account=total.account,
            debits=format_usd(total.debits_nanos),
            credits=format_usd(total.credits_nanos),
            net=format_usd(total.net_nanos),
            postings=total.postings,
        )


class TrialBalanceOutput(Output):
    """Every ledger account, by name; the sum of `net` is zero, or there would be no answer."""

    as_of: AsOfOutput
    accounts: list[LedgerTotalOutput]


class JournalDayOutput(Output):
    """What a day posted: the events after `after`, up to and including `until`."""

    day: date
    after: int
    until: int
    accounts: list[LedgerTotalOutput]


class JournalOutput(Output):
    """The days that were asked for. The newest may still grow: the log ended at `head`."""

    days: list[JournalDayOutput]
    head: int


class ProfitSums(Output):
    """revenue = charged + adjusted; profit = revenue - cost.

    Calls beyond `costed_calls` had no known cost, so the profit is at most this.
    """

    calls: int
    costed_calls: int
    adjustments: int
    charged: SignedAmount
    adjusted: SignedAmount
    revenue: SignedAmount
    cost: SignedAmount
    profit: SignedAmount
    shortfall: SignedAmount


class ProfitLineOutput(ProfitSums):
    """One channel, model or account, on one day if `daily`.

    `name` is null for corrections of calls that nobody answered, and for those by early releases.
    """

    day: date | None
    name: str | None


class ProfitOutput(Output):
    """Everything up to `position` is counted."""

    lines: list[ProfitLineOutput]
    total: ProfitSums
    position: int

    @classmethod
    def of(cls, report: ProfitReport) -> Self:
        """As it is told."""
        lines = [
            ProfitLineOutput(day=line.day, name=line.name, **_sums(line.profit))
            for line in report.lines
        ]
        return cls(lines=lines, total=ProfitSums(**_sums(report.total)), position=report.position)


def _sums(profit: Profit) -> dict[str, Any]:
    return {
        "calls": profit.calls,
        "costed_calls": profit.costed_calls,
        "adjustments": profit.adjustments,
        "charged": format_usd(profit.charged_nanos),
        "adjusted": format_usd(profit.adjusted_nanos),
        "revenue": format_usd(profit.revenue_nanos),
        "cost": format_usd(profit.cost_nanos),
        "profit": format_usd(profit.profit_nanos),
        "shortfall": format_usd(profit.shortfall_nanos),
    }


class NewExport(Input):
    """What is exported. `what` may be left out: then it is what suits the format best.

    `pdf` is for people: a `statement` of the `account`, with `by` its summary, with `lines` as well
    its lines. `type`: events of this type only.
    """

    format: Annotated[str, Field(max_length=20, examples=["csv", "parquet", "beancount", "pdf"])]
    what: Literal["events", "postings", "charges", "statement"] | None = None
    account: Annotated[UUID | None, Field(strict=False)] = None
    type: Annotated[str | None, Field(max_length=100)] = None
    since: Edge = Field(default=None, alias="from")
    until: Edge = Field(default=None, alias="to")
    by: By | None = None
    lines: bool | None = None


class NewRebuild(Input):
    """Which read models, without any: all of them; and whether only to compare."""

    projections: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list)
    compare_only: bool = False
