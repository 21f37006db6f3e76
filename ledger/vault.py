"""The vault: secrets and personal data, sealed cell by cell, so that events need not hold them.

Envelope encryption. CRYPTO_SECRET gives the key-encryption key (HKDF-SHA256, RFC 5869). Each
subject (a user, an account, a channel) has one random data key, kept wrapped under it; a cell is
sealed under its subject's data key by AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce,
and its place is authenticated with it: a row, a column or a subject swapped for another does not
open. Deleting the data key makes all that the subject's cells say unreadable for ever.

The vault has a data key of its own, which seals nothing: whoever opens it has the vault's secret.
A data key of a new subject is made only by those, so that nothing is sealed under two secrets.

Sealed and wrapped bytes are: version (one byte, 1), nonce (12), ciphertext and tag.
"""

import os
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg import AsyncConnection

from ledger import ids
from ledger.errors import VaultRefused

_VERSION = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32
_PURPOSE = b"tollgate vault: key-encryption key, 1"

OWN_KEY = ids.derived_id("vault", "own")
"""The subject of the vault's own data key."""

UNREADABLE = "(unreadable)"
"""What people are shown of a cell that does not open."""

ANOTHER_SECRET = "CRYPTO_SECRET is not the one that this vault is sealed under"  # noqa: S105 - words

_TRIED_MAX = 10_000


class Place(NamedTuple):
    """Where a cell is, and whose it is: all of it is authenticated with what the cell says."""

    kind: str
    row_id: UUID
    field: str
    subject: UUID


class Vault:
    """Seals and opens under one secret; holds nothing else and does no I/O."""

    def __init__(self, secret: str) -> None:
        self._wrapping = AESGCM(_derived_key(secret))

    def new_data_key(self, subject: UUID) -> bytes:
        """A fresh data key for a subject, wrapped; the key itself is known to nobody."""
        return _encrypt(self._wrapping, os.urandom(_KEY_BYTES), _subject_bytes(subject))

    def seal(self, wrapped: bytes, place: Place, text: str) -> bytes:
        """The cell that says `text` at `place`; `wrapped` is the subject's data key.

        Raises VaultRefused if the data key is another subject's or of another secret.
        """
        data_key = self._data_key(wrapped, place.subject)
        return _encrypt(data_key, text.encode(), _place_bytes(place))

    def open(self, wrapped: bytes, place: Place, sealed: bytes) -> str:
        """What the cell at `place` says.

        Raises VaultRefused if it was moved, altered, or sealed under another secret.
        """
        data_key = self._data_key(wrapped, place.subject)
        return _decrypt(data_key, sealed, _place_bytes(place)).decode()

    def rewrapped(self, wrapped: bytes, subject: UUID, new: "Vault") -> bytes:
        """The same data key under another secret; the cells stay as they are."""
        associated = _subject_bytes(subject)
        data_key = _decrypt(self._wrapping, wrapped, associated)
        return _encrypt(new._wrapping, data_key, associated)

    def holds(self, wrapped: bytes, subject: UUID) -> bool:
        """Whether this is a data key of the subject under this secret."""
        try:
            self._data_key(wrapped, subject)
        except VaultRefused:
            return False
        return True

    def _data_key(self, wrapped: bytes, subject: UUID) -> AESGCM:
        return AESGCM(_decrypt(self._wrapping, wrapped, _subject_bytes(subject)))


async def put(connection: AsyncConnection[Any], vault: Vault, place: Place, text: str) -> None:
    """Write a cell; its subject's data key is made on first use, by whoever comes first."""
    async with connection.transaction():
        wrapped = await _data_key_of(connection, vault, place.subject)
        await connection.execute(
            """insert into vault.cell (kind, row_id, field, subject, sealed)
               values (%s, %s, %s, %s, %s)
               on conflict (kind, row_id, field)
               do update set subject = excluded.subject, sealed = excluded.sealed""",
            (*place, vault.seal(wrapped, place, text)),
        )


async def put_new(connection: AsyncConnection[Any], vault: Vault, place: Place, text: str) -> None:
    """Write a cell unless there is one at its place: of several that come at once, one is."""
    async with connection.transaction():
        wrapped = await _data_key_of(connection, vault, place.subject)
        await connection.execute(
            """insert into vault.cell (kind, row_id, field, subject, sealed)
               values (%s, %s, %s, %s, %s) on conflict do nothing""",
            (*place, vault.seal(wrapped, place, text)),
        )


async def get(
    connection: AsyncConnection[Any], vault: Vault, kind: str, row_id: UUID, field: str
) -> str | None:
    """What a cell says; None where there is none, or its subject was forgotten.

    Raises VaultRefused.
    """
    return (await get_many(connection, vault, kind, field, [row_id])).get(row_id)


async def get_many(
    connection: AsyncConnection[Any], vault: Vault, kind: str, field: str, row_ids: Sequence[UUID]
) -> dict[UUID, str]:
    """The same column of many rows; rows that have no such cell are left out.

    Raises VaultRefused if any of them is not what its place says.
    """
    return {
        place.row_id: vault.open(wrapped, place, sealed)
        for place, wrapped, sealed in await _cells(connection, kind, field, row_ids)
    }


async def tell_many(
    connection: AsyncConnection[Any], vault: Vault, kind: str, field: str, row_ids: Sequence[UUID]
) -> dict[UUID, str]:
    """The same for people: a cell that does not open is UNREADABLE, and spoils no other."""
    return {
        place.row_id: _told(vault, place, wrapped, sealed)
        for place, wrapped, sealed in await _cells(connection, kind, field, row_ids)
    }


