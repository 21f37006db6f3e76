"""What lies beside an exported file and says what it is: `FILE.manifest.json`.

With it anybody can tell that the file is whole and unchanged, of which part of which log it is,
and what its rows must sum to.
"""

import hashlib
import hmac
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import msgspec

from ledger.export.tables import Kind
from ledger.money import format_usd

FORMAT = "tollgate-export/1"
SUFFIX = ".manifest.json"

_READ_BYTES = 1024 * 1024


class ManifestBroken(Exception):
    """The manifest is missing, or is not one."""


class ColumnSaid(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the file. Its kind: see ledger/export/tables.py."""

    name: str
    kind: Kind
    meaning: str


class SelectionSaid(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for. Positions are included; of moments the first is and the last is not."""

    what: str
    account: UUID | None = None
    type: str | None = None
    since: int | str | None = None
    until: int | str | None = None


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """What the exported events post to one ledger account; credits are positive."""

    nanos: str
    usd: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is.

    as_of_position: the last position that was asked for; as_of: when it was recorded (null: the
    log was empty). head: where the log ended when the export began, at taken_at (null: not told).
    time_zone: the one whose days were the books' days then; a day that was asked for is told in
    `selection` as the moments at which it begins and ends.
    is_complete: nothing recorded later can fall into what was asked for.
    rows: of the table `what`; a format may add lines of its own. first_position, last_position:
    of the rows; null where there are none.
    postings: of all events that were exported, by ledger account. opening: what the events before
    left, by ledger account, in formats that begin with it. Of a statement both have one name,
    `posted`: what the account had, and what its lines add to it.
    checkpoint: the newest sealed checkpoint at the time, in C2SP's note form, if there was one.
    """

    format: str
    made_by: str
    file: str
    file_format: str
    size_bytes: int
    sha256: str
    selection: SelectionSaid
    head: int
    taken_at: str | None
    as_of_position: int
    as_of: str | None
    is_complete: bool
    events: int
    rows: int
    first_position: int | None
    last_position: int | None
    postings: dict[str, Sum]
    opening: dict[str, Sum] | None
    columns: list[ColumnSaid]
    checkpoint: str | None
    time_zone: str | None = None


def sums(nanos: Mapping[str, int]) -> dict[str, Sum]:
    """Amounts as a manifest tells them, in the order of their names."""
    return {
        name: Sum(nanos=str(amount), usd=format_usd(amount))
        for name, amount in sorted(nanos.items())
    }


def made_by() -> str:
    """This release."""
    return f"tollgate {importlib.metadata.version('tollgate')}"


def manifest_path(file: Path) -> Path:
    """Where the manifest of a file is."""
    return file.with_name(file.name + SUFFIX)


def to_bytes(manifest: Manifest) -> bytes:
    """As it is written: JSON for people and programs."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def read_manifest(file: Path) -> Manifest:
    """The manifest of a file. Raises ManifestBroken, OSError where it cannot be read."""
    path = manifest_path(file)
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise ManifestBroken(f"{path} is not there") from error
    except msgspec.MsgspecError as error:
        raise ManifestBroken(f"{path} is not a manifest: {error}") from error
    if manifest.format != FORMAT:
        raise ManifestBroken(f"{path} is of another form: {manifest.format[:40]!r}")
    return manifest


def verify_manifest(file: Path) -> list[str]:
    """What is wrong with a file, by the manifest beside it; empty where it is what was written.

    Raises ManifestBroken, OSError where either cannot be read.
    """
    return unlike(file, read_manifest(file))


def unlike(file: Path, manifest: Manifest) -> list[str]:
    """In what a file differs from what its manifest says was written. Raises OSError."""
    digest, size_bytes = hashlib.sha256(), 0
    with file.open("rb") as content:
        while piece := content.read(_READ_BYTES):
            digest.update(piece)
            size_bytes += len(piece)
    faults = []
    if size_bytes != manifest.size_bytes:
        faults.append(f"it has {size_bytes} bytes; {manifest.size_bytes} were written")
    if not hmac.compare_digest(digest.hexdigest(), manifest.sha256):
        faults.append(f"its SHA-256 is {digest.hexdigest()}; {manifest.sha256} was written")
    return faults
