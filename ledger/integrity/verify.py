"""Verifies files offline: receipts, checkpoints, the growth between them, accounts, whole logs.

No network and no database: files in, a verdict for each of them out. What was signed is believed
only if a key of the policy has signed it.
"""

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from ledger.codec import decode
from ledger.errors import UnknownTopic
from ledger.export.manifest import ManifestBroken, manifest_path, read_manifest, unlike
from ledger.integrity import account_file
from ledger.integrity.account_file import Head, ProvenEvent, Total, total_of
from ledger.integrity.checkpoint import parse_checkpoint
from ledger.integrity.entry import Entry, MalformedEntry, parse_entry
from ledger.integrity.log_file import is_log_line
from ledger.integrity.merkle import ProofInvalid, leaf_hash, verify_consistency, verify_inclusion
from ledger.integrity.note import MalformedNote, VerifierKey, parse_note
from ledger.integrity.proof import (
    CONSISTENCY_HEADER,
    RECEIPT_HEADER,
    ConsistencyProof,
    MalformedProof,
    parse_consistency,
    parse_receipt,
)
from ledger.integrity.verdict import (
    CannotVerify,
    Claim,
    Noted,
    Problem,
    Verdict,
    claim_of,
    contradictions,
)
from ledger.integrity.verify_log import verify_log

_SMALL_FILE_BYTES = 1024 * 1024
_HEAD_BYTES = 16 * 1024 * 1024
_UNREADABLE = (MalformedEntry, UnknownTopic, msgspec.MsgspecError, ValueError)


def verify_files(
    paths: list[Path], trusted: list[VerifierKey], event: bytes | None = None
) -> list[Verdict]:
    """The verdict of each file, all of them taken together.

    `event`: the bytes of the entry that a receipt is for, where it does not have them itself.
    Raises CannotVerify for files of no known kind, or where something is missing; OSError.
    """
    files = [(path, _kind(path)) for path in paths]
    session = _Session(trusted, event)
    # Small ones first: what they claim is compared with a whole log as it is read.
    verdicts = {path: session.small(path, kind) for path, kind in files if kind != "log"}
    session.require_proofs(has_log=any(kind == "log" for _, kind in files))
    for path in [path for path, kind in files if kind == "log"]:
        problems, noted = _beside(path)
        with path.open("rb") as lines:
            verdicts[path] = verify_log(str(path), lines, session.claims, trusted, noted)
        verdicts[path].problems += problems
    for claim, problem in contradictions(session.claims):
        verdicts[Path(claim.file)].problems.append(problem)
    session.compare(verdicts)
    return [verdicts[path] for path in paths]


class _Grown(NamedTuple):
    file: str
    proof: ConsistencyProof


