"""`tollgate ledger rebuild`: fold read models anew from the log; serve that, or only compare.

`tollgate ledger rebuild budget`: the same of the budgets that holds are decided by. They are no
read model: appends keep them, so they are made anew only where somebody changed them by hand.
"""

import argparse
import sys
from collections.abc import Collection

from ledger.budget import rebuild_budget
from ledger.money import format_usd
from ledger.store.reader import Balance
from projections.batches import LogBroken, ProjectionStopped
from projections.comparison import Difference, compare
from projections.contract import Projection
from projections.generations import drop_retired
from projections.progress import Progress
from projections.rebuild import RebuildRefused, rebuild
from projections.registry import PROJECTIONS, chosen
from projections.storage import connect
from tollgate.commands.at_the_desk import opened
from tollgate.commands.contract import FINDINGS, OK, UsageRefused
from tollgate.commands.progress_bar import progress_bar

_DIFFERENCES_TOLD_MAX = 20
_BUDGET = "budget"


def run(arguments: argparse.Namespace) -> int:
    if _BUDGET in arguments.names:
        return _run_budget(arguments)
    known = {projection.name for projection in PROJECTIONS}
    for name in arguments.names:
        if name not in known:
            told = ", ".join(sorted({*known, _BUDGET}))
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
        if not (arguments.names or arguments.compare):
            _drop_retired(installation.app_dsn, known)
    return OK if is_all_well else FINDINGS


def _drop_retired(dsn: str, kept: Collection[str]) -> None:
    with connect(dsn) as connection:
        for name in drop_retired(connection, kept):
            print(f"{name}: no read model of this release, removed")


def _run_budget(arguments: argparse.Namespace) -> int:
    if arguments.names != [_BUDGET] or arguments.compare:
        raise UsageRefused("rebuild the budget alone; `tollgate ledger fsck` compares it")
    with opened(arguments) as installation:
        wrong = rebuild_budget(installation.owner_dsn)
    for difference in wrong:
        stored, folded = _figures(difference.stored), _figures(difference.folded)
        print(f"{difference.scope}: was {stored}, is {folded}")
    print(f"budget: {len(wrong)} of its rows were not what the log says")
    if wrong:
        print(
            "the cache in Redis says of these what it was told before, until their next event: "
            "empty it if `tollgate ledger fsck` still finds them"
        )
    return OK


def _figures(balance: Balance | None) -> str:
    if balance is None:
        return "nothing"
    return f"posted {format_usd(balance.posted_nanos)}, held {format_usd(balance.held_nanos)}"


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
