"""/adjustments: money moved by hand, when two operators agree; and reversals, the only undoing."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.adjustments import operations
from admin_api.adjustments.operations import Wanted
from admin_api.adjustments.proposals import ProposedOutput, idempotent_id
from admin_api.adjustments.schemas import (
    AdjustedAccountOutput,
    AdjustedAccountPage,
    AdjustmentDetails,
    LedgerAdjustment,
    LedgerAdjustmentPage,
    NewAdjustment,
    NewReversal,
    Rejection,
)
from admin_api.corrections.jobs import correction as correction_job
from admin_api.corrections.operations.corrections import check_approval
from admin_api.desk import Desk
from admin_api.fields.as_of_queries import AtLeast
from admin_api.http.strict_route import StrictRoute
from admin_api.jobs.operations import start_job
from ledger.streams.adjustment import State

router = APIRouter(route_class=StrictRoute, tags=["adjustments"])

_ROUTE = "POST /adjustments"

Reader = Annotated[Operator, Depends(Permit("ledger:read"))]
Proposer = Annotated[Operator, Depends(Permit("adjustments:propose"))]
Approver = Annotated[Operator, Depends(Permit("adjustments:approve"))]


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
    wanted = Wanted(
        given.account, given.amount, given.direction, given.code, given.reason, given.method
    )
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
    told = [LedgerAdjustment.of(row) for row in rows]
    return LedgerAdjustmentPage(adjustments=told, next=following)


@router.get("/adjustments/{adjustment_id}")
async def read_adjustment(
    desk: TheDesk, _operator: Reader, adjustment_id: UUID
) -> AdjustmentDetails:
    """One adjustment, as its own events tell it."""
    return AdjustmentDetails.with_words(await operations.read_adjustment(desk, adjustment_id))


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
        accounts=[AdjustedAccountOutput.of(row) for row in rows],
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
    return AdjustmentDetails.with_words(await desk.commands.finish(command))


@router.post("/adjustments/{adjustment_id}/reject")
async def reject(
    desk: TheDesk, operator: Approver, adjustment_id: UUID, given: Rejection
) -> AdjustmentDetails:
    """Reject an adjustment, or take back one's own proposal."""
    command = operations.reject(desk, adjustment_id, reason=given.reason, actor=operator.actor)
    return AdjustmentDetails.with_words(await desk.commands.finish(command))


async def _start_correction(
    desk: Desk, operator: Operator, adjustment_id: UUID
) -> AdjustmentDetails:
    view = await operations.read_adjustment(desk, adjustment_id)
    if view.state.state == "posted":
        return AdjustmentDetails.with_words(view)
    parameters = correction_job.Parameters(adjustment=adjustment_id)
    job_id = await start_job(desk, correction_job.KIND, parameters, operator.actor)
    return AdjustmentDetails.with_words(view).model_copy(update={"job": job_id})
