"""An account's statement as a PDF with a manifest, however long the period."""

from uuid import UUID

import msgspec

from admin_api.books.operations.books import StatementPeriod
from admin_api.books.operations.statement_files import (
    StatementShape,
    file_name,
    whole_statement,
)
from admin_api.jobs.contract import JobContext, JobKind
from ledger.export.manifest import SUFFIX, Manifest, to_bytes
from ledger.export.statement_file import CONTENT_TYPE, export_statement


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Whose statement, of what period, and what of it."""

    account_id: UUID
    asked: StatementPeriod
    shape: StatementShape = StatementShape()


class Result(msgspec.Struct, frozen=True):
    """The file's name, and what its manifest says."""

    file: str
    manifest: Manifest


def _run(job: JobContext, parameters: Parameters) -> Result:
    account_id, asked = parameters.account_id, parameters.asked
    named = job.at_desk(lambda desk: whole_statement(desk, account_id, asked, parameters.shape))
    lines = len(named.statement.lines)
    job.progress(0, lines)
    name = file_name(account_id)
    with job.write_file(name, CONTENT_TYPE) as file:
        manifest = export_statement(file, named, name)
    with job.write_file(name + SUFFIX, "application/json") as file:
        file.write(to_bytes(manifest))
    job.progress(lines, lines)
    return Result(name, manifest)


KIND = JobKind("statement", Parameters, "ledger:read", "lines", _run)
