"""What verifying comes to: problems by file, and whom to believe."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ledger.integrity.checkpoint import Checkpoint, parse_checkpoint
from ledger.integrity.note import (
    MalformedNote,
    NoteRefused,
    VerifierKey,
    parse_note,
    verify_note,
)


class Problem(NamedTuple):
    """One thing that is wrong. `check` is a stable id."""

    check: str
    position: int | None
    message: str


@dataclass(slots=True)
class Verdict:
    """What was found out about one file; `says` is one line for people.

    unsealed: how many of its events no signed root covers, so that whoever wrote the file may have
    written them anew, hashes and all.
    """

    file: str
    kind: str
    says: str = ""
    facts: dict[str, object] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unsealed: int = 0

    @property
    def is_good(self) -> bool:
        """Whether everything holds."""
        return not self.problems

    @property
    def first_bad_position(self) -> int | None:
        """The lowest position that a problem names."""
        positions = [each.position for each in self.problems if each.position is not None]
        return min(positions, default=None)


class Claim(NamedTuple):
    """A checkpoint that a trusted key has signed, and the file that had it."""

    file: str
    checkpoint: Checkpoint


class Noted(NamedTuple):
    """A checkpoint that somebody noted beside a log, in `file`. Its key may be one that only the
    log makes known.
    """

    file: str
    note: str


class CannotVerify(Exception):
    """The files do not make a question that can be answered; says what is missing."""


def claim_of(file: str, note: str, trusted: list[VerifierKey], verdict: Verdict) -> Claim | None:
    """The checkpoint of a note; None, and a problem, where it cannot be believed."""
    try:
        checkpoint = parse_checkpoint(note)
        key = verify_note(parse_note(note), trusted)
    except (MalformedNote, NoteRefused) as error:
        verdict.problems.append(Problem("signature", None, f"the checkpoint: {error}"))
        return None
    if key.name != checkpoint.origin:
        message = f"{key.name} has signed a checkpoint of {checkpoint.origin}"
        verdict.problems.append(Problem("signature", None, message))
        return None
    verdict.facts |= {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "signed_by": str(key),
    }
    return Claim(file, checkpoint)


def contradictions(claims: list[Claim]) -> Iterator[tuple[Claim, Problem]]:
    """Two roots for one size of one log: somebody is shown another history (a split view)."""
    first: dict[tuple[str, int], Claim] = {}
    for claim in claims:
        place = claim.checkpoint.origin, claim.checkpoint.size
        other = first.setdefault(place, claim)
        if other.checkpoint.root != claim.checkpoint.root:
            message = (
                f"split view: its root at size {claim.checkpoint.size} is not the one that "
                f"{other.file} has, and both are signed"
            )
            yield claim, Problem("split_view", None, message)
