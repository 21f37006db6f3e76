"""/operators: people and programs at the desk."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.fields.bodies import Input, Name, Output
from admin_api.http.strict_route import StrictRoute
from admin_api.operators.operations import register_operator
from ledger.streams.user import Role

router = APIRouter(route_class=StrictRoute, tags=["operators"])


class NewOperatorInput(Input):
    """An operator to register."""

    name: Name
    role: Role


class NewOperatorOutput(Output):
    """A new operator. This is the only time that the token is shown."""

    id: UUID
    token: str


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
