"""`tollgate ledger export`: the log, or a part of it, as a file with a manifest."""

import argparse
import sys
from pathlib import Path

from admin_api.books.operations.exports import AskedExport, read_selection
from admin_api.desk import Desk
from ledger.errors import InvalidSelection
from ledger.export.files import export_to_file
from ledger.export.formats.contract import Format
from ledger.export.formats.registry import FORMATS
from ledger.export.manifest import Manifest, ManifestBroken, manifest_path, verify_manifest
from ledger.export.selection import Selection
from ledger.export.tables import TABLES
from tollgate.commands.at_the_desk import identifier, opened
from tollgate.commands.contract import DATA_DIR, FINDINGS, OK, Action, UsageRefused, argument
from tollgate.commands.out_file import FORCE, writing_to
from tollgate.commands.progress_bar import progress_bar
from tollgate.installation import at_desk


def _export(arguments: argparse.Namespace) -> int:
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


COMMAND = Action(
    "export",
    "the log, or a part of it, as a file with a manifest",
    _export,
    (
        argument("--format", choices=tuple(FORMATS), help="of the file"),
        argument("--out", metavar="FILE", help="where to; its manifest is FILE.manifest.json"),
        argument("--what", choices=tuple(TABLES), help="default: what the format is best for"),
        argument("--account", metavar="ID", help="events of this account only"),
        argument("--type", metavar="TYPE", help="events of this type only"),
        argument(
            "--from",
            dest="since",
            metavar="T|P",
            help="from this position, day or moment on: 1200, 2030-01-31, 2030-01-31T12:00:00Z",
        ),
        argument(
            "--to",
            dest="until",
            metavar="T|P",
            help="up to this position, to the end of this day, or until before this moment",
        ),
        FORCE,
        argument("--check", metavar="FILE", help="is it what was exported? needs no server"),
        DATA_DIR,
    ),
)
