"""/exports and /accounts/{id}/statement.pdf: the books as files, with what makes them provable."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from admin_api.access.auth import Permit, PermitOrOwn, TheDesk
from admin_api.access.permissions import Operator
from admin_api.accounts.operations import require_account
from admin_api.books.jobs import export, statement
from admin_api.books.operations import books
from admin_api.books.operations.exports import AskedExport, read_selection
from admin_api.books.operations.statement_files import file_name, require_past, statement_pdf
from admin_api.errors import InvalidInput
from admin_api.fields.as_of_queries import AsOfQuery, AtLeast
from admin_api.fields.bodies import Input
from admin_api.http.strict_route import StrictRoute
from admin_api.jobs.operations import start_job
from admin_api.jobs.schemas import JobAccepted, accepted
from admin_api.ledger_events.operations import wait_for_position
from admin_api.requests.operations import Owner
from ledger.export.statement_file import CONTENT_TYPE

router = APIRouter(route_class=StrictRoute, tags=["ledger"])

_EDGE = (
    "A position of the log, a day of the books or a date-time with an offset. A position and a day "
    "are included, and so is a date-time as `from`; as `to` it is not."
)
_EDGES = ["1200", "2030-01-31", "2030-01-31T12:00:00Z"]
Edge = Annotated[str | None, Field(max_length=64, description=_EDGE, examples=_EDGES)]
_DAY = "A day of the books, included; or a date-time with an offset."
From = Annotated[str | None, Query(alias="from", max_length=64, description=_DAY)]
To = Annotated[str | None, Query(alias="to", max_length=64, description=_DAY)]


class NewExport(Input):
    """What is exported. `what` may be left out: then it is what suits the format best.

    `pdf` is for people: a `statement` of the `account`. `type`: events of this type only.
    """

    format: Annotated[str, Field(max_length=20, examples=["csv", "parquet", "beancount", "pdf"])]
    what: Literal["events", "postings", "charges", "statement"] | None = None
    account: Annotated[UUID | None, Field(strict=False)] = None
    type: Annotated[str | None, Field(max_length=100)] = None
    since: Edge = Field(default=None, alias="from")
    until: Edge = Field(default=None, alias="to")


@router.post("/exports", status_code=202)
async def start_export(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("ledger:read"))],
    given: NewExport,
    response: Response,
) -> JobAccepted:
    """Begin an export; its job's files are the export itself and its manifest.

    The formats are csv, jsonl, parquet, beancount, and pdf for statements.
    """
    if given.format == "pdf" or given.what == "statement":
        return await _start_statement(desk, operator, given, response)
    asked = AskedExport(
        format=given.format,
        what=given.what,
        account_id=given.account,
        topic=given.type,
        since=given.since,
        until=given.until,
    )
    _, selection = await read_selection(desk, asked)
    parameters = export.Parameters(format=given.format, selection=selection)
    return accepted(response, await start_job(desk, export.KIND, parameters, operator.actor))


@router.get(
    "/accounts/{account_id}/statement.pdf",
    response_class=Response,
    responses={
        200: {"content": {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
    },
)
async def read_statement_pdf(  # noqa: PLR0913 - as many as the request has
    desk: TheDesk,
    caller: Annotated[Operator | Owner, Depends(PermitOrOwn("ledger:read"))],
    account_id: UUID,
    since: From = None,
    until: To = None,
    as_of: AsOfQuery = None,
    at_least: AtLeast = 0,
) -> Response:
    """A statement for people, of up to 2,000 lines; longer ones are made by `POST /exports`.

    `from` and `to` are days, both included, or moments, of which `to` is not.
    """
    books.require_own(caller, account_id)
    await wait_for_position(desk, at_least)
    asked = books.Asked(since, until, as_of)
    content, manifest = await statement_pdf(desk, account_id, asked)
    headers = {
        "content-disposition": f'attachment; filename="{file_name(account_id)}"',
        "etag": f'"{manifest.sha256}"',
    }
    return Response(content, media_type=CONTENT_TYPE, headers=headers)


async def _start_statement(
    desk: TheDesk, operator: Operator, given: NewExport, response: Response
) -> JobAccepted:
    if given.format != "pdf" or given.what not in (None, "statement"):
        raise InvalidInput("what", "a statement is a pdf, and a pdf is a statement")
    if given.account is None:
        raise InvalidInput("account", "whose statement it is must be said")
    if given.type is not None:
        raise InvalidInput("type", "a statement is of all types")
    await require_account(desk, given.account)
    asked = books.Asked(given.since, given.until)
    await require_past(desk, asked)
    parameters = statement.Parameters(account_id=given.account, asked=asked)
    return accepted(response, await start_job(desk, statement.KIND, parameters, operator.actor))
