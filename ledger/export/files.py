"""An export as files in a folder: whole or not there at all, and never over another file unasked.

A file is written beside its place under a name of its own, brought to the disk, and given its name
in one step; its manifest first. Whoever finds a manifest without its file, or with one that it
does not fit (`verify_manifest`), knows that this was interrupted.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ledger.export.formats.contract import Format
from ledger.export.manifest import Manifest, manifest_path, to_bytes
from ledger.export.selection import Selection
from ledger.export.writing import Progress, export


class FileExists(Exception):
    """Something is there already under that name; it was left as it is."""


def export_to_file(
    dsn: str,
    selection: Selection,
    file_format: Format,
    path: Path,
    progress: Progress,
    *,
    is_replacing: bool = False,
) -> Manifest:
    """Export into a file and its manifest. Readable by its owner only.

    Raises FileExists unless `is_replacing`, OSError, and what `export` raises; then nothing was
    written.
    """

    def write(file: BinaryIO) -> Manifest:
        return export(dsn, selection, file_format, file, path.name, progress)

    return write_with_manifest(path, write, is_replacing=is_replacing)


def write_with_manifest(
    path: Path, write: Callable[[BinaryIO], Manifest], *, is_replacing: bool = False
) -> Manifest:
    """A file that `write` fills, and the manifest it answers, beside it.

    Raises FileExists unless `is_replacing`, OSError, and what `write` raises; then nothing was
    written.
    """
    beside = manifest_path(path)
    if not is_replacing:
        for taken in (path, beside):
            if os.path.lexists(taken):
                raise FileExists(f"{taken} exists already")
    with new_file(path, is_replacing=is_replacing) as file:
        manifest = write(file)
        with new_file(beside, is_replacing=is_replacing) as manifest_file:
            manifest_file.write(to_bytes(manifest))
    return manifest


@contextlib.contextmanager
def new_file(path: Path, *, is_replacing: bool) -> Iterator[BinaryIO]:
    """A file that has its name once the block was left without an exception, and is on the disk.

    Raises FileExists unless `is_replacing`, OSError.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if is_replacing:
            draft.replace(path)
        else:
            _name(draft, path)
        _sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _name(draft: Path, path: Path) -> None:
    """Give a file its name, unless somebody else has it meanwhile."""
    try:
        path.hardlink_to(draft)
    except FileExistsError as error:
        raise FileExists(f"{path} exists already") from error
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExists(f"{path} exists already") from None
        draft.replace(path)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
