"""`tollgate backup`: everything that is the truth, in one file."""

import argparse
import sys
from pathlib import Path

from tollgate.backup.dump import dump
from tollgate.commands.at_the_desk import opened
from tollgate.commands.contract import OK


def run(arguments: argparse.Namespace) -> int:
    with opened(arguments) as installation:
        written = dump(installation, Path(arguments.file))
    rows = sum(member.rows for member in written.members)
    print(f"{arguments.file}: {rows} rows, up to position {written.head} of the ledger")
    print(
        "CRYPTO_SECRET is not in it, and without it names and provider keys stay sealed: "
        "keep it elsewhere, as safe as this file"
        + (
            f" (it is in {installation.settings.data.secrets})"
            if installation.settings.crypto_secret is None
            else ""
        ),
        file=sys.stderr,
    )
    return OK
