"""A file that is hashed and counted as it is written."""

import hashlib
import io
from typing import BinaryIO


class HashedFile(io.BufferedIOBase):
    """Passes on what is written to it; takes bytes and cannot seek."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size_bytes = 0
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        """It is for nothing else."""
        return True

    def tell(self) -> int:
        """How much was written."""
        return self.size_bytes

    def write(self, content: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """All of it, at once."""
        self._file.write(content)
        self.sha256.update(content)
        self.size_bytes += memoryview(content).nbytes
        return memoryview(content).nbytes

    def flush(self) -> None:
        """What it passes things on to is flushed by whoever opened it."""
