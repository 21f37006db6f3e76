"""The signer: holds the key, remembers what it signed last, and never signs against it.

It knows nothing of Postgres. Whoever rewrites the log, or restores an older copy of it, cannot make
it forget: a checkpoint that is smaller than its last one, or that is not proven to continue it, is
refused for ever. `last.json` reaches the disk before a signature leaves.

Its folder has three files: `key` (the private key, base64), `last.json` (what it signed last), and
`lock`. A key without its memory, or a memory without its key, is refused: the way on is to move
the folder away, which makes a new key, and to introduce that key to the log
(`tollgate ledger signing-key introduce`).
"""

import base64
import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from ledger.errors import SigningRefused
from ledger.integrity.checkpoint import Checkpoint, parse_checkpoint
from ledger.integrity.merkle import EMPTY_ROOT, ProofInvalid, verify_consistency
from ledger.integrity.note import (
    SEED_BYTES,
    MalformedNote,
    NoteRefused,
    SigningKey,
    VerifierKey,
    parse_note,
    verify_note,
)

FORMAT = "tollgate-signer/1"
ENDORSEMENT_HEADER = "tollgate-signing-key@v1"
_KEY, _NEXT_KEY, _LAST, _LOCK = "key", "next-key", "last.json", "lock"


class LastSigned(msgspec.Struct, frozen=True, kw_only=True):
    """What a signer remembers: the log it signs, and the last checkpoint it signed of it.

    `size` 0: none yet, of any log if `origin` is empty. `note` is the checkpoint as it was signed;
    empty where the signer was started from one that another key had signed.
    """

    format: str = FORMAT
    origin: str = ""
    size: int = 0
    root: bytes = EMPTY_ROOT
    note: str = ""
    verifier: str = ""

    def checkpoint(self) -> Checkpoint:
        """What was signed."""
        return Checkpoint(self.origin, self.size, self.root)


class Rotation(NamedTuple):
    """A new verifier key, and the note by which the old one vouches for it."""

    verifier: str
    endorsement: str


