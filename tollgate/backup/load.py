"""Restores a backup into an empty database: all of it, proven to be what was saved, or nothing.

The books say that it was done: by whom, and from which file.
"""

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec
import psycopg
from psycopg import sql

from ledger.store.append import APPEND, NewEvent, adapt, interpret, parameters, prepare
from ledger.store.believed_clock import believe_clock
from ledger.store.migrate import migrations
from ledger.streams import restore as restores
from ledger.streams.restore import RecordRestore, Restore, restore_stream_id
from ledger.vault import OWN_KEY
from tollgate.backup import manifest
from tollgate.backup.manifest import Manifest, Member
from tollgate.installation import Installation

_PIECE_BYTES = 1024 * 1024
_MANIFEST_BYTES_MAX = 16 * 1024 * 1024


class RestoreRefused(Exception):
    """The file, or the database it should go into, does not allow it; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was restored: the backup's manifest, the SHA-256 of its file, and whether its vault."""

    said: Manifest
    sha256: str
    has_vault: bool


def read_manifest(file: Path) -> Manifest:
    """What a backup says about itself. Raises RestoreRefused."""
    with _opened(file) as (tar, _):
        return _manifest(tar)


def restore(
    installation: Installation, file: Path, *, actor: str, is_vault_needed: bool = True
) -> Manifest:
    """Restore into the migrated, empty database of an installation, and write that into its books,
    in one transaction; `is_vault_needed` as for `load`.

    Raises RestoreRefused, psycopg.OperationalError.
    """
    with psycopg.connect(installation.owner_dsn) as connection:
        loaded = load(connection, installation, file, is_vault_needed=is_vault_needed)
        _record(connection, loaded, actor)
    return loaded.said


def load(
    connection: psycopg.Connection[Any],
    installation: Installation,
    file: Path,
    *,
    is_vault_needed: bool = True,
) -> Loaded:
    """Load into the empty database of an installation; `connection` is its owner's, and commits.

    With `is_vault_needed` the installation must have the secret of the backup's vault; without
    it, a vault of another secret is left out.
    Raises RestoreRefused, psycopg.OperationalError.
    """
    with _opened(file) as (tar, content):
        said = _manifest(tar)
        _require_fitting(said, installation, is_vault_needed=is_vault_needed)
        _require_empty(connection)
        connection.execute("set local timezone = 'UTC'")
        connection.execute("set local datestyle = 'ISO, YMD'")
        connection.execute("set local statement_timeout = 0")
        known = {table.name for table in manifest.tables(connection)}
        # What a new database has: one row, and the vault's own key.
        connection.execute("delete from ledger.head")
        connection.execute("delete from vault.data_key")
        for member in said.members:
            if member.table not in known:
                raise RestoreRefused(f"{file} has a table this release does not know")
            _load_table(connection, tar, member)
        has_vault = _is_our_secret(said, installation)
        if not has_vault:
            connection.execute("delete from vault.data_key")  # and with them all cells
        _require_whole(connection, said)
        return Loaded(said, content.sha256(), has_vault)


def _record(connection: psycopg.Connection[Any], loaded: Loaded, actor: str) -> None:
    """Say so in the books, right behind what was restored."""
    command = RecordRestore(
        sha256=loaded.sha256,
        made_by=loaded.said.made_by,
        taken_at=loaded.said.taken_at,
        up_to_position=loaded.said.head,
        has_vault=loaded.has_vault,
        actor=actor,
    )
    believe_clock(connection)  # what the backup believed last may be years ago
    (event,) = restores.decide(Restore(), command)
    groups = [prepare([NewEvent(restore_stream_id(loaded.sha256), 1, event)])]
    with connection.cursor(binary=True) as cursor:
        adapt(cursor)
        row = cursor.execute(APPEND, parameters(groups)).fetchone()
    assert row is not None
    (outcome,) = interpret(groups, row).outcomes
    if outcome.refusal is not None:
        raise outcome.refusal


