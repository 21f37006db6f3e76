"""/adjustments: money moved by hand, when two operators agree; and reversals, the only undoing."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import Field

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.adjustments import operations
from admin_api.adjustments.operations import AdjustmentView, Wanted
from admin_api.adjustments.proposals import ProposedOutput, Words, idempotent_id
from admin_api.corrections.jobs import correction as correction_job
from admin_api.corrections.operations.corrections import check_approval
from admin_api.corrections.operations.reprices import SALE_NAME
from admin_api.desk import Desk
from admin_api.fields.as_of_queries import AtLeast
from admin_api.fields.bodies import Amount, Input, Moment, Output, SignedAmount
from admin_api.fields.inputs import format_moment
from admin_api.http.strict_route import StrictRoute
from admin_api.jobs.operations import start_job
from ledger.money import format_usd
from ledger.streams.adjustment import AdjustmentPosted, Correction, Kind, Reason, State
from ledger.streams.price import SALE
from projections.views.adjustments import AdjustmentRow

router = APIRouter(route_class=StrictRoute, tags=["adjustments"])

_ROUTE = "POST /adjustments"

Reader = Annotated[Operator, Depends(Permit("ledger:read"))]
Proposer = Annotated[Operator, Depends(Permit("adjustments:propose"))]
Approver = Annotated[Operator, Depends(Permit("adjustments:approve"))]


class NewAdjustment(Input):
    """An adjustment. `credit` gives the amount to the customer, `debit` takes it."""

    account: Annotated[UUID, Field(strict=False)]
    amount: Amount
    direction: Literal["credit", "debit"]
    code: Reason
    reason: Words


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


class LedgerAdjustment(Output):
    """One adjustment. `amount`: positive gives to the customer; "0" of a correction.

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


class AdjustmentDetails(LedgerAdjustment):
    """With the words that were written about it; `job`: what posts it, where that takes time."""

    reason: str | None
    rejection: str | None
    job: UUID | None = None


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


class AdjustedAccountPage(Output):
    """Some accounts, in the order of their ids, and the `after` of the next page."""

    accounts: list[AdjustedAccountOutput]
    next: UUID | None


