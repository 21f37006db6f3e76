"""`tollgate ledger fsck`: check everything that is stored against the log."""

import argparse

from ledger.fsck import Finding
from projections.cache.errors import CacheUnavailable
from projections.fsck import check_everything
from projections.registry import PROJECTIONS
from tollgate.commands.at_the_desk import opened
from tollgate.commands.contract import DATA_DIR, FINDINGS, OK, Action
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


ACTION = Action("fsck", "check everything against the log", _fsck, (DATA_DIR,))