class _Hashed:
    """A file that is read once, and the SHA-256 of its bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """The next bytes, as tarfile asks for them."""
        piece = self._file.read(size)
        self._digest.update(piece)
        return piece

    def sha256(self) -> str:
        """That of the whole file, in hex: what nobody asked for is read as well."""
        while self.read(_PIECE_BYTES):
            pass
        return self._digest.hexdigest()


@contextmanager
def _opened(file: Path) -> Iterator[tuple[tarfile.TarFile, _Hashed]]:
    try:
        with file.open("rb") as raw:
            content = _Hashed(raw)
            with tarfile.open(fileobj=content, mode="r|gz") as tar:  # type: ignore[call-overload]  # it needs no more than `read`
                yield tar, content
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as damage:
        raise RestoreRefused(f"{file} is not a whole backup ({damage})") from damage
    except OSError as refusal:
        raise RestoreRefused(f"{file} cannot be read ({refusal.strerror})") from refusal


def _manifest(tar: tarfile.TarFile) -> Manifest:
    content = _next(tar, manifest.MEMBER)
    try:
        said = msgspec.json.decode(content.read(_MANIFEST_BYTES_MAX), type=Manifest)
    except msgspec.MsgspecError as error:
        raise RestoreRefused(f"its manifest cannot be read ({error})") from error
    if said.format != manifest.FORMAT:
        raise RestoreRefused(f"it is of format {said.format}; this release reads {manifest.FORMAT}")
    return said


def _next(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    entry = tar.next()
    content = None if entry is None or entry.name != name else tar.extractfile(entry)
    if content is None:
        raise RestoreRefused(f"it is not a whole backup: {name} is missing")
    return content


def _require_fitting(said: Manifest, installation: Installation, *, is_vault_needed: bool) -> None:
    ours = [name for name, _ in migrations()]
    if said.migrations != ours[: len(said.migrations)]:
        raise RestoreRefused(
            f"it was made by {said.made_by}, whose database this release does not know: "
            "restore it with that release, or a newer one"
        )
    if is_vault_needed and not _is_our_secret(said, installation):
        raise RestoreRefused(
            "its vault was sealed under another CRYPTO_SECRET: set that one, or put the file "
            "secrets/crypto_secret of the installation that made it into this data directory; "
            "--without-vault restores the books alone, without names and provider keys"
        )


def _is_our_secret(said: Manifest, installation: Installation) -> bool:
    return said.secret_check == manifest.secret_check(installation.crypto_secret)


def _require_empty(connection: psycopg.Connection[Any]) -> None:
    # The lock is the one every append waits for.
    row = connection.execute("select position from ledger.head for update").fetchone()
    cells = connection.execute(
        "select from vault.data_key where subject <> %s limit 1", (OWN_KEY,)
    ).fetchone()
    if row is None or row[0] != 0 or cells is not None:
        raise RestoreRefused(
            "the database is not empty: restore into a new one, as with a new --data-dir"
        )


def _load_table(connection: psycopg.Connection[Any], tar: tarfile.TarFile, member: Member) -> None:
    content = _next(tar, member.file)
    digest = hashlib.sha256()
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(*member.table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, member.columns)),
    )
    try:
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                while piece := content.read(_PIECE_BYTES):
                    digest.update(piece)
                    copy.write(piece)
            rows = cursor.rowcount
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError) as error:
        raise RestoreRefused(f"{member.file} is damaged ({_first_line(error)})") from error
    if digest.hexdigest() != member.sha256 or rows != member.rows:
        raise RestoreRefused(f"{member.file} is not what was saved: its SHA-256 differs")


def _require_whole(connection: psycopg.Connection[Any], said: Manifest) -> None:
    row = connection.execute(
        "select (select position from ledger.head), coalesce(max(position), 0), count(*) "
        "from ledger.event"
    ).fetchone()
    if row != (said.head, said.head, said.head):
        raise RestoreRefused("its log has gaps: the positions do not run from 1 to its head")


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]