class _Session:
    """What the files say so far."""

    def __init__(self, trusted: list[VerifierKey], event: bytes | None) -> None:
        self._trusted = trusted
        self._event = event
        self._given: list[Claim] = []
        self._grown: list[_Grown] = []
        self.claims: list[Claim] = []

    def small(self, path: Path, kind: str) -> Verdict:
        """Everything but a whole log."""
        verdict = Verdict(str(path), kind)
        check = {
            "receipt": self._receipt,
            "checkpoint": self._checkpoint,
            "consistency": self._consistency,
            "account": self._account,
        }[kind]
        check(path, verdict)
        return verdict

    def require_proofs(self, *, has_log: bool) -> None:
        """Raises CannotVerify where two checkpoints were given, and nothing that joins them."""
        sizes = sorted({claim.checkpoint.size for claim in self._given})
        proven = {(grown.proof.old_size, grown.proof.new_size) for grown in self._grown}
        for old, new in () if has_log else pairwise(sizes):
            if (old, new) not in proven:
                raise CannotVerify(
                    f"give the proof as well that the log only grew from {old} to {new}: "
                    f"/api/v1/ledger/consistency?from={old}&to={new}"
                )
        for old, new in proven:
            known = {claim.checkpoint.size for claim in self.claims}
            if not {old, new} <= known:
                raise CannotVerify(f"give the checkpoints of {old} and {new} events as well")

    def compare(self, verdicts: dict[Path, Verdict]) -> None:
        """Whether the log only grew from one checkpoint to the other."""
        by_size = {claim.checkpoint.size: claim.checkpoint for claim in self.claims}
        for file, proof in self._grown:
            verdict = verdicts[Path(file)]
            old, new = by_size.get(proof.old_size), by_size.get(proof.new_size)
            if old is None or new is None:
                continue  # not believed, and said so
            try:
                if old.origin != new.origin:
                    raise ProofInvalid("the checkpoints are of two logs")
                verify_consistency((old.size, old.root), (new.size, new.root), proof.hashes)
            except ProofInvalid as error:
                message = f"the log did not only grow from {old.size} to {new.size}: {error}"
                verdict.problems.append(Problem("consistency", None, message))

    def _claim(self, path: Path, note: str, verdict: Verdict) -> Claim | None:
        claim = claim_of(str(path), note, self._trusted, verdict)
        if claim is not None:
            self.claims.append(claim)
        return claim

    def _checkpoint(self, path: Path, verdict: Verdict) -> None:
        claim = self._claim(path, _text(path), verdict)
        if claim is not None:
            self._given.append(claim)
            verdict.says = f"{claim.checkpoint.size} events of {claim.checkpoint.origin}, signed"

    def _consistency(self, path: Path, verdict: Verdict) -> None:
        try:
            proof = parse_consistency(_text(path))
        except MalformedProof as error:
            verdict.problems.append(Problem("malformed", None, str(error)))
            return
        self._grown.append(_Grown(str(path), proof))
        verdict.facts = {"old_size": proof.old_size, "new_size": proof.new_size}
        verdict.says = f"the log only grew from {proof.old_size} to {proof.new_size} events"

    def _receipt(self, path: Path, verdict: Verdict) -> None:
        try:
            receipt = parse_receipt(_text(path))
        except MalformedProof as error:
            verdict.problems.append(Problem("malformed", None, str(error)))
            return
        claim = self._claim(path, receipt.checkpoint, verdict)
        position = receipt.index + 1
        verdict.facts["position"] = position
        content = self._event if self._event is not None else receipt.extra
        if content is None:
            raise CannotVerify(f"{path} does not have its event: give it with --event")
        is_shown = self._event is not None or receipt.is_entry_shown
        leaf = leaf_hash(content) if is_shown else content
        if claim is not None:
            _check_inclusion(verdict, claim, position, leaf, receipt.hashes)
        if is_shown:
            _describe(verdict, position, content)
        else:
            verdict.says = f"position {position} is in the log; the event is not shown"
            verdict.facts["leaf"] = leaf.hex()

    def _account(self, path: Path, verdict: Verdict) -> None:
        try:
            with path.open("rb") as lines:
                self._account_lines(path, lines.read().splitlines(), verdict)
        except (*_UNREADABLE, LookupError) as error:
            verdict.problems.append(Problem("malformed", None, str(error)))

    def _account_lines(self, path: Path, lines: list[bytes], verdict: Verdict) -> None:
        head = msgspec.json.decode(lines[0], type=Head)
        stated = msgspec.json.decode(lines[-1], type=Total)
        claim = self._claim(path, head.checkpoint, verdict)
        entries = list[Entry]()
        for number, line in enumerate(lines[1:-1], 1):
            proven = msgspec.json.decode(line, type=ProvenEvent)
            entry = parse_entry(proven.entry)
            entries.append(entry)
            if entry.account != (head.account_id, number):
                message = f"it is number {entry.account}, where {number} of the account belongs"
                verdict.problems.append(Problem("account_seq", entry.position, message))
            if claim is not None:
                leaf = leaf_hash(proven.entry)
                _check_inclusion(verdict, claim, entry.position, leaf, proven.proof)
        if len(entries) != head.events:
            message = f"{len(entries)} events where {head.events} were announced"
            verdict.problems.append(Problem("account_seq", None, message))
        if entries and not verdict.problems:
            found = total_of(head.account_id, entries)
            if found != stated:
                message = f"the events come to {found}, the file says {stated}"
                verdict.problems.append(Problem("balance", None, message))
        verdict.facts |= {"account_id": str(head.account_id), **msgspec.structs.asdict(stated)}
        verdict.says = (
            f"{len(entries)} events of account {head.account_id}: {stated.posted_nanos} nanos "
            f"posted, {stated.held_nanos} held"
        )


