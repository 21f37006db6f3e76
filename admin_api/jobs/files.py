"""A file that a job writes: kept in Postgres in pieces, so that any node can hand it out."""

import contextlib
import hashlib
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, cast

import psycopg

from admin_api.jobs.claims import Claim, Connection

CHUNK_BYTES = 1024 * 1024

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_CHUNK = (
    "insert into operations.job_file_chunk (job_id, name, number, content) values (%s,%s,%s,%s)"
)
_WHOLE = (
    "insert into operations.job_file (job_id, name, content_type, size_bytes, sha256) "
    "values (%s, %s, %s, %s, %s)"
)


@contextlib.contextmanager
def writing(dsn: str, claim: Claim, name: str, content_type: str) -> Iterator[BinaryIO]:
    """A file that exists once the block was left without an exception."""
    assert _NAME.fullmatch(name), f"{name!r} is not a plain name"
    with psycopg.connect(dsn, autocommit=True) as connection:
        file = _ChunkedFile(connection, claim, name)
        yield cast("BinaryIO", file)
        file.close()
        connection.execute(
            _WHOLE, (claim.job_id, name, content_type, file.size_bytes, file.sha256.hexdigest())
        )


class _ChunkedFile(io.BufferedIOBase):
    """Collects what is written and stores it piece by piece; cannot seek or be read."""

    def __init__(self, connection: Connection, claim: Claim, name: str) -> None:
        self._connection = connection
        self._claim = claim
        self._name = name
        self._waiting = bytearray()
        self._chunks = 0
        self.size_bytes = 0
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size_bytes

    def write(self, content: "io.ReadableBuffer") -> int:  # type: ignore[name-defined]
        if self.closed:
            raise ValueError("the file is closed")
        piece = bytes(content)
        self._waiting += piece
        self.size_bytes += len(piece)
        self.sha256.update(piece)
        while len(self._waiting) >= CHUNK_BYTES:
            self._store(CHUNK_BYTES)
        return len(piece)

    def close(self) -> None:
        if not self.closed and self._waiting:
            self._store(len(self._waiting))
        super().close()

    def _store(self, length: int) -> None:
        piece = bytes(self._waiting[:length])
        self._connection.execute(_CHUNK, (self._claim.job_id, self._name, self._chunks, piece))
        self._chunks += 1
        del self._waiting[:length]
