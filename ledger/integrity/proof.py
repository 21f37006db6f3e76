"""Proofs as files: that an event is in the log, and that a log only grew.

A receipt is https://c2sp.org/tlog-proof@v1. Its `extra` line carries the entry (entry.py), so that
one file is all it takes; the leaf hash is computed from it, so it need not be believed. Who may
not see the entry is given its leaf hash instead: 32 bytes, which no entry has.

    c2sp.org/tlog-proof@v1
    extra base64(entry, or leaf hash)
    index 73893
    base64(hash) ...
    (an empty line)
    the checkpoint, a signed note

A consistency proof is ours, in the same style:

    tollgate-consistency@v1
    old 20
    new 4711
    base64(hash) ...
"""

import re
from dataclasses import dataclass

from ledger.integrity.merkle import HASH_BYTES
from ledger.integrity.note import MalformedNote, decode64, encode64

RECEIPT_HEADER = "c2sp.org/tlog-proof@v1"
CONSISTENCY_HEADER = "tollgate-consistency@v1"
_HASHES_MAX = 128
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class MalformedProof(Exception):
    """The text is not a proof."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """An inclusion proof with its checkpoint. `extra`: the entry, or its leaf hash, or nothing."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    @property
    def is_entry_shown(self) -> bool:
        """Whether the event itself is in it."""
        return self.extra is not None and len(self.extra) != HASH_BYTES

    def text(self) -> str:
        """The content of a `.tlog-proof` file."""
        extra = [] if self.extra is None else [f"extra {encode64(self.extra)}"]
        lines = [RECEIPT_HEADER, *extra, f"index {self.index}", *map(encode64, self.hashes), ""]
        return "\n".join(lines) + "\n" + self.checkpoint


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That a tree of `old_size` is the beginning of one of `new_size`."""

    old_size: int
    new_size: int
    hashes: tuple[bytes, ...]

    def text(self) -> str:
        """The content of its file."""
        head = [CONSISTENCY_HEADER, f"old {self.old_size}", f"new {self.new_size}"]
        return "".join(f"{line}\n" for line in (*head, *map(encode64, self.hashes)))


def parse_receipt(text: str) -> Receipt:
    """Raises MalformedProof."""
    head, separator, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != RECEIPT_HEADER or len(lines) < 2:
        raise MalformedProof(f"not a proof of the form {RECEIPT_HEADER}")
    extra = None
    if lines[1].startswith("extra "):
        extra = _decoded(lines.pop(1).removeprefix("extra "))
    if len(lines) < 2:
        raise MalformedProof("the line `index` is missing")
    return Receipt(_number("index", lines[1]), _hashes(lines[2:]), checkpoint, extra)


def parse_consistency(text: str) -> ConsistencyProof:
    """Raises MalformedProof."""
    lines = text.removesuffix("\n").split("\n")
    if lines[0] != CONSISTENCY_HEADER or len(lines) < 3:
        raise MalformedProof(f"not a proof of the form {CONSISTENCY_HEADER}")
    return ConsistencyProof(_number("old", lines[1]), _number("new", lines[2]), _hashes(lines[3:]))


def _number(name: str, line: str) -> int:
    word, _, number = line.partition(" ")
    if word != name or _NUMBER.fullmatch(number) is None:
        raise MalformedProof(f"the line `{name}` is missing, or has no number")
    return int(number)


def _hashes(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > _HASHES_MAX:
        raise MalformedProof("too many hashes")
    hashes = tuple(map(_decoded, lines))
    if any(len(one) != HASH_BYTES for one in hashes):
        raise MalformedProof("a hash that is not a SHA-256")
    return hashes


def _decoded(text: str) -> bytes:
    try:
        return decode64(text)
    except MalformedNote as error:
        raise MalformedProof(str(error)) from error
