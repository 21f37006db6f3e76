"""How the command line tells of an import: what is set, what is left out, and why."""

import sys

from admin_api.prices.operations.imports import Plan
from tollgate.commands.at_the_desk import print_table
from tollgate.commands.contract import FINDINGS, OK
from tollgate.commands.price.books import written_changes


def told(plan: Plan, *, is_dry_run: bool) -> int:
    """Print an import, and how much was left out; the number to exit with: 1 if all of it was."""
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
    left_out = len(plan.problems) + sum(each.outcome == "refused" for each in plan.models)
    beside = f", {left_out} left out, as told above" if left_out else ""
    print((f"{wanted} would be set" if is_dry_run else f"{len(plan.versions)} set") + beside)
    is_all_left_out = all(each.outcome == "refused" for each in plan.models)
    return FINDINGS if left_out and is_all_left_out else OK
