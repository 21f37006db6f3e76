"""What the commands share that write a file for people."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ledger.export.files import FileExists
from tollgate.commands.contract import UsageRefused


@contextlib.contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """A block that writes a file. Raises UsageRefused where it cannot, in words for people."""
    if not path.absolute().parent.is_dir():
        raise UsageRefused(f"{path.parent} is not a folder")
    if path.is_dir():
        raise UsageRefused(f"{path} is a folder: give a file's name")
    try:
        yield
    except FileExists as refusal:
        raise UsageRefused(f"{refusal}: give another name, or --force") from refusal
    except OSError as refusal:
        raise UsageRefused(f"{path} cannot be written ({refusal.strerror})") from refusal
