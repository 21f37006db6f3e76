"""`tollgate ledger rebuild`: fold read models anew from the log; serve that, or only compare."""

import argparse
import sys

from projections.batches import LogBroken, ProjectionStopped
from projections.comparison import Difference, compare
from projections.contract import Projection
from projections.progress import Progress
from projections.rebuild import RebuildRefused, rebuild
from projections.registry import PROJECTIONS, chosen
from tollgate.commands.at_the_desk import opened
from tollgate.commands.contract import FINDINGS, OK, UsageRefused
from tollgate.commands.progress_bar import progress_bar

_DIFFERENCES_TOLD_MAX = 20


def run(arguments: argparse.Namespace) -> int:
    known = {projection.name for projection in PROJECTIONS}
    for name in arguments.names:
        if name not in known:
            told = ", ".join(sorted(known))
            raise UsageRefused(f"no read model is called {name[:60]!r}; there are {told}")
    do = _compare_one if arguments.compare else _rebuild_one
    is_all_well = True
    with opened(arguments) as installation:
        for projection in chosen(arguments.names):
            try:
                with progress_bar(projection.name, lines_elsewhere=True) as progress:
                    said = do(installation.app_dsn, projection, progress)
            except (RebuildRefused, LogBroken, ProjectionStopped) as refusal:
                print(f"{projection.name} was not rebuilt: {refusal}", file=sys.stderr)
                return FINDINGS
            for line in said.lines:
                print(line)
            is_all_well = is_all_well and said.is_well
    return OK if is_all_well else FINDINGS


class _Said:
    """What to print of one read model, and whether it is as it should be."""

    def __init__(self, *lines: str, is_well: bool = True) -> None:
        self.lines = lines
        self.is_well = is_well


def _rebuild_one(dsn: str, projection: Projection, progress: Progress) -> _Said:
    done = rebuild(dsn, projection, progress)
    return _Said(f"{projection.name}: rebuilt up to position {done.position}")


def _compare_one(dsn: str, projection: Projection, progress: Progress) -> _Said:
    differences = compare(dsn, projection, _DIFFERENCES_TOLD_MAX, progress)
    if not differences:
        return _Said(f"{projection.name}: identical")
    lines = [line for each in differences for line in _lines(each)]
    return _Said(f"{projection.name}: differs", *lines, is_well=False)


def _lines(difference: Difference) -> list[str]:
    whose = "" if difference.account_id is None else f" of account {difference.account_id}"
    since = (
        "no event of the log touches it"
        if difference.first_divergent is None
        else f"first divergent event: {difference.first_divergent}"
    )
    if difference.served is None:
        values = ["  it is not served, a replay gives it"]
    elif difference.replayed is None:
        values = ["  it is served, a replay does not give it"]
    else:
        values = [
            f"  {column.name}: served {column.served}, replayed {column.replayed}"
            for column in difference.columns
        ]
    return [f"{difference.table} {difference.key}{whose}: {since}", *values]
