"""/accounts/{id}/statement, and as a PDF: how a balance came about. Amounts are exact, in USD."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from admin_api.access.auth import PermitOrOwn, TheDesk
from admin_api.access.permissions import Operator, Owner, require_own
from admin_api.books.operations import books
from admin_api.books.operations.statement_files import (
    file_name,
    shape_of,
    statement_pdf,
    summary_of,
)
from admin_api.books.schemas import StatementOutput, StatementSummaryOutput
from admin_api.fields.as_of_queries import AsOfQuery, AtLeast, as_of_output
from admin_api.http.strict_route import StrictRoute
from ledger.export.statement_file import CONTENT_TYPE
from ledger.statement_summary import By

router = APIRouter(route_class=StrictRoute, tags=["ledger"])

ReaderOrOwn = Annotated[Operator | Owner, Depends(PermitOrOwn("ledger:read"))]
_EDGE = "A day of the books, or a date-time with an offset."
_EDGES = ["2030-01-31", "2030-01-31T12:00:00Z"]
From = Annotated[str | None, Query(alias="from", max_length=64, description=_EDGE, examples=_EDGES)]
To = Annotated[str | None, Query(alias="to", max_length=64, description=_EDGE, examples=_EDGES)]
_PDF_EDGE = "A day of the books, included; or a date-time with an offset."
PdfFrom = Annotated[str | None, Query(alias="from", max_length=64, description=_PDF_EDGE)]
PdfTo = Annotated[str | None, Query(alias="to", max_length=64, description=_PDF_EDGE)]


@router.get("/accounts/{account_id}/statement")
async def read_statement(  # noqa: PLR0913 - as many as the request has
    desk: TheDesk,
    caller: ReaderOrOwn,
    account_id: UUID,
    since: From = None,
    until: To = None,
    as_of: AsOfQuery = None,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    at_least: AtLeast = 0,
) -> StatementOutput:
    """How the balance got from opening to closing: credits, charges and adjustments, one by one.

    `from` and `to` are days, both included, or moments, of which `to` is not.
    """
    require_own(caller, account_id)
    await desk.wait_for_position(at_least)
    asked = books.StatementPeriod(since, until, as_of)
    page, resolved = await books.statement(desk, account_id, asked, after=after, limit=limit)
    return StatementOutput.of(page, as_of_output(resolved))


@router.get("/accounts/{account_id}/statement/summary")
async def read_statement_summary(  # noqa: PLR0913 - as many as the request has
    desk: TheDesk,
    caller: ReaderOrOwn,
    account_id: UUID,
    by: Annotated[By, Query(description="What its lines are summed by.")],
    since: From = None,
    until: To = None,
    as_of: AsOfQuery = None,
    at_least: AtLeast = 0,
) -> StatementSummaryOutput:
    """What a statement's lines, up to 20,000 of them, come to by day, model or key.

    `from` and `to` are days, both included, or moments, of which `to` is not.
    """
    require_own(caller, account_id)
    await desk.wait_for_position(at_least)
    asked = books.StatementPeriod(since, until, as_of)
    return StatementSummaryOutput.of(await summary_of(desk, account_id, asked, by))


@router.get(
    "/accounts/{account_id}/statement.pdf",
    response_class=Response,
    responses={
        200: {"content": {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
    },
)
async def read_statement_pdf(  # noqa: PLR0913 - as many as the request has
    desk: TheDesk,
    caller: ReaderOrOwn,
    account_id: UUID,
    since: PdfFrom = None,
    until: PdfTo = None,
    as_of: AsOfQuery = None,
    by: Annotated[By | None, Query(description="A summary in place of the lines.")] = None,
    lines: Annotated[bool | None, Query(description="The lines beside the summary.")] = None,
    at_least: AtLeast = 0,
) -> Response:
    """A statement for people, of up to 2,000 lines, as a summary of up to 20,000; longer ones are
    made by `POST /exports`. As of the same position it is the same to the byte.

    `from` and `to` are days, both included, or moments, of which `to` is not.
    """
    require_own(caller, account_id)
    await desk.wait_for_position(at_least)
    asked = books.StatementPeriod(since, until, as_of)
    shape = shape_of(by, lines)
    content, manifest = await statement_pdf(desk, account_id, asked, shape)
    headers = {
        "content-disposition": f'attachment; filename="{file_name(account_id)}"',
        "etag": f'"{manifest.sha256}"',
    }
    return Response(content, media_type=CONTENT_TYPE, headers=headers)
