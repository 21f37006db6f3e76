"""Verifies a whole log from a file: its tree, its seals, its order, and the rules of the ledger.

Reads every event once. Memory: a version per stream, the open charges, a total per scope.
"""

from collections.abc import Iterable, Iterator
from uuid import UUID

import msgspec

from ledger.adjustment_checks import AdjustmentChecks
from ledger.balance_checks import BalanceChecks
from ledger.budget import BudgetFold
from ledger.charge_checks import ChargeChecks
from ledger.codec import decode
from ledger.collection import without_collection
from ledger.errors import UnknownTopic
from ledger.integrity.checkpoint import origin_of, parse_checkpoint
from ledger.integrity.entry import Entry
from ledger.integrity.log_file import LoggedEvent, MalformedLine, read_log, recorded_entry
from ledger.integrity.merkle import HASH_BYTES, Frontier, root_of_peaks
from ledger.integrity.note import (
    MalformedNote,
    NoteRefused,
    VerifierKey,
    decode64,
    parse_note,
    verify_note,
)
from ledger.integrity.signer import endorsed_by
from ledger.integrity.verdict import Claim, Noted, Problem, Verdict
from ledger.store.reader import Recorded
from ledger.streams.contract import Event
from ledger.streams.seal import CheckpointSealed, SigningKeyIntroduced

PROBLEMS_PER_CHECK = 100
_MISSING = bytes(HASH_BYTES)
_GAP_MAX = 100_000
_SIZES_KEPT = 100_000
"""A seal is appended a moment after the size that it seals."""


def verify_log(
    file: str,
    lines: Iterable[bytes],
    claims: list[Claim],
    trusted: list[VerifierKey],
    noted: Noted | None = None,
) -> Verdict:
    """Check a file of ledger/integrity/log_file.py, every checkpoint that is claimed of it, and
    the one that is noted beside it, which is well formed.
    """
    verdict = Verdict(file, "log")
    log = _Log(claims, trusted, noted)
    counts: dict[str, int] = {}
    with without_collection():
        for problem in log.problems(lines):
            counts[problem.check] = counts.get(problem.check, 0) + 1
            if counts[problem.check] <= PROBLEMS_PER_CHECK:
                verdict.problems.append(problem)
    verdict.unsealed = log.unsealed()
    verdict.facts = {
        "origin": log.origin,
        "size": log.tree.size,
        "root": log.tree.root().hex(),
        "seals": log.seals.checked,
        "sealed_size": log.agreed,
        "unsealed": verdict.unsealed,
        "problems_in_all": sum(counts.values()),
    }
    verdict.says = (
        f"{log.tree.size} events, {log.seals.checked} seals; the first {log.agreed} are under a "
        "signed root"
    )
    return verdict


class _Log:
    """A log as it streams by."""

    def __init__(
        self, claims: list[Claim], trusted: list[VerifierKey], noted: Noted | None
    ) -> None:
        self.origin = ""
        self.tree = Frontier()
        self.seals = _Seals(trusted)
        self._noted = noted
        if noted is not None:
            claims = [*claims, Claim(noted.file, parse_checkpoint(noted.note))]
        self._claims = sorted(claims, key=lambda each: each.checkpoint.size)
        self._order = _Order()
        self._rules = _Rules()
        self._peaks: dict[int, tuple[bytes, ...]] = {}
        self.agreed = 0
        self._first_exact: int | None = None

    def problems(self, lines: Iterable[bytes]) -> Iterator[Problem]:
        """Everything that is wrong, in the order in which it is found."""
        try:
            for event in read_log(lines):
                yield from self._event(event)
        except MalformedLine as error:
            yield Problem("line", self.tree.size + 1, str(error))
            return
        yield from self._rules.end()
        if self._noted is not None:
            yield from self.seals.noted(self._noted)
        for claim in self._claims:
            size = self.tree.size
            message = (
                f"the log ends at {size}, and {claim.file} was signed at {claim.checkpoint.size}: "
                "its end was cut off, or it is an older copy"
            )
            yield Problem("truncated", size + 1, message)

    def unsealed(self) -> int:
        """How many events no signed root covers. Seals behind the last root are not counted: they
        are signed themselves, and every log ends with one.
        """
        signed = sum(position > self.agreed for position in self.seals.signed_at)
        return self.tree.size - self.agreed - signed

    def _event(self, event: LoggedEvent) -> Iterator[Problem]:
        entry, leaf = event.entry, event.entry.leaf()
        if not self.tree.size:
            self.origin = origin_of(leaf)
        exact = list(self._order.check(entry))
        if event.leaf != leaf:
            message = "its leaf is another: a byte of it was changed"
            exact.append(Problem("leaf", entry.position, message))
        try:
            decoded = decode(entry.topic, entry.state)
        except (UnknownTopic, msgspec.MsgspecError, ValueError) as error:
            decoded = None
            exact.append(Problem("event", entry.position, f"it does not decode: {error}"))
        if exact and self._first_exact is None:
            self._first_exact = exact[0].position
        yield from exact
        for _ in range(min(_GAP_MAX, entry.position - 1 - self.tree.size)):
            yield from self._grow(_MISSING)
        yield from self._grow(leaf)
        if decoded is not None:
            yield from self._decoded(entry, decoded)

    def _decoded(self, entry: Entry, event: Event) -> Iterator[Problem]:
        yield from self._rules.check(recorded_entry(entry, event))
        if isinstance(event, SigningKeyIntroduced):
            self.seals.introduce(event)
        elif isinstance(event, CheckpointSealed):
            yield from self._sealed(entry, event)

    def _grow(self, leaf: bytes) -> Iterator[Problem]:
        self.tree.append(leaf)
        size = self.tree.size
        while self._claims and self._claims[0].checkpoint.size <= size:
            claim = self._claims.pop(0)
            if claim.checkpoint.size == size:
                yield from self._compare(claim)
        self._peaks[size] = self.tree.peaks()
        # A seal stands a few events behind what it seals; whatever is older is not asked for.
        self._peaks.pop(size - _SIZES_KEPT, None)

    def _compare(self, claim: Claim) -> Iterator[Problem]:
        checkpoint = claim.checkpoint
        if checkpoint.origin != self.origin:
            message = f"{claim.file} is of the log {checkpoint.origin}, this one is {self.origin}"
            yield Problem("origin", None, message)
        elif checkpoint.root == self.tree.root():
            self.agreed = max(self.agreed, checkpoint.size)
        else:
            yield self._rewritten(checkpoint.size, claim.file)

    def _sealed(self, entry: Entry, sealed: CheckpointSealed) -> Iterator[Problem]:
        peaks = self._peaks.get(sealed.size)
        if peaks is None:
            message = f"it seals {sealed.size} events, which is too long ago or still to come"
            yield Problem("seal", entry.position, message)
            return
        yield from self.seals.signature(entry.position, self.origin, sealed)
        try:
            is_same = decode64(sealed.root) == root_of_peaks(peaks)
        except MalformedNote:
            is_same = False
        if is_same:
            self.agreed = max(self.agreed, sealed.size)
            self.seals.forget(self.agreed)
        else:
            yield self._rewritten(sealed.size, f"the seal at position {entry.position}")

    def _rewritten(self, size: int, by: str) -> Problem:
        first = self.agreed + 1
        position = first if self._first_exact is None else self._first_exact
        message = (
            f"the first {size} events do not have the root that {by} has: "
            f"something between {first} and {size} was changed"
        )
        return Problem("root", position, message)


