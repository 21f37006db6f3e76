"""/operators: people and programs at the desk."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.fields.bodies import Because
from admin_api.http.strict_route import StrictRoute
from admin_api.operators import operations
from admin_api.operators.schemas import (
    FreshToken,
    NewOperatorInput,
    NewOperatorOutput,
    OperatorChange,
    OperatorList,
    OperatorOutput,
)

router = APIRouter(route_class=StrictRoute, tags=["operators"])

Reader = Annotated[Operator, Depends(Permit("operators:read"))]
Writer = Annotated[Operator, Depends(Permit("operators:write"))]


@router.post("/operators", status_code=201)
async def register(desk: TheDesk, operator: Writer, given: NewOperatorInput) -> NewOperatorOutput:
    """Register an operator."""
    command = operations.register_operator(
        desk, name=given.name, role=given.role, actor=operator.actor
    )
    new = await desk.commands.finish(command)
    return NewOperatorOutput(id=new.user_id, token=new.token)


@router.get("/operators")
async def list_operators(desk: TheDesk, _operator: Reader) -> OperatorList:
    """Every operator."""
    views = await operations.list_operators(desk)
    return OperatorList(operators=[OperatorOutput.of(view) for view in views])


@router.get("/operators/{operator_id}")
async def read_operator(desk: TheDesk, _operator: Reader, operator_id: UUID) -> OperatorOutput:
    """One operator."""
    return OperatorOutput.of(await operations.read_operator(desk, operator_id))


@router.patch("/operators/{operator_id}")
async def change_operator(
    desk: TheDesk, operator: Writer, operator_id: UUID, given: OperatorChange
) -> OperatorOutput:
    """Change an operator's name or role."""
    changing = operations.change_operator(
        desk,
        operator_id,
        name=given.name,
        role=given.role,
        actor=operator.actor,
        reason=given.reason or "",
    )
    return OperatorOutput.of(await desk.commands.finish(changing))


@router.post("/operators/{operator_id}/disable")
async def disable_operator(
    desk: TheDesk, operator: Writer, operator_id: UUID, given: Because
) -> OperatorOutput:
    """Let nothing be done in an operator's name."""
    command = operations.disable_operator(
        desk, operator_id, actor=operator.actor, reason=given.reason or ""
    )
    return OperatorOutput.of(await desk.commands.finish(command))


@router.post("/operators/{operator_id}/enable")
async def enable_operator(
    desk: TheDesk, operator: Writer, operator_id: UUID, given: Because
) -> OperatorOutput:
    """Let an operator act again."""
    command = operations.enable_operator(
        desk, operator_id, actor=operator.actor, reason=given.reason or ""
    )
    return OperatorOutput.of(await desk.commands.finish(command))


@router.post("/operators/{operator_id}/erase")
async def erase_operator(
    desk: TheDesk, operator: Writer, operator_id: UUID, given: Because
) -> OperatorOutput:
    """Make what is personal of an operator unreadable, for good."""
    command = operations.erase_operator(
        desk, operator_id, actor=operator.actor, reason=given.reason or ""
    )
    return OperatorOutput.of(await desk.commands.finish(command))


@router.post("/operators/{operator_id}/token")
async def reset_token(desk: TheDesk, operator: Writer, operator_id: UUID) -> FreshToken:
    """Give an operator a new token; all earlier ones stop working."""
    command = operations.reset_token(desk, operator_id, actor=operator.actor)
    return FreshToken(token=await desk.commands.finish(command))
