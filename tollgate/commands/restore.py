"""`tollgate restore`: a backup into an empty installation."""

import argparse
from pathlib import Path

from tollgate.backup.load import RestoreRefused, read_manifest, restore
from tollgate.commands.at_the_desk import ACTOR, opened
from tollgate.commands.contract import OK, UsageRefused
from tollgate.commands.ledger.fsck import report_faults


def run(arguments: argparse.Namespace) -> int:
    file = Path(arguments.file)
    try:
        read_manifest(file)  # before a server is started for it
        with opened(arguments, may_create=True) as installation:
            is_vault_needed = not arguments.without_vault
            said = restore(installation, file, actor=ACTOR, is_vault_needed=is_vault_needed)
            rows = sum(member.rows for member in said.members)
            print(f"{file}: restored {rows} rows, up to position {said.head} of the ledger")
            has_vault = not arguments.without_vault
            return report_faults(installation, has_vault=has_vault) if said.head else OK
    except RestoreRefused as refusal:
        raise UsageRefused(f"{file} was not restored, nothing was changed: {refusal}") from refusal
