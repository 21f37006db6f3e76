"""`tollgate ledger fsck`: check everything that is stored against the log."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict

from admin_api.integrity.reasons import check_reasons
from ledger.fsck import Checked, Finding
from ledger.money import format_usd
from ledger.vault import Vault
from projections.cache.errors import CacheUnavailable
from projections.fsck import check_everything
from projections.registry import PROJECTIONS
from tollgate.commands.at_the_desk import opened
from tollgate.commands.contract import FINDINGS, OK
from tollgate.commands.progress_bar import progress_bar
from tollgate.installation import Installation


def report_faults(installation: Installation, *, has_vault: bool = True) -> int:
    """Check the books, print every fault, one a line; the number to exit with. Without its vault
    the reasons that were given are not asked for.
    """
    report = _Report(lambda finding: print(_line(finding)))
    report.check(installation, has_vault=has_vault)
    if report.cache_away is not None:
        print(f"the balances in Redis were not checked: {report.cache_away}")
    for account_id, cause in report.checked.below_zero.items():
        total = report.checked.budget.totals[account_id]
        below = format_usd(total.posted_nanos - total.held_nanos)
        print(f"note: account {account_id} is at {below} by {cause.topic} at {cause.position}")
    if report.first_bad_position is not None:
        print(f"first bad position: {report.first_bad_position}")
    print(f"{report.faults} faults" if report.faults else "the books are clean")
    return FINDINGS if report.faults else OK


class _Report:
    """What was found; `tell` is given each fault at once."""

    def __init__(self, tell: Callable[[Finding], None]) -> None:
        self._tell = tell
        self.checked = Checked()
        self.faults = 0
        self.first_bad_position: int | None = None
        self.cache_away: CacheUnavailable | None = None

    def check(self, installation: Installation, *, has_vault: bool) -> None:
        """Look at everything, with a bar on a terminal."""
        found: list[Finding] = []
        with progress_bar("checked") as progress:
            findings = check_everything(
                installation.app_dsn,
                PROJECTIONS,
                installation.redis_url,
                progress,
                self.checked,
                installation.settings.data.signer,
            )
            try:
                for finding in findings:
                    self._count(finding)
                    found.append(finding)
            except CacheUnavailable as away:
                self.cache_away = away
        if has_vault:
            for finding in check_reasons(installation.app_dsn, Vault(installation.crypto_secret)):
                self._count(finding)
                found.append(finding)
        for finding in found:
            self._tell(finding)

    def _count(self, finding: Finding) -> None:
        self.faults += 1
        position = finding.position
        if position is not None and position < (self.first_bad_position or position + 1):
            self.first_bad_position = position


def _line(finding: Finding) -> str:
    at = "" if finding.position is None else f" at position {finding.position}"
    scope = "" if finding.scope is None else f" of {finding.scope}"
    return " ".join(f"{finding.check}{at}{scope}: {finding.message}".split())


def _report_as_json(installation: Installation, *, has_vault: bool) -> int:
    findings: list[Finding] = []
    report = _Report(findings.append)
    report.check(installation, has_vault=has_vault)
    document = {
        "is_clean": not report.faults,
        "head": report.checked.head,
        "faults": report.faults,
        "first_bad_position": report.first_bad_position,
        "is_cache_checked": report.cache_away is None,
        "below_zero": [
            {"account": str(account_id), "position": cause.position, "topic": cause.topic}
            for account_id, cause in report.checked.below_zero.items()
        ],
        "findings": [asdict(finding) for finding in findings],
    }
    print(json.dumps(document, indent=1))
    return FINDINGS if report.faults else OK


def run(arguments: argparse.Namespace) -> int:
    with opened(arguments) as installation:
        report = _report_as_json if arguments.json else report_faults
        return report(installation, has_vault=not arguments.without_vault)
