"""How the command line tells of an import: what is set, what is left out, and why."""

import sys

from admin_api.prices.operations.imports import Plan
from tollgate.commands.at_the_desk import print_table
from tollgate.commands.contract import FINDINGS, OK
from tollgate.commands.price.books import written_changes


def told(plan: Plan, *, is_dry_run: bool) -> int:
    """Print an import; the number to exit with: 1 if something was left out."""
    print_table(
        ("MODEL", "OUTCOME", "CHANGES"),
        (
            (each.model, each.outcome, each.message or written_changes(each.changes))
            for each in plan.models
        ),
    )
    for note in plan.notes:
        print(f"{note.option} of {note.name}: {note.message}")
    for problem in plan.problems:
        print(f"{problem.option} of {problem.name}: {problem.message}", file=sys.stderr)
    wanted = sum(each.outcome in ("added", "changed") for each in plan.models)
    print(f"{wanted} would be set" if is_dry_run else f"{len(plan.versions)} set")
    is_left_out = plan.problems or any(each.outcome == "refused" for each in plan.models)
    return FINDINGS if is_left_out else OK
