"""/reconciliations: a provider's export against what was recorded, line by line."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.errors import InvalidInput
from admin_api.fields.bodies import AMOUNT_PATTERN
from admin_api.http.envelope import BodySizes
from admin_api.http.strict_route import StrictRoute
from admin_api.reconciliation import operations
from admin_api.reconciliation.operations import BASIS_POINTS_MAX, Comparison
from admin_api.reconciliation.schemas import (
    ReconciledLineOutput,
    ReconciliationLinesOutput,
    ReconciliationOutput,
    ReconciliationPage,
)
from projections.reconciliation.matching import Line, Outcome
from projections.reconciliation.registry import FORMATS
from projections.reconciliation.sheet import HEADER, line_as_csv, line_as_object

router = APIRouter(route_class=StrictRoute, tags=["reconciliation"])

_DAY = "A day in UTC, included."
_FILE_MAX_BYTES = 4_000_000
LARGER_BODIES: BodySizes = {("POST", "/reconciliations"): _FILE_MAX_BYTES}
_FILE = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The export, as the provider gave it.",
        "content": {
            "application/octet-stream": _FILE,
            "text/csv": _FILE,
            "application/json": _FILE,
        },
    }
}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report as a file.",
        "content": {"text/csv": {"schema": {"type": "string"}}, "application/json": {}},
    }
}

Reader = Annotated[Operator, Depends(Permit("ledger:read"))]
FormatName = Annotated[
    str, Query(description="One of " + ", ".join(FORMATS) + ".", max_length=40, alias="format")
]


@router.post(
    "/reconciliations",
    status_code=201,
    openapi_extra=_BODY,
    responses={200: {"model": ReconciliationOutput, "description": "This was answered before."}},
)
async def reconcile(  # noqa: PLR0913 - the question has many parts
    request: Request,
    response: Response,
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("reconciliation:write"))],
    format_: FormatName,
    mapping: Annotated[
        str | None, Query(max_length=20_000, description="JSON: names of models; columns.")
    ] = None,
    channels: Annotated[
        str | None, Query(max_length=40_000, description="Ids, separated by commas.")
    ] = None,
    provider_type: Annotated[
        str | None, Query(max_length=64, description="All channels of this type.")
    ] = None,
    since: Annotated[str | None, Query(alias="from", max_length=10, description=_DAY)] = None,
    until: Annotated[str | None, Query(alias="to", max_length=10, description=_DAY)] = None,
    tolerance_bp: Annotated[
        int, Query(ge=0, le=BASIS_POINTS_MAX, description="Basis points of their figure.")
    ] = 0,
    tolerance_usd: Annotated[
        str, Query(pattern=AMOUNT_PATTERN, description="Beside them, for amounts.")
    ] = "0",
) -> ReconciliationOutput:
    """Compare a file with what was recorded on its days. The same question on the same figures

    has the same answer: it is given again, with status 200.
    """
    asked = Comparison(
        format=format_,
        mapping=mapping,
        channel_ids=_ids(channels),
        provider_type=provider_type,
        since=since,
        until=until,
        tolerance_basis_points=tolerance_bp,
        tolerance_usd=tolerance_usd,
        bytes_max=_FILE_MAX_BYTES,
    )
    content = await request.body()
    command = operations.reconcile_file(desk, content, asked, actor=operator.actor)
    given = await desk.commands.finish(command)
    response.status_code = 201 if given.is_new else 200
    response.headers["location"] = f"/api/v1/reconciliations/{given.report.report_id}"
    return ReconciliationOutput.of(given.report)


@router.get("/reconciliations")
async def list_all(
    desk: TheDesk,
    _operator: Reader,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ReconciliationPage:
    """Every report that was given, the newest first."""
    found, following = await operations.list_reconciliations(desk, before=before, limit=limit)
    return ReconciliationPage(
        reconciliations=[ReconciliationOutput.of(each) for each in found], next=following
    )


@router.get("/reconciliations/{reconciliation_id}")
async def read_one(
    desk: TheDesk,
    _operator: Reader,
    reconciliation_id: UUID,
    outcome: Outcome | None = None,
    after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> ReconciliationLinesOutput:
    """A report and its lines, all or of one outcome."""
    report = await operations.find_reconciliation(desk, reconciliation_id)
    page = await operations.lines_of(
        desk, reconciliation_id, outcome=outcome, after=after, limit=limit
    )
    return ReconciliationLinesOutput(
        reconciliation=ReconciliationOutput.of(report),
        lines=[ReconciledLineOutput.of(number, line) for number, line in page.lines],
        next=page.next_after,
    )


@router.get(
    "/reconciliations/{reconciliation_id}/export", response_class=Response, responses=_FILES
)
async def export(
    desk: TheDesk,
    _operator: Reader,
    reconciliation_id: UUID,
    format_: Annotated[Literal["csv", "json"], Query(alias="format")] = "csv",
) -> Response:
    """The whole report: its lines as CSV, or everything as JSON."""
    report = await operations.find_reconciliation(desk, reconciliation_id)
    lines = operations.every_line(desk, reconciliation_id)
    name = f'attachment; filename="reconciliation-{reconciliation_id}.{format_}"'
    headers = {"content-disposition": name}
    if format_ == "csv":
        return StreamingResponse(_csv(lines), media_type="text/csv", headers=headers)
    content = _json(ReconciliationOutput.of(report), lines)
    return StreamingResponse(content, media_type="application/json", headers=headers)


async def _csv(lines: AsyncIterator[Line]) -> AsyncIterator[str]:
    yield HEADER
    async for line in lines:
        yield line_as_csv(line)


async def _json(report: ReconciliationOutput, lines: AsyncIterator[Line]) -> AsyncIterator[bytes]:
    yield b'{"reconciliation":' + report.model_dump_json().encode() + b',"lines":['
    separator = b"\n"
    async for line in lines:
        yield separator + msgspec.json.encode(line_as_object(line))
        separator = b",\n"
    yield b"\n]}\n"


def _ids(text: str | None) -> tuple[UUID, ...]:
    if text is None:
        return ()
    try:
        return tuple(UUID(each.strip()) for each in text.split(","))
    except ValueError as error:
        raise InvalidInput("channels", "must be ids separated by commas") from error
