"""/ledger/reprices: what calls would have cost; /corrections: and make it so."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.adjustments.proposals import ProposedOutput, idempotent_id
from admin_api.corrections.jobs import reprice
from admin_api.corrections.operations.corrections import proposal_of, propose_correction
from admin_api.corrections.operations.reprices import AskedReprice, read_question
from admin_api.corrections.schemas import NewCorrection, NewReprice
from admin_api.http.strict_route import StrictRoute
from admin_api.jobs.operations import find_job, start_job
from admin_api.jobs.schemas import JobAccepted, accepted

router = APIRouter(route_class=StrictRoute, tags=["adjustments"])

_ROUTE = "POST /corrections"


@router.post("/ledger/reprices", status_code=202)
async def start_reprice(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("ledger:read"))],
    given: NewReprice,
    response: Response,
) -> JobAccepted:
    """Begin a what-if; nothing is written. The result of its job is the answer."""
    asked = AskedReprice(
        book=given.book,
        prices_as_of=given.as_of,
        prices={model: tried.price() for model, tried in given.prices.items()},
        multipliers=given.multipliers,
        since=given.since,
        until=given.until,
        accounts=given.accounts,
        models=given.models,
    )
    parameters = reprice.Parameters(question=await read_question(desk, asked))
    return accepted(response, await start_job(desk, reprice.KIND, parameters, operator.actor))


@router.post("/corrections", status_code=201)
async def propose(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("adjustments:propose"))],
    given: NewCorrection,
    response: Response,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> ProposedOutput:
    """Propose a correction: an adjustment, which another operator approves and a job posts.

    The Idempotency-Key is as for adjustments.
    """
    correction = proposal_of(await find_job(desk, given.job), given.direction)
    command = propose_correction(
        desk,
        correction,
        code=given.code,
        reason=given.reason,
        adjustment_id=idempotent_id(operator, _ROUTE, idempotency_key, response),
        actor=operator.actor,
    )
    return ProposedOutput.of(await desk.commands.finish(command))
