"""The doctor's look at the machine: the data directory, its sockets, its secrets, its disk."""

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from tollgate.doctor.postgres_checks import Finding
from tollgate.embedded.account import unprivileged_account
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.errors import StartRefused
from tollgate.embedded.postgres import EmbeddedPostgres
from tollgate.embedded.valkey import EmbeddedValkey
from tollgate.processes import child_processes
from tollgate.server import open_files
from tollgate.settings import Settings

_FREE_PERCENT_MIN = 10
_FREE_BYTES_MIN = 1 << 30


def examine_machine(settings: Settings) -> Iterator[Finding]:
    """What is wrong before any server is asked. Creates and changes nothing."""
    data = settings.data
    if not data.root.exists():
        yield Finding(
            f"there is no installation in {data.root}",
            "start one with `tollgate serve`, or name another folder with --data-dir",
        )
        return
    if not os.access(data.root, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            f"the data directory {data.root} cannot be read and written by this user",
            "run as the user who owns it",
        )
        return
    yield from _paths(settings)
    yield from _secrets(data)
    yield from _disk(data.root)
    yield from _open_files(data)
    yield from _processes(settings)


def _paths(settings: Settings) -> Iterator[Finding]:
    try:
        for path in (settings.data.sql / ".s.PGSQL.5432", settings.data.run / "valkey.sock"):
            settings.data.socket(path)
        account = unprivileged_account(settings.data.postgres) if settings.sql_dsn is None else None
        if account is not None:
            settings.data.require_entry_for(account)
    except StartRefused as refusal:
        yield Finding(refusal.message, refusal.remedy)


def _secrets(data: DataDirectory) -> Iterator[Finding]:
    if not data.secrets.is_dir():
        return
    for path in (data.secrets, *sorted(data.secrets.iterdir())):
        if path.stat().st_mode & 0o077:
            mode = "700" if path.is_dir() else "600"
            yield Finding(f"{path} is open to other users", f"run `chmod {mode} {path}`")
        if path.is_file() and path.stat().st_size == 0:
            yield Finding(f"the secret {path} is empty", "restore it from where you keep a copy")


def _disk(root: Path) -> Iterator[Finding]:
    usage = shutil.disk_usage(root)
    free_percent = 100 * usage.free // usage.total
    if free_percent < _FREE_PERCENT_MIN or usage.free < _FREE_BYTES_MIN:
        yield Finding(
            f"only {usage.free >> 20} MB ({free_percent}%) are free where {root} is",
            "make room: a database that cannot write refuses every call",
        )


def _open_files(data: DataDirectory) -> Iterator[Finding]:
    """Of the process that serves, where the system tells of others; else of this one."""
    supervisor = child_processes.serving_supervisor(data)
    if supervisor is not None and hasattr(resource, "prlimit"):
        _, most = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    else:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < open_files.ENOUGH:
        calls = max(0, most - open_files.KEPT_FREE) // 2
        yield Finding(
            f"a worker may have {most} files open, so it serves at most {calls} calls at once",
            "raise the hard limit (`ulimit -Hn`, LimitNOFILE= of systemd, --ulimit nofile= of a "
            "container)",
        )


def _processes(settings: Settings) -> Iterator[Finding]:
    data = settings.data
    supervisor = child_processes.serving_supervisor(data)
    if supervisor is not None:
        if settings.sql_dsn is None and not EmbeddedPostgres(data).is_running():
            yield Finding(
                f"process {supervisor} serves this directory, but its Postgres does not run",
                f"see {data.root / 'postgres.log'}",
            )
        if settings.redis_url is None and not EmbeddedValkey(data).is_running():
            yield Finding(
                f"process {supervisor} serves this directory, but its Valkey does not run",
                f"see {data.valkey / 'valkey.log'}",
            )
        return
    left = child_processes.leftovers(data)
    if left:
        yield Finding(
            f"the supervisor is gone and {len(left)} of its processes still serve "
            f"({', '.join(child.name for child in left)})",
            "start `tollgate serve` again: it replaces them",
        )
