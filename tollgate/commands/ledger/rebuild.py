"""`tollgate ledger rebuild`: fold read models anew from the log, and serve the result."""

import argparse
import sys
from collections.abc import Sequence

from projections.batches import LogBroken, ProjectionStopped
from projections.contract import Projection
from projections.rebuild import RebuildRefused, rebuild
from projections.registry import PROJECTIONS
from tollgate.commands.at_the_desk import opened
from tollgate.commands.contract import DATA_DIR, FINDINGS, OK, Action, UsageRefused, argument


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


ACTION = Action(
    "rebuild",
    "fold read models anew from the log",
    _rebuild,
    (argument("names", nargs="*", metavar="NAME", help="default: all of them"), DATA_DIR),
)
