"""/usage: what calls took and what they cost, for operators and for the key that made them."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from admin_api.access.auth import PermitOrOwn, TheDesk
from admin_api.access.permissions import Operator, Owner
from admin_api.fields.as_of_queries import AtLeast, FromDay, ToDay
from admin_api.http.strict_route import StrictRoute
from admin_api.usage import operations
from admin_api.usage.operations import AskedUsage, Per
from admin_api.usage.schemas import UsageOutput

router = APIRouter(route_class=StrictRoute, tags=["usage"])

Word = Annotated[str | None, Query(min_length=1, max_length=256)]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """Whose usage is asked for: all the conditions given must hold."""

    account: UUID | None = None
    key: UUID | None = None
    model: Word = None
    channel: UUID | None = None
    group: Word = None
    since: FromDay = None
    until: ToDay = None


@router.get("/usage")
async def read_usage(
    desk: TheDesk,
    caller: Annotated[Operator | Owner, Depends(PermitOrOwn("requests:read"))],
    query: Annotated[UsageQuery, Depends()],
    per: Per = "day",
    by: Annotated[
        str | None,
        Query(
            max_length=64,
            description="Some of account, key, model, channel and group, with commas between.",
            examples=["account,model"],
        ),
    ] = None,
    at_least: AtLeast = 0,
) -> UsageOutput:
    """Requests, tokens and money of some days; the last 31 of the log unless others are named.

    A call counts when it was closed, a correction when it was made. 100 days at most, but for the
    total.
    """
    asked = AskedUsage(
        per=per,
        by=by.split(",") if by else (),
        account_id=query.account,
        key_id=query.key,
        model=query.model,
        channel_id=query.channel,
        group=query.group,
        since=query.since,
        until=query.until,
    )
    owner = caller if isinstance(caller, Owner) else None
    report = await operations.usage(desk, asked, owner, at_least=at_least)
    return UsageOutput.of(report, shows_costs=owner is None)
