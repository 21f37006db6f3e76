"""/requests: calls, for operators and for the key that made them."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from admin_api.access.auth import PermitOrOwn, TheDesk
from admin_api.access.permissions import Operator, Owner
from admin_api.fields.as_of_queries import AtLeast, Since, Until
from admin_api.http.strict_route import StrictRoute
from admin_api.requests.operations import (
    AskedRequests,
    RefusalView,
    find_request,
    list_requests,
)
from admin_api.requests.schemas import ClosedRequest, ClosedRequestPage, RequestOutput

router = APIRouter(route_class=StrictRoute, tags=["requests"])

Reader = Annotated[Operator | Owner, Depends(PermitOrOwn("requests:read"))]
Word = Annotated[str | None, Query(min_length=1, max_length=256)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsQuery:
    """Which calls are asked for: all the conditions given must hold."""

    account: UUID | None = None
    key: UUID | None = None
    model: Word = None
    channel: UUID | None = None
    status: Literal["settled", "refunded"] | None = None
    ending: Word = None
    since: Since = None
    until: Until = None
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None


@router.get("/requests")
async def read_requests(
    desk: TheDesk,
    caller: Reader,
    query: Annotated[RequestsQuery, Depends()],
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    at_least: AtLeast = 0,
) -> ClosedRequestPage:
    """Closed calls, the last closed first; all the conditions given must hold.

    `ending` is how a settled one ended, or why one was refunded. A page may have no requests and
    yet a `next`: where no index has what is asked for, a page looks at some thousand calls.
    """
    asked = AskedRequests(
        account_id=query.account,
        key_id=query.key,
        model=query.model,
        channel_id=query.channel,
        status=query.status,
        ending=query.ending,
        since=query.since,
        until=query.until,
        before=query.before,
    )
    owner = caller if isinstance(caller, Owner) else None
    page, position = await list_requests(desk, asked, owner, limit=limit, at_least=at_least)
    told = [ClosedRequest.of(row, shows_channels=owner is None) for row in page.requests]
    return ClosedRequestPage(requests=told, next=page.next_before, position=position)


@router.get("/requests/{request_id}")
async def read_request(
    desk: TheDesk,
    caller: Reader,
    request_id: UUID,
    at_least: Annotated[int, Query(ge=0, lt=2**63)] = 0,
) -> RequestOutput:
    """One call, as of the end of the log; `at_least`: wait until the log has that position."""
    if at_least:
        await desk.wait_for_position(at_least)
    owner = caller if isinstance(caller, Owner) else None
    found = await find_request(desk, request_id, owner)
    if isinstance(found, RefusalView):
        return RequestOutput.refused(found)
    return RequestOutput.admitted(found, shows_channels=owner is None)
