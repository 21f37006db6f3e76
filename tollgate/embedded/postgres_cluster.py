"""The database cluster on disk: made once, whole or not at all, and recognised afterwards."""

import os
import shutil
import subprocess
from pathlib import Path

from tollgate.embedded import postgres_binaries
from tollgate.embedded.account import Account, name_of
from tollgate.embedded.data_directory import DataDirectory, sync_folder
from tollgate.embedded.errors import StartRefused
from tollgate.embedded.processes import ENVIRONMENT

OWNER = "tollgate_owner"


def ensure(directory: DataDirectory, programs: Path, account: Account | None) -> None:
    """Make the cluster where there is none; check that an existing one is ours to run.

    It is made in a sibling folder and renamed, so that `PG_VERSION` in the final place means that
    initdb had finished; what an interrupted one left is thrown away.
    Raises StartRefused for another major version, another owner, a damaged folder, a user without
    a name or a failure of initdb.
    """
    if directory.postgres.is_dir() and any(directory.postgres.iterdir()):
        _check(directory.postgres, account)
        return
    if account is None and name_of(os.geteuid()) is None:
        raise StartRefused(
            f"initdb needs a name for the user with the number {os.geteuid()}, and this machine "
            "has none",
            "run as a user that /etc/passwd names (in a container, one of its image), or set "
            "SQL_DSN to a running Postgres",
        )
    draft = directory.root / "postgres.unfinished"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if account is not None:
            os.chown(draft, account.uid, account.gid)
        _initialise(draft, programs, account)
        draft.rename(directory.postgres)
        sync_folder(directory.root)
    except OSError as refusal:
        raise StartRefused(
            f"the database folder {directory.postgres} cannot be made ({refusal.strerror})",
            "make room for it and start as the user who owns the data directory",
        ) from refusal


def _check(cluster: Path, account: Account | None) -> None:
    marker = cluster / "PG_VERSION"
    if not marker.exists():
        raise StartRefused(
            f"{cluster} holds files but no PG_VERSION, so it is not a whole database",
            "restore it from a backup, or move it away to begin with an empty ledger",
        )
    found, ours = marker.read_text().strip(), str(postgres_binaries.major_version())
    if found != ours:
        raise StartRefused(
            f"{cluster} was written by Postgres {found} and this release runs Postgres {ours}",
            "dump it with the release that wrote it, move the folder away, start this release "
            "and restore the dump",
        )
    owner_uid = cluster.stat().st_uid
    uid = os.geteuid() if account is None else account.uid
    if owner_uid != uid:
        raise StartRefused(
            f"{cluster} belongs to the user with the number {owner_uid} and Postgres would run "
            f"as the user with the number {uid}",
            f"start Tollgate as the user it was made by, or run `chown -R {uid} {cluster}`",
        )


def _initialise(draft: Path, programs: Path, account: Account | None) -> None:
    # The builtin C.UTF-8 orders by code point and never changes, unlike a C library's locale,
    # whose upgrade can silently break indexes.
    outcome = subprocess.run(
        [
            str(programs / "initdb"),
            f"--pgdata={draft}",
            f"--username={OWNER}",
            "--auth-local=peer",
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
            "--no-instructions",
        ],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=ENVIRONMENT,
        start_new_session=True,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )
    if outcome.returncode != 0:
        raise StartRefused(
            f"initdb failed: {outcome.stdout.decode(errors='replace')[-1000:]}",
            "repair what it names and start again",
        )
