"""`tollgate ledger export`: the log, or a part of it, as a file with a manifest."""

import argparse
import sys
from pathlib import Path

from admin_api.books.operations.exports import AskedExport, read_selection
from admin_api.desk import Desk
from ledger.errors import InvalidSelection
from ledger.export.files import export_to_file
from ledger.export.formats.contract import Format
from ledger.export.manifest import Manifest, ManifestBroken, manifest_path, verify_manifest
from ledger.export.selection import Selection
from tollgate.commands.at_the_desk import identifier, opened
from tollgate.commands.contract import FINDINGS, OK, UsageRefused
from tollgate.commands.out_file import writing_to
from tollgate.commands.progress_bar import progress_bar
from tollgate.installation import at_desk


def run(arguments: argparse.Namespace) -> int:
    if arguments.check is not None:
        return _check(Path(arguments.check))
    if arguments.format is None or arguments.out is None:
        raise UsageRefused("give --format and --out, or --check with a file made earlier")
    path = Path(arguments.out)
    try:
        with writing_to(path):
            manifest = _write(arguments, _asked(arguments), path)
    except InvalidSelection as refusal:
        raise UsageRefused(str(refusal)) from refusal
    print(
        f"{path}: {manifest.rows} rows of {manifest.events} events, as of position "
        f"{manifest.as_of_position}; {manifest_path(path).name} tells what it is"
    )
    return OK


def _asked(arguments: argparse.Namespace) -> AskedExport:
    return AskedExport(
        format=arguments.format,
        what=arguments.what,
        account_id=None if arguments.account is None else identifier(arguments.account),
        topic=arguments.type,
        since=arguments.since,
        until=arguments.until,
    )


def _write(arguments: argparse.Namespace, asked: AskedExport, path: Path) -> Manifest:
    async def work(desk: Desk) -> tuple[Format, Selection]:
        return await read_selection(desk, asked)

    with opened(arguments) as installation:
        file_format, selection = at_desk(installation, work)
        with progress_bar("exported", lines_elsewhere=True) as progress:
            return export_to_file(
                installation.app_dsn,
                selection,
                file_format,
                path,
                progress,
                is_replacing=arguments.force,
            )


def _check(path: Path) -> int:
    try:
        faults = verify_manifest(path)
    except ManifestBroken as broken:
        faults = [str(broken)]
    except OSError as refusal:
        raise UsageRefused(f"{path} cannot be read ({refusal.strerror})") from refusal
    for fault in faults:
        print(f"{path}: {fault}", file=sys.stderr)
    if not faults:
        print(f"{path} is what was exported")
    return FINDINGS if faults else OK