@router.post("/adjustments", status_code=201)
async def propose(
    desk: TheDesk,
    operator: Proposer,
    given: NewAdjustment,
    response: Response,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> ProposedOutput:
    """Propose an adjustment; another operator must approve it before anything moves.

    The same Idempotency-Key with the same body gives the first answer. Without one a fresh key is
    made. The answer tells the key in its own Idempotency-Key header.
    """
    adjustment_id = idempotent_id(operator, _ROUTE, idempotency_key, response)
    wanted = Wanted(given.account, given.amount, given.direction, given.code, given.reason)
    command = operations.propose_adjustment(
        desk, wanted, adjustment_id=adjustment_id, actor=operator.actor
    )
    return ProposedOutput.of(await desk.commands.finish(command))


@router.post("/reversals", status_code=201)
async def propose_reversal(desk: TheDesk, operator: Proposer, given: NewReversal) -> ProposedOutput:
    """Propose to take back a credit or a posted adjustment, to the nanodollar.

    What was posted can be reversed once; so the same request gives the first answer.
    """
    command = operations.propose_reversal(
        desk, given.position, code=given.code, reason=given.reason, actor=operator.actor
    )
    return ProposedOutput.of(await desk.commands.finish(command))


@router.get("/adjustments")
async def list_adjustments(
    desk: TheDesk,
    _operator: Reader,
    state: State | None = None,
    account: UUID | None = None,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    at_least: AtLeast = 0,
) -> LedgerAdjustmentPage:
    """Adjustments, the newest first; a correction belongs to an account once it is posted."""
    rows = await operations.list_adjustments(
        desk, state=state, account_id=account, before=before, limit=limit, at_least=at_least
    )
    following = rows[-1].position if len(rows) == limit else None
    return LedgerAdjustmentPage(adjustments=[_of_row(row) for row in rows], next=following)


@router.get("/adjustments/{adjustment_id}")
async def read_adjustment(
    desk: TheDesk, _operator: Reader, adjustment_id: UUID
) -> AdjustmentDetails:
    """One adjustment, as its own events tell it."""
    return _of_view(await operations.read_adjustment(desk, adjustment_id))


@router.get("/adjustments/{adjustment_id}/accounts")
async def read_accounts(
    desk: TheDesk,
    _operator: Reader,
    adjustment_id: UUID,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> AdjustedAccountPage:
    """What an adjustment came to, account by account: many, for a correction."""
    await operations.read_adjustment(desk, adjustment_id)
    rows = await operations.list_adjusted_accounts(desk, adjustment_id, after=after, limit=limit)
    return AdjustedAccountPage(
        accounts=[
            AdjustedAccountOutput(
                account=row.account_id,
                amount=format_usd(row.amount_nanos),
                charges=row.charges,
                charged=format_usd(row.charged_nanos),
                position=row.position,
            )
            for row in rows
        ],
        next=rows[-1].account_id if len(rows) == limit else None,
    )


@router.post("/adjustments/{adjustment_id}/approve")
async def approve(desk: TheDesk, operator: Approver, adjustment_id: UUID) -> AdjustmentDetails:
    """Approve an adjustment: it is posted at once. Never one's own: 409 `four_eyes`.

    A correction is posted by a job, named in the answer. Approving one that was interrupted goes
    on with it.
    """
    if await check_approval(desk, adjustment_id, actor=operator.actor):
        return await _start_correction(desk, operator, adjustment_id)
    command = operations.approve(desk, adjustment_id, actor=operator.actor)
    return _of_view(await desk.commands.finish(command))


@router.post("/adjustments/{adjustment_id}/reject")
async def reject(
    desk: TheDesk, operator: Approver, adjustment_id: UUID, given: Rejection
) -> AdjustmentDetails:
    """Reject an adjustment, or take back one's own proposal."""
    command = operations.reject(desk, adjustment_id, reason=given.reason, actor=operator.actor)
    return _of_view(await desk.commands.finish(command))


async def _start_correction(
    desk: Desk, operator: Operator, adjustment_id: UUID
) -> AdjustmentDetails:
    view = await operations.read_adjustment(desk, adjustment_id)
    if view.state.state == "posted":
        return _of_view(view)
    parameters = correction_job.Parameters(adjustment=adjustment_id)
    job_id = await start_job(desk, correction_job.KIND, parameters, operator.actor)
    return _of_view(view).model_copy(update={"job": job_id})


def _of_row(row: AdjustmentRow) -> LedgerAdjustment:
    correction = None
    if row.correction is not None:
        stored = msgspec.json.decode(row.correction, type=Correction)
        correction = _correction(stored, row.charges, row.posted_accounts, row.charged_nanos)
    fields: dict[str, Any] = {
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
        "correction": correction,
    }
    return LedgerAdjustment(**fields)


def _of_view(view: AdjustmentView) -> AdjustmentDetails:
    proposed = view.state.proposed
    assert proposed is not None
    decision, last = view.decided, view.posted[-1] if view.posted else None
    reverses = proposed.reverses
    return AdjustmentDetails(
        id=view.adjustment_id,
        kind=proposed.kind,
        state=view.state.state,
        account=proposed.account_id,
        amount=format_usd(proposed.amount_nanos),
        code=proposed.reason,
        reverses=None if reverses is None else reverses.stream_id,
        reversed_position=None if reverses is None else reverses.position,
        proposed_by=proposed.actor,
        proposed_at=format_moment(view.proposed.recorded_at),
        position=view.proposed.position,
        decided_by=None if decision is None else decision.event.actor,  # type: ignore[attr-defined]
        decided_at=None if decision is None else format_moment(decision.recorded_at),
        decided_position=None if decision is None else decision.position,
        posted_at=None if last is None else format_moment(last.recorded_at),
        posted_position=None if last is None else last.position,
        correction=_correction_of(view),
        reason=view.reason,
        rejection=view.rejection,
    )


def _correction_of(view: AdjustmentView) -> CorrectionOutput | None:
    proposed = view.state.proposed
    if proposed is None or proposed.correction is None:
        return None
    posted = [one.event for one in view.posted if isinstance(one.event, AdjustmentPosted)]
    return _correction(
        proposed.correction,
        sum(event.charges for event in posted),
        len(posted),
        sum(event.charged_nanos for event in posted),
    )


def _correction(
    correction: Correction, charges: int, accounts: int, charged_nanos: int
) -> CorrectionOutput:
    question, before = correction.question, correction.before_nanos
    alternative = question.alternative
    moment = alternative.moment_us
    return CorrectionOutput(
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
        posted_charges=charges,
        posted_accounts=accounts,
        posted_difference=format_usd(charged_nanos),
    )