class _Seals:
    """The seals of the log itself, and the keys that may sign them.

    signed_at: the positions of those that hold, and that no later one covers.
    """

    def __init__(self, trusted: list[VerifierKey]) -> None:
        self._trusted = list(trusted)
        self.checked = 0
        self.signed_at: list[int] = []

    def introduce(self, event: SigningKeyIntroduced) -> None:
        """A key is trusted if the policy names it, or a trusted key vouches for it."""
        if endorsed_by(event.endorsement, event.verifier, self._trusted) is not None:
            self._trusted.append(VerifierKey.parse(event.verifier))

    def signature(self, position: int, origin: str, sealed: CheckpointSealed) -> Iterator[Problem]:
        """Whether a seal is signed as it says."""
        self.checked += 1
        try:
            verify_note(parse_note(sealed.note), self._trusted)
            checkpoint = parse_checkpoint(sealed.note)
        except (MalformedNote, NoteRefused) as error:
            yield Problem("signature", position, f"the seal: {error}")
            return
        if checkpoint[:2] != (origin, sealed.size) or checkpoint.text().split()[2] != sealed.root:
            yield Problem("signature", position, "the seal's note says something else")
            return
        self.signed_at.append(position)

    def noted(self, noted: Noted) -> Iterator[Problem]:
        """Whether a checkpoint is signed by a key of the policy, or one that the log made known."""
        try:
            verify_note(parse_note(noted.note), self._trusted)
        except NoteRefused as error:
            yield Problem("signature", None, f"{noted.file}: {error}")

    def forget(self, size: int) -> None:
        """The seals among the first `size` events, which a later one covers."""
        self.signed_at = [position for position in self.signed_at if position > size]


class _Order:
    """Positions, times, and the numbers of streams and accounts."""

    def __init__(self) -> None:
        self._position = 0
        self._recorded_at_us = 0
        self._versions: dict[UUID, int] = {}
        self._account_seq: dict[UUID, int] = {}

    def check(self, entry: Entry) -> Iterator[Problem]:
        """What is wrong with an event's place."""
        position = entry.position
        if position != self._position + 1:
            first = min(position, self._position + 1)
            yield Problem("position", first, f"{position} follows on {self._position}")
        if entry.recorded_at_us < self._recorded_at_us:
            yield Problem("recorded_at", position, "it was recorded before its predecessor")
        version = self._versions.get(entry.stream_id, 0) + 1
        if entry.version != version:
            message = f"version {entry.version} of its stream, where {version} belongs"
            yield Problem("version", position, message)
        self._position, self._recorded_at_us = position, entry.recorded_at_us
        self._versions[entry.stream_id] = entry.version
        if entry.account is not None:
            account_id, seq = entry.account
            expected = self._account_seq.get(account_id, 0) + 1
            if seq != expected:
                message = f"number {seq} of its account, where {expected} belongs"
                yield Problem("account_seq", position, message)
            self._account_seq[account_id] = seq


class _Rules:
    """The ledger's own rules, on every event: charges, budgets, caps, postings, adjustments."""

    def __init__(self) -> None:
        self._balances = BalanceChecks(BudgetFold())
        self._charges = ChargeChecks()
        self._adjustments = AdjustmentChecks()

    def check(self, event: Recorded) -> Iterator[Problem]:
        """What is wrong with an event."""
        for balance in self._balances.check(event):
            yield Problem(balance.check, event.position, balance.message)
        for checks in (self._charges, self._adjustments):
            for check, message in checks.check(event):
                yield Problem(check, event.position, message)

    def end(self) -> Iterator[Problem]:
        """What is wrong with the sums."""
        for problem in self._balances.end():
            yield Problem(problem.check, None, problem.message)