async def require_secret(connection: AsyncConnection[Any], vault: Vault) -> None:
    """Raise VaultRefused unless this is the secret that the vault is sealed under.

    The first to ask of an empty vault decides; of one that has no key of its own yet, the secret
    that opens at least half of its data keys.
    """
    own = await _wrapped(connection, OWN_KEY)
    if own is None:
        await _require_most(connection, vault)
        await _insert(connection, OWN_KEY, vault)
        own = await _wrapped(connection, OWN_KEY)
    if own is None or not vault.holds(own, OWN_KEY):
        raise VaultRefused(ANOTHER_SECRET)


async def forget(connection: AsyncConnection[Any], subject: UUID) -> bool:
    """Delete a subject's data key and with it every cell; False where there was none.

    Copies in backups keep only bytes that nothing opens, unless they hold the data key too.
    """
    cursor = await connection.execute("delete from vault.data_key where subject = %s", (subject,))
    return cursor.rowcount > 0


class Rewrapped(NamedTuple):
    """How many data keys were put under the new secret, and how many were under it before."""

    now: int
    before: int


async def rewrap(connection: AsyncConnection[Any], old: Vault, new: Vault) -> Rewrapped:
    """Put every data key under a new secret, all or none; once more changes nothing.

    Raises VaultRefused if one is under neither. Whoever still writes with the old secret must be
    stopped first.
    """
    async with connection.transaction():
        await connection.execute("lock table vault.data_key in exclusive mode")
        cursor = await connection.execute(
            "select subject, wrapped from vault.data_key", binary=True
        )
        rows = await cursor.fetchall()
        left = [(wrapped, subject) for subject, wrapped in rows if not new.holds(wrapped, subject)]
        rewrapped = [(old.rewrapped(wrapped, subject, new), subject) for wrapped, subject in left]
        await connection.cursor().executemany(
            "update vault.data_key set wrapped = %s where subject = %s", rewrapped
        )
    return Rewrapped(len(left), len(rows) - len(left))


async def _data_key_of(connection: AsyncConnection[Any], vault: Vault, subject: UUID) -> bytes:
    """The subject's wrapped data key, locked against being forgotten until we commit."""
    while (wrapped := await _wrapped(connection, subject)) is None:
        await require_secret(connection, vault)
        await _insert(connection, subject, vault)
    return wrapped


async def _wrapped(connection: AsyncConnection[Any], subject: UUID) -> bytes | None:
    cursor = await connection.execute(
        "select wrapped from vault.data_key where subject = %s for key share",
        (subject,),
        binary=True,
    )
    row = await cursor.fetchone()
    return None if row is None else bytes(row[0])


async def _insert(connection: AsyncConnection[Any], subject: UUID, vault: Vault) -> None:
    """A data key for a subject, unless somebody was faster: then theirs is there afterwards."""
    await connection.execute(
        "insert into vault.data_key (subject, wrapped) values (%s, %s) on conflict do nothing",
        (subject, vault.new_data_key(subject)),
    )


async def _require_most(connection: AsyncConnection[Any], vault: Vault) -> None:
    cursor = await connection.execute(
        "select subject, wrapped from vault.data_key limit %s", (_TRIED_MAX,), binary=True
    )
    rows = await cursor.fetchall()
    if 2 * sum(vault.holds(wrapped, subject) for subject, wrapped in rows) < len(rows):
        raise VaultRefused(ANOTHER_SECRET)


async def _cells(
    connection: AsyncConnection[Any], kind: str, field: str, row_ids: Sequence[UUID]
) -> list[tuple[Place, bytes, bytes]]:
    """Each with its place and its subject's wrapped data key."""
    cursor = await connection.execute(
        """select row_id, subject, wrapped, sealed from vault.cell join vault.data_key
           using (subject) where kind = %s and field = %s and row_id = any(%s)""",
        (kind, field, list(row_ids)),
        binary=True,
    )
    return [
        (Place(kind, row_id, field, subject), wrapped, sealed)
        for row_id, subject, wrapped, sealed in await cursor.fetchall()
    ]


def _told(vault: Vault, place: Place, wrapped: bytes, sealed: bytes) -> str:
    try:
        return vault.open(wrapped, place, sealed)
    except VaultRefused:
        return UNREADABLE


def _derived_key(secret: str) -> bytes:
    assert secret, "an empty secret protects nothing"
    derivation = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PURPOSE)
    return derivation.derive(secret.encode())


def _encrypt(key: AESGCM, plain: bytes, associated: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + key.encrypt(nonce, plain, associated)


def _decrypt(key: AESGCM, sealed: bytes, associated: bytes) -> bytes:
    version, nonce, cipher = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    if version != _VERSION:
        raise VaultRefused("a sealed value is of a form this release does not know")
    try:
        return key.decrypt(nonce, cipher, associated)
    except (InvalidTag, ValueError) as error:
        raise VaultRefused(
            "a sealed value does not open: moved, altered, or sealed under another CRYPTO_SECRET"
        ) from error


def _subject_bytes(subject: UUID) -> bytes:
    return _delimited([b"data_key", subject.bytes])


def _place_bytes(place: Place) -> bytes:
    return _delimited(
        [
            b"cell",
            place.kind.encode(),
            place.row_id.bytes,
            place.field.encode(),
            place.subject.bytes,
        ]
    )


def _delimited(parts: Sequence[bytes]) -> bytes:
    """Each part preceded by its length in four bytes: no two sequences give the same bytes."""
    return b"".join(struct.pack(">i", len(part)) + part for part in parts)
