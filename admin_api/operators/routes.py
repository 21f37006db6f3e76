"""/operators: people and programs at the desk."""

from typing import Annotated

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.http.strict_route import StrictRoute
from admin_api.operators.operations import register_operator
from admin_api.operators.schemas import NewOperatorInput, NewOperatorOutput

router = APIRouter(route_class=StrictRoute, tags=["operators"])


@router.post("/operators", status_code=201)
async def register(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("operators:write"))],
    given: NewOperatorInput,
) -> NewOperatorOutput:
    """Register an operator."""
    command = register_operator(desk, name=given.name, role=given.role, actor=operator.actor)
    new = await desk.commands.finish(command)
    return NewOperatorOutput(id=new.user_id, token=new.token)