def _beside(path: Path) -> tuple[list[Problem], Noted | None]:
    """What is wrong with a log by the manifest beside it, and the checkpoint that is noted there.

    An export that was to end before the checkpoint cannot be compared with it. A manifest is not
    signed, so that such a one excuses a short file, and seals nothing of it.
    """
    if not manifest_path(path).exists():
        return [], None
    try:
        manifest = read_manifest(path)
    except ManifestBroken as broken:
        return [Problem("manifest", None, str(broken))], None
    problems = [Problem("manifest", None, fault) for fault in unlike(path, manifest)]
    if manifest.checkpoint is None:
        return problems, None
    name = str(manifest_path(path))
    try:
        size = parse_checkpoint(manifest.checkpoint).size
    except MalformedNote as error:
        return [*problems, Problem("manifest", None, f"{name}: {error}")], None
    is_within = size <= manifest.as_of_position
    return problems, Noted(name, manifest.checkpoint) if is_within else None


def _check_inclusion(
    verdict: Verdict, claim: Claim, position: int, leaf: bytes, proof: tuple[bytes, ...]
) -> None:
    checkpoint = claim.checkpoint
    try:
        verify_inclusion(leaf, position - 1, checkpoint.size, proof, checkpoint.root)
    except ProofInvalid as error:
        verdict.problems.append(Problem("inclusion", position, str(error)))


def _describe(verdict: Verdict, position: int, content: bytes) -> None:
    """What the event is; its own position must be the one that is proven."""
    try:
        entry = parse_entry(content)
        decode(entry.topic, entry.state)
    except _UNREADABLE as error:
        verdict.problems.append(Problem("event", position, f"it does not decode: {error}"))
        return
    if entry.position != position:
        message = f"the event says that it is at {entry.position}"
        verdict.problems.append(Problem("position", position, message))
    verdict.says = f"position {position} is in the log: {entry.topic}"
    verdict.facts |= {
        "stream_id": str(entry.stream_id),
        "version": entry.version,
        "recorded_at_us": entry.recorded_at_us,
        "account_id": None if entry.account is None else str(entry.account[0]),
        "account_seq": None if entry.account is None else entry.account[1],
        "topic": entry.topic,
        "event": msgspec.json.decode(entry.state),
    }


def _kind(path: Path) -> str:
    """What a file is, by how it begins. Raises CannotVerify."""
    with path.open("rb") as file:
        first = file.readline(_HEAD_BYTES)
    line = first.rstrip(b"\n")
    if line == RECEIPT_HEADER.encode():
        return "receipt"
    if line == CONSISTENCY_HEADER.encode():
        return "consistency"
    if line.startswith(b"{"):
        return _kind_of_lines(path, line)
    if path.stat().st_size <= _SMALL_FILE_BYTES:
        try:
            parse_note(_text(path))
        except MalformedNote:
            pass
        else:
            return "checkpoint"
    raise CannotVerify(f"{path} is not a receipt, a checkpoint, a proof, an account or a log")


def _kind_of_lines(path: Path, line: bytes) -> str:
    if is_log_line(line):
        return "log"
    try:
        if msgspec.json.decode(line, type=Head).format == account_file.FORMAT:
            return "account"
    except (msgspec.MsgspecError, ValueError):
        pass
    raise CannotVerify(f"{path} is neither an exported log (JSONL of events) nor an account")


def _text(path: Path) -> str:
    """A small file. Raises CannotVerify."""
    content = path.read_bytes()
    try:
        if len(content) <= _SMALL_FILE_BYTES:
            return content.decode()
    except UnicodeDecodeError:
        pass
    raise CannotVerify(f"{path} is too large, or not text")


def first_bad_position(verdicts: list[Verdict]) -> int | None:
    """The lowest position that any verdict names."""
    positions = [one.first_bad_position for one in verdicts if one.first_bad_position is not None]
    return min(positions, default=None)
