"""`tollgate ledger checkpoint`: seal the log now, or show its newest checkpoint."""

import argparse
from pathlib import Path

from admin_api.desk import Desk
from admin_api.integrity.operations import read_checkpoint
from ledger.export.files import new_file
from ledger.integrity.sealing import Sealer
from ledger.integrity.signing import NearestSigner
from tollgate.commands.at_the_desk import ACTOR, opened
from tollgate.commands.contract import OK
from tollgate.commands.out_file import writing_to
from tollgate.embedded.data_directory import DataDirectory
from tollgate.installation import at_desk


def sealer_of(desk: Desk, data: DataDirectory) -> Sealer:
    """A sealer with the signer of this node, whether or not it runs right now."""
    signer = NearestSigner(data.signer_socket, data.signer)
    return Sealer(desk.pool, desk.ledger, signer, ACTOR)


def put(text: str, out: str | None, *, is_replacing: bool) -> None:
    """Print a text, or write it into a file. Raises UsageRefused."""
    if out is None:
        print(text, end="")
        return
    path = Path(out)
    with writing_to(path), new_file(path, is_replacing=is_replacing) as file:
        file.write(text.encode())


def run(arguments: argparse.Namespace) -> int:
    with opened(arguments) as installation:

        async def work(desk: Desk) -> str:
            if not arguments.show:
                await sealer_of(desk, installation.settings.data).seal()
            return await read_checkpoint(desk)

        note = at_desk(installation, work)
    put(note, arguments.out, is_replacing=arguments.force)
    return OK
