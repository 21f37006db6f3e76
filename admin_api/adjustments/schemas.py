"""What is said of adjustments, and what is wanted of them."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

import msgspec
from pydantic import Field

from admin_api.adjustments.operations import AdjustmentView
from admin_api.adjustments.proposals import Words
from admin_api.corrections.operations.reprices import SALE_NAME
from admin_api.fields.bodies import Amount, Input, Moment, Output, SignedAmount
from admin_api.fields.inputs import format_moment
from ledger.money import format_usd
from ledger.streams.adjustment import Correction, Kind, Reason, State
from ledger.streams.price import SALE
from projections.views.adjustments import AdjustedAccountRow, AdjustmentRow


class NewAdjustment(Input):
    """An adjustment. `credit` gives the amount to the customer, `debit` takes it.

    method: of a refund or a dispute, the payment method by which the money goes back, `manual`
    where nothing is said. Goodwill comes from promotions.
    """

    account: Annotated[UUID, Field(strict=False)]
    amount: Amount
    direction: Literal["credit", "debit"]
    code: Reason
    reason: Words
    method: str | None = None


class NewReversal(Input):
    """What is to be reversed: the position of a credit, or of the posting of an adjustment."""

    position: Annotated[int, Field(ge=1, lt=2**63)]
    code: Reason
    reason: Words


class Rejection(Input):
    """Why it will not be done."""

    reason: Words


class CorrectionOutput(Output):
    """What a correction was proposed to do, and what has been posted; amounts in USD.

    `book` null: the prices that were charged; `sale`: what customers pay. `digest`: over every
    charge and its difference.
    """

    book: str | None
    prices_as_of: Moment | None
    models_priced: list[str]
    groups_changed: list[str]
    first: int
    last: int
    as_of: int
    accounts_asked: list[UUID]
    models_asked: list[str]
    direction: Literal["both", "customer"]
    charges: int
    accounts: int
    before: SignedAmount
    difference: SignedAmount
    after: SignedAmount
    digest: str
    posted_charges: int
    posted_accounts: int
    posted_difference: SignedAmount

    @classmethod
    def of(cls, row: AdjustmentRow) -> Self | None:
        """As it is told; None for an adjustment that is no correction."""
        if row.correction is None:
            return None
        correction = msgspec.json.decode(row.correction, type=Correction)
        question, before = correction.question, correction.before_nanos
        alternative = question.alternative
        moment = alternative.moment_us
        return cls(
            book=SALE_NAME if alternative.book == SALE else alternative.book,
            prices_as_of=None if moment is None else format_moment(moment),
            models_priced=sorted(alternative.prices),
            groups_changed=sorted(alternative.multipliers),
            first=question.first,
            last=question.last,
            as_of=question.as_of,
            accounts_asked=list(question.accounts),
            models_asked=list(question.models),
            direction=correction.direction,
            charges=correction.charges,
            accounts=correction.accounts,
            before=format_usd(before),
            difference=format_usd(correction.delta_nanos),
            after=format_usd(before + correction.delta_nanos),
            digest=correction.digest,
            posted_charges=row.charges,
            posted_accounts=row.posted_accounts,
            posted_difference=format_usd(row.charged_nanos),
        )


class LedgerAdjustment(Output):
    """One adjustment. `amount`: positive gives to the customer, or to all those of a correction.

    state: proposed, approved (a correction that is being posted), posted or rejected.
    """

    id: UUID
    kind: Kind
    state: State
    account: UUID | None
    amount: SignedAmount
    code: Reason
    reverses: UUID | None
    reversed_position: int | None
    proposed_by: str
    proposed_at: Moment
    position: int
    decided_by: str | None
    decided_at: Moment | None
    decided_position: int | None
    posted_at: Moment | None
    posted_position: int | None
    correction: CorrectionOutput | None

    @classmethod
    def of(cls, row: AdjustmentRow) -> Self:
        """As it is told."""
        return cls(**_told(row))


class AdjustmentDetails(LedgerAdjustment):
    """With the words that were written about it; `job`: what posts it, where that takes time."""

    reason: str | None
    rejection: str | None
    job: UUID | None = None

    @classmethod
    def with_words(cls, view: AdjustmentView) -> Self:
        """As it is told."""
        return cls(**_told(view.row), reason=view.reason, rejection=view.rejection)


class LedgerAdjustmentPage(Output):
    """Some adjustments, the newest first, and the `before` of the next page; null at the end."""

    adjustments: list[LedgerAdjustment]
    next: int | None


class AdjustedAccountOutput(Output):
    """What an adjustment is, or came to, for one account; `position` null: not posted yet."""

    account: UUID
    amount: SignedAmount
    charges: int
    charged: SignedAmount
    position: int | None

    @classmethod
    def of(cls, row: AdjustedAccountRow) -> Self:
        """As it is told."""
        return cls(
            account=row.account_id,
            amount=format_usd(row.amount_nanos),
            charges=row.charges,
            charged=format_usd(row.charged_nanos),
            position=row.position,
        )


class AdjustedAccountPage(Output):
    """Some accounts, in the order of their ids, and the `after` of the next page."""

    accounts: list[AdjustedAccountOutput]
    next: UUID | None


def _told(row: AdjustmentRow) -> dict[str, Any]:
    return {
        "id": row.adjustment_id,
        "kind": row.kind,
        "state": row.state,
        "account": row.account_id,
        "amount": format_usd(row.amount_nanos),
        "code": row.reason,
        "reverses": row.reverses,
        "reversed_position": row.reversed_position,
        "proposed_by": row.proposer,
        "proposed_at": format_moment(row.proposed_at),
        "position": row.position,
        "decided_by": row.decider,
        "decided_at": None if row.decided_at is None else format_moment(row.decided_at),
        "decided_position": row.decided_position,
        "posted_at": None if row.posted_at is None else format_moment(row.posted_at),
        "posted_position": row.posted_position,
        "correction": CorrectionOutput.of(row),
    }
