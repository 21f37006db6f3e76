"""Takes a backup: one snapshot of the whole database, table by table, while it is being served."""

import hashlib
import importlib.metadata
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import psycopg
from psycopg import IsolationLevel, sql

from tollgate.backup import manifest
from tollgate.backup.manifest import Manifest, Member, Table
from tollgate.embedded.data_directory import sync_folder
from tollgate.embedded.errors import StartRefused
from tollgate.installation import Installation, require_secret


def dump(installation: Installation, file: Path) -> Manifest:
    """Write a backup of everything that was committed when it began.

    The file appears whole or not at all, readable by its owner only.
    Raises StartRefused if it exists, cannot be written, or would name another secret than the
    vault's; psycopg.OperationalError.
    """
    if file.exists():
        raise StartRefused(f"{file} exists already", "give another name, or move it away")
    require_secret(installation)
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".tollgate-backup-", dir=file.parent) as folder,
            _snapshot(installation) as connection,
        ):
            written = _write(installation, connection, Path(folder))
            draft = Path(folder) / "archive"
            _pack(draft, written, Path(folder))
            draft.rename(file)
    except OSError as refusal:
        raise StartRefused(
            f"the backup {file} cannot be written ({refusal.strerror})",
            "give a file in a folder with enough room that you may write to",
        ) from refusal
    sync_folder(file.absolute().parent)
    return written


@contextmanager
def _snapshot(installation: Installation) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(installation.owner_dsn, connect_timeout=10) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        # The text of a value must not depend on what this server or role happens to be set to.
        connection.execute("set local timezone = 'UTC'")
        connection.execute("set local datestyle = 'ISO, YMD'")
        connection.execute("set local bytea_output = 'hex'")
        connection.execute("set local statement_timeout = 0")
        yield connection


def _write(
    installation: Installation, connection: psycopg.Connection[Any], folder: Path
) -> Manifest:
    # The first statement that reads takes the snapshot; all that follow see the same moment.
    row = connection.execute("select position, clock_timestamp() from ledger.head").fetchone()
    assert row is not None
    head, taken_at = row
    applied = connection.execute("select name from tollgate_migration order by name").fetchall()
    return Manifest(
        format=manifest.FORMAT,
        made_by=f"tollgate {importlib.metadata.version('tollgate')}",
        taken_at=taken_at.isoformat(),
        migrations=[name for (name,) in applied],
        head=head,
        secret_check=manifest.secret_check(installation.crypto_secret),
        members=[
            _write_table(connection, table, folder / f"{table.name}.copy")
            for table in manifest.tables(connection)
        ],
    )


def _write_table(connection: psycopg.Connection[Any], table: Table, path: Path) -> Member:
    digest = hashlib.sha256()
    size_bytes = rows = 0
    with (
        path.open("wb") as file,
        connection.cursor() as cursor,
        cursor.copy(_copy_out(table)) as copy,
    ):
        for piece in copy:
            digest.update(piece)
            size_bytes += len(piece)
            rows += bytes(piece).count(b"\n")  # one a row: those inside of values are escaped
            file.write(piece)
    return Member(
        table=table.name,
        columns=table.columns,
        rows=rows,
        size_bytes=size_bytes,
        sha256=digest.hexdigest(),
    )


def _copy_out(table: Table) -> sql.Composed:
    def names(columns: Iterator[str]) -> sql.Composed:
        return sql.SQL(", ").join(map(sql.Identifier, columns))

    return sql.SQL("copy (select {} from {} order by {}) to stdout").format(
        names(iter(table.columns)),
        sql.Identifier(*table.name.split(".")),
        names(iter(manifest.order_of(table))),
    )


def _pack(archive: Path, written: Manifest, folder: Path) -> None:
    archive.touch(mode=0o600)
    with archive.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
            text = msgspec.json.format(msgspec.json.encode(written), indent=2)
            _add(tar, manifest.MEMBER, len(text), io.BytesIO(text))
            for member in written.members:
                with (folder / member.file).open("rb") as content:
                    _add(tar, member.file, member.size_bytes, content)
        file.flush()
        os.fsync(file.fileno())


def _add(tar: tarfile.TarFile, name: str, size_bytes: int, content: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size_bytes
    entry.mode = 0o600
    tar.addfile(entry, content)
