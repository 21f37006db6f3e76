"""`tollgate ledger`: check the books, rebuild what is folded from them, ask for a balance."""

import argparse
import sys
from collections.abc import Sequence

from ledger.fsck import Finding
from projections.batches import LogBroken, ProjectionStopped
from projections.cache.errors import CacheUnavailable
from projections.contract import Projection
from projections.fsck import check_everything
from projections.rebuild import RebuildRefused, rebuild
from projections.registry import PROJECTIONS
from tollgate.commands.account import ACCOUNT, print_balance
from tollgate.commands.at_the_desk import opened
from tollgate.commands.contract import (
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
    try:
        for finding in check_everything(installation.app_dsn, PROJECTIONS, installation.redis_url):
            faults += 1
            print(_line(finding))
    except CacheUnavailable as away:
        print(f"the balances in Redis were not checked: {away}")
    print(f"{faults} faults" if faults else "the books are clean")
    return FINDINGS if faults else OK


def _line(finding: Finding) -> str:
    at = "" if finding.position is None else f" at position {finding.position}"
    scope = "" if finding.scope is None else f" of {finding.scope}"
    return " ".join(f"{finding.check}{at}{scope}: {finding.message}".split())


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
