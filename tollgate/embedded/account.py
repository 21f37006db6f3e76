"""The unprivileged account that Postgres runs as when Tollgate is started by root.

Postgres refuses to run as root, and initdb needs an account with a passwd entry. A system user
`tollgate` is taken where the machine has one; `nobody` has an entry everywhere, so no account is
created and no permission of a folder that is not ours changes.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from tollgate.embedded.errors import StartRefused

_NAMES = ("tollgate", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, by number."""

    name: str
    uid: int
    gid: int


def unprivileged_account(cluster: Path) -> Account | None:
    """The account for Postgres when we are root; None when we run it as ourselves.

    A cluster that is there keeps the one that it belongs to. Raises StartRefused where the machine
    does not know any.
    """
    if os.geteuid() != 0:
        return None
    known = [account for account in map(_account, _NAMES) if account is not None]
    if not known:
        raise StartRefused(
            f"Postgres cannot run as root and this machine has no user `{_NAMES[0]}`",
            "make one, start Tollgate as an ordinary user, or set SQL_DSN to a running Postgres",
        )
    owner_uid = cluster.stat().st_uid if cluster.is_dir() else None
    return next((account for account in known if account.uid == owner_uid), known[0])


def name_of(uid: int) -> str | None:
    """The user's name; None where the machine has none for this number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def closed_folder(path: Path, account: Account) -> Path | None:
    """The outermost folder on the way to `path`, itself included, that `account` cannot enter."""
    for folder in (*reversed(path.parents), path):
        if folder.is_dir() and not _may_enter(folder.stat(), account):
            return folder
    return None


def _account(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, entry.pw_uid, entry.pw_gid)


def _may_enter(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
