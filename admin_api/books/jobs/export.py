"""Exports a part of the log as a file with a manifest, see ledger/export."""

import msgspec

from admin_api.jobs.contract import JobContext, JobKind
from ledger.export.formats.registry import find_format
from ledger.export.manifest import SUFFIX, Manifest, to_bytes
from ledger.export.selection import Selection
from ledger.export.writing import export


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What is exported, and as what."""

    format: str
    selection: Selection


class Result(msgspec.Struct, frozen=True):
    """The file's name, and what its manifest says."""

    file: str
    manifest: Manifest


def _run(job: JobContext, parameters: Parameters) -> Result:
    file_format, selection = find_format(parameters.format), parameters.selection
    of_account = "" if selection.account_id is None else f"-{selection.account_id}"
    name = f"tollgate-{selection.what}{of_account}.{file_format.suffix}"
    with job.write_file(name, file_format.content_type) as file:
        manifest = export(job.dsn, selection, file_format, file, name, job.progress)
    with job.write_file(name + SUFFIX, "application/json") as file:
        file.write(to_bytes(manifest))
    return Result(name, manifest)


KIND = JobKind("export", Parameters, "ledger:read", "events", _run)
