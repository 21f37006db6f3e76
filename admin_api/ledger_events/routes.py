"""/ledger/events: the log itself, for whoever replays it."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.fields.inputs import format_moment
from admin_api.http.strict_route import StrictRoute
from admin_api.ledger_events.operations import LIMIT_MAX, EventFilter, EventPage, list_events
from admin_api.ledger_events.schemas import EventPageOutput

router = APIRouter(route_class=StrictRoute, tags=["ledger"])


@router.get("/ledger/events", response_model=EventPageOutput)
async def read_events(
    desk: TheDesk,
    _operator: Annotated[Operator, Depends(Permit("ledger:read"))],
    account: UUID | None = None,
    stream: UUID | None = None,
    type: Annotated[str | None, Query(max_length=100)] = None,  # noqa: A002 - the parameter's name
    after: Annotated[int, Query(ge=0, lt=2**63 - 2**32)] = 0,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100,
) -> Response:
    """Events in the order they were stored; all the conditions given must hold."""
    wanted = EventFilter(account, stream, type, after, limit)
    page = await list_events(desk, wanted)
    return Response(msgspec.json.encode(_page(page)), media_type="application/json")


def _page(page: EventPage) -> dict[str, Any]:
    events = [
        {
            "position": row.position,
            "stream": str(row.stream_id),
            "version": row.version,
            "type": row.topic,
            "recorded_at": format_moment(row.recorded_at),
            "data": msgspec.Raw(row.state),
        }
        for row in page.events
    ]
    return {"events": events, "head": page.head, "next": page.next_after}
