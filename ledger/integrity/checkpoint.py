"""Checkpoints (https://c2sp.org/tlog-checkpoint): a log, its size, its root, in a signed note.

origin
size
base64(root)
"""

import re
from typing import NamedTuple

from ledger.integrity.merkle import HASH_BYTES
from ledger.integrity.note import MalformedNote, decode64, encode64, parse_note

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class Checkpoint(NamedTuple):
    """What is signed. `origin` names the log, and nothing else."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text of its note."""
        return f"{self.origin}\n{self.size}\n{encode64(self.root)}\n"


def parse_checkpoint(note: str) -> Checkpoint:
    """What a note says, signed by whom it may. Raises MalformedNote.

    Lines of extension, which the format allows and advises against, are refused: nobody here
    would look at them.
    """
    lines = parse_note(note).text.split("\n")
    if len(lines) != 4 or not lines[0]:
        raise MalformedNote("not a checkpoint: it has three lines, origin, size and root")
    origin, size, root = lines[:3]
    if _SIZE.fullmatch(size) is None:
        raise MalformedNote("a checkpoint whose size is not a number")
    content = decode64(root)
    if len(content) != HASH_BYTES:
        raise MalformedNote("a checkpoint whose root is not a SHA-256")
    return Checkpoint(origin, int(size), content)


def origin_of(first_leaf: bytes) -> str:
    """The name of a log: from its first event, so that a copy has it and another log has not."""
    return f"tollgate.invalid/log/{first_leaf[:16].hex()}"
