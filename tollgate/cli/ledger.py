"""`tollgate ledger`: check the books, rebuild what is folded from them, ask for a balance."""

import argparse
import sys
from collections.abc import Sequence

from projections.batches import LogBroken, ProjectionStopped
from projections.contract import Projection
from projections.rebuild import RebuildRefused, compare, rebuild
from projections.registry import PROJECTIONS
from tollgate.cli.account import ACCOUNT, print_balance
from tollgate.cli.at_the_desk import opened
from tollgate.cli.contract import (
    DATA_DIR,
    FINDINGS,
    OK,
    Action,
    Group,
    UsageRefused,
    argument,
)
from tollgate.installation import Installation


def report_faults(installation: Installation) -> int:
    """Check the books, print every fault, one a line; the number to exit with."""
    faults = 0
    for projection in PROJECTIONS:
        try:
            differences = compare(installation.app_dsn, projection)
        except (LogBroken, ProjectionStopped) as broken:
            print(f"projection {projection.name}: {broken}")
            faults += 1
            continue
        for difference in differences:
            print(
                f"projection {projection.name}: {difference.table} {difference.key} is "
                f"{difference.served}, and the log says {difference.replayed}"
            )
        faults += len(differences)
    print(f"{faults} faults" if faults else "the books are clean")
    return FINDINGS if faults else OK


def _fsck(arguments: argparse.Namespace) -> int:
    with opened(arguments) as installation:
        return report_faults(installation)


def _rebuild(arguments: argparse.Namespace) -> int:
    chosen = _chosen(arguments.names)
    with opened(arguments) as installation:
        for projection in chosen:
            try:
                done = rebuild(installation.app_dsn, projection)
            except (RebuildRefused, LogBroken, ProjectionStopped) as refusal:
                print(f"{projection.name} was not rebuilt: {refusal}", file=sys.stderr)
                return FINDINGS
            print(f"{projection.name}: rebuilt up to position {done.position}")
    return OK


def _chosen(names: Sequence[str]) -> list[Projection]:
    known = {projection.name: projection for projection in PROJECTIONS}
    for name in names:
        if name not in known:
            raise UsageRefused(f"no read model is called {name!r}; there are {', '.join(known)}")
    return [known[name] for name in names] or list(PROJECTIONS)


COMMAND = Group(
    "ledger",
    "check and rebuild, while the server runs or not",
    (
        Action("fsck", "check everything against the log", _fsck, (DATA_DIR,)),
        Action(
            "rebuild",
            "fold read models anew from the log",
            _rebuild,
            (argument("names", nargs="*", metavar="NAME", help="default: all of them"), DATA_DIR),
        ),
        Action("balance", "what an account has", print_balance, (ACCOUNT, DATA_DIR)),
    ),
)
