"""/accounts/{id}/keys and /keys/{id}: API keys, shown once."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.http.strict_route import StrictRoute
from admin_api.keys import operations
from admin_api.keys.schemas import IssuedKeyOutput, KeyChange, KeyList, KeyOutput, NewKey

router = APIRouter(route_class=StrictRoute, tags=["keys"])

Writer = Annotated[Operator, Depends(Permit("keys:write"))]


@router.post("/accounts/{account_id}/keys", status_code=201)
async def issue_key(
    desk: TheDesk, operator: Writer, account_id: UUID, given: NewKey
) -> IssuedKeyOutput:
    """Issue a key."""
    command = operations.issue_key(
        desk, account_id, name=given.name, terms=given.terms(), actor=operator.actor
    )
    issued = await desk.commands.finish(command)
    return IssuedKeyOutput(id=issued.key_id, key=issued.secret)


@router.get("/accounts/{account_id}/keys")
async def list_keys(
    desk: TheDesk,
    _operator: Annotated[Operator, Depends(Permit("accounts:read"))],
    account_id: UUID,
) -> KeyList:
    """An account's keys, revoked ones included."""
    return KeyList(
        keys=[KeyOutput.of(view) for view in await operations.list_keys(desk, account_id)]
    )


@router.patch("/keys/{key_id}")
async def change_key(desk: TheDesk, operator: Writer, key_id: UUID, given: KeyChange) -> KeyOutput:
    """Change a key's name or terms."""
    command = operations.change_key(
        desk, key_id, name=given.name, terms=given.terms(), actor=operator.actor
    )
    return KeyOutput.of(await desk.commands.finish(command))


@router.delete("/keys/{key_id}", status_code=204)
async def revoke_key(desk: TheDesk, operator: Writer, key_id: UUID) -> None:
    """Revoke a key for ever."""
    await desk.commands.finish(operations.revoke_key(desk, key_id, actor=operator.actor))