class Signer:
    """One folder's key and memory; `open_signer` makes sure that nobody else has them."""

    def __init__(self, folder: Path) -> None:
        """Make what is missing of an empty folder. Raises SigningRefused."""
        self._folder = folder
        self._last = read_last(folder)
        if self._last is None:
            if (folder / _KEY).exists():
                raise SigningRefused(f"the memory of the signer, {folder / _LAST}, is gone")
            self._last = LastSigned()
            _write(folder / _LAST, msgspec.json.encode(self._last))
        if not (folder / _KEY).exists():
            if self._last.origin:
                raise SigningRefused(f"the key of the signer, {folder / _KEY}, is gone")
            _write(folder / _KEY, base64.b64encode(secrets.token_bytes(SEED_BYTES)) + b"\n")
        self._finish_rotation()

    def last(self, origin: str) -> LastSigned:
        """What was signed last, and the key that signs this log. Raises SigningRefused."""
        last = self._of(origin)
        return msgspec.structs.replace(
            last, origin=origin, verifier=str(self._key(origin).verifier)
        )

    def sign(self, checkpoint: Checkpoint, proof: tuple[bytes, ...]) -> LastSigned:
        """Sign a checkpoint that continues the last one; the very last one gives the same note.

        Raises SigningRefused for one that is smaller, that the proof does not lead to, or that is
        of another log.
        """
        last = self._of(checkpoint.origin)
        if checkpoint.size < last.size:
            raise SigningRefused(
                f"the log ends at {checkpoint.size}, and {last.size} events of it were signed: "
                "its end was cut off, or an older copy was restored"
            )
        try:
            old = (last.size, last.root)
            verify_consistency(old, (checkpoint.size, checkpoint.root), proof)
        except ProofInvalid as error:
            raise SigningRefused(
                f"the log of {checkpoint.size} events does not continue the one of {last.size} "
                f"that was signed ({error}): what is below {last.size} was rewritten"
            ) from error
        if checkpoint.size == last.size and last.note:
            return last
        key = self._key(checkpoint.origin)
        return self._remember(
            LastSigned(
                origin=checkpoint.origin,
                size=checkpoint.size,
                root=checkpoint.root,
                note=key.sign(checkpoint.text()),
                verifier=str(key.verifier),
            )
        )

    def start_from(self, note: str, trusted: str) -> LastSigned:
        """Take a checkpoint that another key signed as if it were the last one signed here.

        For a signer that has signed nothing yet, of a log that others have; an operator decides it.
        Raises SigningRefused.
        """
        assert self._last is not None
        if self._last.size:
            raise SigningRefused("this signer has a memory of its own already")
        try:
            verify_note(parse_note(note), [VerifierKey.parse(trusted)])
            checkpoint = parse_checkpoint(note)
        except (MalformedNote, NoteRefused) as error:
            raise SigningRefused(f"the checkpoint cannot be believed: {error}") from error
        return self._remember(
            LastSigned(
                origin=checkpoint.origin,
                size=checkpoint.size,
                root=checkpoint.root,
                verifier=str(self._key(checkpoint.origin).verifier),
            )
        )

    def prepare_rotation(self) -> Rotation:
        """A new key, and the old one's word for it. The old one signs on until `rotate`.

        Asked again it answers the same. Raises SigningRefused before anything was signed.
        """
        last = self._last
        assert last is not None
        if not last.origin:
            raise SigningRefused("nothing was signed yet: there is no key to replace")
        path = self._folder / _NEXT_KEY
        if not path.exists():
            _write(path, base64.b64encode(secrets.token_bytes(SEED_BYTES)) + b"\n")
        new = str(_read_key(path, last.origin).verifier)
        return Rotation(new, self._key(last.origin).sign(endorsement_text(last.origin, new)))

    def rotate(self, verifier: str) -> LastSigned:
        """Sign with the new key from here on, once the log knows it; the old one is destroyed.

        Raises SigningRefused.
        """
        last = self._last
        assert last is not None
        path = self._folder / _NEXT_KEY
        if not path.exists() or str(_read_key(path, last.origin).verifier) != verifier:
            raise SigningRefused("this is not the key that was prepared")
        # First the memory: a crash in between is finished when the folder is opened again.
        remembered = self._remember(msgspec.structs.replace(last, note="", verifier=verifier))
        self._finish_rotation()
        return remembered

    def _finish_rotation(self) -> None:
        last, path = self._last, self._folder / _NEXT_KEY
        assert last is not None
        if path.exists() and str(_read_key(path, last.origin).verifier) == last.verifier:
            path.replace(self._folder / _KEY)
            _sync_folder(self._folder)

    def _of(self, origin: str) -> LastSigned:
        assert self._last is not None
        if self._last.origin not in ("", origin):
            raise SigningRefused(
                f"this signer signs the log {self._last.origin}, and this one is {origin}"
            )
        return self._last

    def _remember(self, last: LastSigned) -> LastSigned:
        _write(self._folder / _LAST, msgspec.json.format(msgspec.json.encode(last), indent=1))
        self._last = last
        return last

    def _key(self, origin: str) -> SigningKey:
        return _read_key(self._folder / _KEY, origin)


@contextlib.contextmanager
def open_signer(folder: Path) -> Iterator[Signer]:
    """The signer of a folder, which nobody else may have meanwhile. Raises SigningRefused."""
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise SigningRefused(f"another process has the signer in {folder}") from taken
        yield Signer(folder)
    finally:
        os.close(descriptor)


def read_last(folder: Path) -> LastSigned | None:
    """What the signer of a folder remembers; None where there never was one.

    Raises SigningRefused for a file that cannot be read.
    """
    path = folder / _LAST
    try:
        last = msgspec.json.decode(path.read_bytes(), type=LastSigned)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise SigningRefused(f"the memory of the signer, {path}, cannot be read") from error
    if last.format != FORMAT:
        raise SigningRefused(f"the memory of the signer, {path}, is of another form")
    return last


def endorsement_text(origin: str, verifier: str) -> str:
    """What an old key signs to vouch for a new one."""
    return f"{ENDORSEMENT_HEADER}\n{origin}\n{verifier}\n"


def endorsed_by(endorsement: str, verifier: str, trusted: list[VerifierKey]) -> VerifierKey | None:
    """The trusted key that vouches for a verifier key by this note; None where none does."""
    try:
        new = VerifierKey.parse(verifier)
        note = parse_note(endorsement)
        if note.text != endorsement_text(new.name, verifier):
            return None
        return verify_note(note, trusted)
    except (MalformedNote, NoteRefused):
        return None


def _read_key(path: Path, origin: str) -> SigningKey:
    try:
        if path.stat().st_mode & 0o077:
            raise SigningRefused(f"the key {path} is open to other users: chmod 600 {path}")
        seed = base64.b64decode(path.read_bytes().strip(), validate=True)
        return SigningKey(origin, seed)
    except (OSError, ValueError, MalformedNote) as error:
        raise SigningRefused(f"the key of the signer, {path}, cannot be read") from error


def _write(path: Path, content: bytes) -> None:
    """Replace a file; it is on the disk, whole, when this returns."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
