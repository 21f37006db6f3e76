"""/audit: who did what, when and why."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.audit.operations import AskedActs, list_acts
from admin_api.audit.schemas import ActOutput, ActPage
from admin_api.fields.as_of_queries import AtLeast, Since, Until
from admin_api.http.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["audit"])

Word = Annotated[str | None, Query(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActsQuery:
    """Which acts are asked for: all the conditions given must hold."""

    actor: Word = None
    stream: UUID | None = None
    account: UUID | None = None
    type: Word = None
    since: Since = None
    until: Until = None
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None


@router.get("/audit")
async def read_acts(
    desk: TheDesk,
    _operator: Annotated[Operator, Depends(Permit("ledger:read"))],
    query: Annotated[ActsQuery, Depends()],
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    at_least: AtLeast = 0,
) -> ActPage:
    """Acts, the newest first; all the conditions given must hold.

    `actor` as acts name it, `operator:` and an id; `stream` is what it was done to; `type` is that
    of the event, as /ledger/events tells it.
    """
    asked = AskedActs(
        actor=query.actor,
        stream_id=query.stream,
        account_id=query.account,
        topic=query.type,
        since=query.since,
        until=query.until,
        before=query.before,
    )
    acts, position = await list_acts(desk, asked, limit=limit, at_least=at_least)
    following = acts[-1].row.position if len(acts) == limit else None
    return ActPage(acts=[ActOutput.of(act) for act in acts], next=following, position=position)
