"""/exports: the books as files, with what makes them provable."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.accounts.operations import require_account
from admin_api.books.jobs import export, statement
from admin_api.books.operations import books
from admin_api.books.operations.exports import AskedExport, read_selection
from admin_api.books.operations.statement_files import require_past, shape_of
from admin_api.books.schemas import NewExport
from admin_api.errors import InvalidInput
from admin_api.http.strict_route import StrictRoute
from admin_api.jobs.operations import start_job
from admin_api.jobs.schemas import JobAccepted, accepted

router = APIRouter(route_class=StrictRoute, tags=["ledger"])


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
    asked = books.StatementPeriod(given.since, given.until)
    await require_past(desk, asked)
    shape = shape_of(given.by, given.lines)
    parameters = statement.Parameters(account_id=given.account, asked=asked, shape=shape)
    return accepted(response, await start_job(desk, statement.KIND, parameters, operator.actor))
