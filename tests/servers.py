"""The servers of a run, and databases on them.

Their files lie in memory where there is room: no test outlives the machine, and none has to wait
for its disk.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from ledger.store.migrate import migrate
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.postgres import APPLICATION, OWNER, EmbeddedPostgres

_DISK, _MEMORY = Path("/tmp"), Path("/dev/shm")
_ROOM_BYTES = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """An empty database and how to reach it as its owner and as the application's role."""

    name: str
    owner_dsn: str
    app_dsn: str


def make_data_directory(*, on_disk: bool = False) -> DataDirectory:
    """A prepared one whose path is short enough for sockets and open to Postgres' account.

    Folders made by pytest are neither. The caller removes `root.parent`.
    """
    place = _DISK if on_disk else _place()
    parent = Path(tempfile.mkdtemp(prefix="tg-", dir=place)).resolve()
    parent.chmod(0o711)
    directory = DataDirectory(parent / "data")
    directory.prepare()
    return directory


def _place() -> Path:
    with contextlib.suppress(OSError):
        if shutil.disk_usage(_MEMORY).free > _ROOM_BYTES and not _may_not_run_programs(_MEMORY):
            return _MEMORY
    return _DISK


def _may_not_run_programs(place: Path) -> bool:
    return bool(os.statvfs(place).f_flag & os.ST_NOEXEC)


@contextlib.contextmanager
def made_database(
    server: EmbeddedPostgres, like: FreshDatabase | None = None
) -> Iterator[FreshDatabase]:
    """A database that is gone afterwards: an empty one, or a copy of one that nobody is in."""
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(server.dsn(OWNER, "postgres"), autocommit=True) as connection:
        template = "" if like is None else f"TEMPLATE {like.name}"
        connection.execute(f"CREATE DATABASE {name} OWNER {OWNER} {template} STRATEGY file_copy")
        if like is not None:  # rights on the database itself are not copied
            connection.execute(f"GRANT CREATE ON DATABASE {name} TO {APPLICATION}")
            with psycopg.connect(server.dsn(OWNER, name)) as copied:
                copied.execute("select ledger.believe_clock()")  # the copied belief may be old
        try:
            yield FreshDatabase(name, server.dsn(OWNER, name), server.dsn(APPLICATION, name))
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def migrated_database(server: EmbeddedPostgres) -> Iterator[FreshDatabase]:
    """A database with this release's schema and an empty log."""
    with made_database(server) as database:
        migrate(database.owner_dsn, APPLICATION)
        yield database
