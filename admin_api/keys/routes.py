"""/accounts/{id}/keys and /keys/{id}: API keys, shown once."""

from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.fields.bodies import (
    Amount,
    GroupName,
    Input,
    ModelName,
    Moment,
    Name,
    Output,
    SignedAmount,
)
from admin_api.fields.inputs import LIST_MAX, format_moment
from admin_api.http.strict_route import StrictRoute
from admin_api.keys import operations
from admin_api.keys.operations import KeyView, TermsInput
from ledger.money import format_usd

router = APIRouter(route_class=StrictRoute, tags=["keys"])

Writer = Annotated[Operator, Depends(Permit("keys:write"))]


class Terms(Input):
    """What a key may do; null or absent: no restriction of that kind.

    `names_channels`: sent as `<key>-<channel id>`, it is that channel that is asked, and no other.
    """

    limit: Amount | None = None
    expires_at: Moment | None = None
    models: Annotated[list[ModelName], Field(min_length=1, max_length=LIST_MAX)] | None = None
    allowed_ips: Annotated[list[str], Field(min_length=1, max_length=LIST_MAX)] | None = None
    group: GroupName | None = None
    names_channels: bool = False


class NewKey(Terms):
    """A key to issue."""

    name: Name


class KeyChange(Terms):
    """Changes to a key: what is absent stays, null lifts a restriction."""

    name: Name | None = None


class IssuedKeyOutput(Output):
    """A new key. This is the only time that it is shown."""

    id: UUID
    key: str


class KeyOutput(Output):
    """A key. `used` is what its limit is compared with: charged and held."""

    id: UUID
    account_id: UUID
    name: str | None
    prefix: str
    last_four: str
    limit: SignedAmount | None
    used: SignedAmount
    expires_at: Moment | None
    models: list[str] | None
    allowed_ips: list[str] | None
    group: str | None
    names_channels: bool
    status: Literal["active", "revoked"]


class KeyList(Output):
    """An account's keys, oldest first."""

    keys: list[KeyOutput]


@router.post("/accounts/{account_id}/keys", status_code=201)
async def issue_key(
    desk: TheDesk, operator: Writer, account_id: UUID, given: NewKey
) -> IssuedKeyOutput:
    """Issue a key."""
    command = operations.issue_key(
        desk, account_id, name=given.name, terms=_terms(given), actor=operator.actor
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
    return KeyList(keys=[_output(view) for view in await operations.list_keys(desk, account_id)])


@router.patch("/keys/{key_id}")
async def change_key(desk: TheDesk, operator: Writer, key_id: UUID, given: KeyChange) -> KeyOutput:
    """Change a key's name or terms."""
    command = operations.change_key(
        desk, key_id, name=given.name, terms=_terms(given), actor=operator.actor
    )
    return _output(await desk.commands.finish(command))


@router.delete("/keys/{key_id}", status_code=204)
async def revoke_key(desk: TheDesk, operator: Writer, key_id: UUID) -> None:
    """Revoke a key for ever."""
    await desk.commands.finish(operations.revoke_key(desk, key_id, actor=operator.actor))


def _terms(given: Terms) -> TermsInput:
    return cast("TermsInput", given.model_dump(exclude_unset=True, exclude={"name"}))


def _output(view: KeyView) -> KeyOutput:
    issued, terms = view.state.issued, view.state.terms
    assert issued is not None
    limit_nanos, expires_at_us = terms.limit_nanos, terms.expires_at_us
    return KeyOutput(
        id=view.key_id,
        account_id=issued.account_id,
        name=view.name,
        prefix=issued.prefix,
        last_four=issued.last_four,
        limit=None if limit_nanos is None else format_usd(limit_nanos),
        used=format_usd(view.used_nanos),
        expires_at=None if expires_at_us is None else format_moment(expires_at_us),
        models=None if terms.models is None else list(terms.models),
        allowed_ips=None if terms.allowed_ips is None else list(terms.allowed_ips),
        group=terms.group,
        names_channels=terms.names_channels,
        status="revoked" if view.state.is_revoked else "active",
    )
