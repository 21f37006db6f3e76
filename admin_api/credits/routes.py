"""/accounts/{id}/credits: money in, once per Idempotency-Key."""

import uuid
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.credits.operations import Idempotency, NewCredit, grant_credit
from admin_api.credits.schemas import CreditOutput, NewCreditInput
from admin_api.fields import inputs
from admin_api.http.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["accounts"])

_ROUTE = "POST /accounts/{id}/credits"


@router.post("/accounts/{account_id}/credits", status_code=201)
async def grant(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("credits:write"))],
    account_id: UUID,
    given: NewCreditInput,
    response: Response,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> CreditOutput:
    """Credit an account. The same Idempotency-Key with the same body gives the first answer.

    What takes the credits that one operator gives an account alone on one day of the books above
    the setting `credits.alone_up_to` is proposed: 202, and nothing moves before another operator
    has approved the adjustment that is named. Without a key a fresh one is made.
    The answer tells the key in its own Idempotency-Key header.
    """
    key = str(uuid.uuid4()) if idempotency_key is None else inputs.idempotency_key(idempotency_key)
    response.headers["idempotency-key"] = key
    command = grant_credit(
        desk,
        account_id,
        NewCredit(given.amount, given.reason, given.source, given.method, given.reference),
        idempotency=Idempotency(operator.actor, _ROUTE, key),
        actor=operator.actor,
    )
    credited = await desk.commands.finish(command)
    if credited.adjustment_id is not None:
        response.status_code = 202
    return CreditOutput(position=credited.position, adjustment=credited.adjustment_id)
