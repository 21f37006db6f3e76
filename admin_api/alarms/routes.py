"""/alarms: what of the log somebody should look at; /metrics: how many, for Prometheus."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import PlainTextResponse

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.alarms import operations
from admin_api.alarms.operations import AskedAlarms
from admin_api.alarms.schemas import AlarmOutput, AlarmPage, as_metrics
from admin_api.fields.as_of_queries import AtLeast, Since, Until
from admin_api.http.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["alarms"])

Reader = Annotated[Operator, Depends(Permit("ledger:read"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmsQuery:
    """Which alarms are asked for: all the conditions given must hold."""

    kind: Annotated[str | None, Query(min_length=1, max_length=64)] = None
    since: Since = None
    until: Until = None
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None


@router.get("/alarms")
async def read_alarms(
    desk: TheDesk,
    _operator: Reader,
    query: Annotated[AlarmsQuery, Depends()],
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    at_least: AtLeast = 0,
) -> AlarmPage:
    """Alarms, the newest first; all the conditions given must hold.

    An event may be several alarms, and those are told together: a page may have a few more than
    `limit`.
    """
    asked = AskedAlarms(kind=query.kind, since=query.since, until=query.until, before=query.before)
    rows, position = await operations.list_alarms(desk, asked, limit=limit, at_least=at_least)
    following = rows[-1].position if len(rows) >= limit else None
    told = [AlarmOutput.of(row) for row in rows]
    return AlarmPage(alarms=told, next=following, position=position)


@router.get("/metrics", response_class=PlainTextResponse)
async def read_metrics(desk: TheDesk, _operator: Reader) -> PlainTextResponse:
    """How many alarms there ever were, by kind, in Prometheus' text format.

    Of the whole ledger, not of one process: one scrape of any node tells it.
    """
    return PlainTextResponse(as_metrics(await operations.list_totals(desk)))
