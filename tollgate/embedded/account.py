"""The unprivileged account that Postgres runs as when Tollgate is started by root.

Postgres refuses to run as root, and initdb needs an account with a passwd entry. `nobody` has one
on every system, so no account is created and no permission of a folder that is not ours changes.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from tollgate.embedded.errors import StartRefused

_NAME = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, by number."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """The account for Postgres when we are root; None when we run it as ourselves.

    Raises StartRefused where the machine does not know the account.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_NAME)
    except KeyError as missing:
        raise StartRefused(
            f"Postgres cannot run as root and this machine has no user `{_NAME}`",
            "start Tollgate as an ordinary user, or set SQL_DSN to a running Postgres",
        ) from missing
    return Account(_NAME, entry.pw_uid, entry.pw_gid)


def closed_folder(path: Path, account: Account) -> Path | None:
    """The outermost folder on the way to `path`, itself included, that `account` cannot enter."""
    for folder in (*reversed(path.parents), path):
        if folder.is_dir() and not _may_enter(folder.stat(), account):
            return folder
    return None


def _may_enter(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
