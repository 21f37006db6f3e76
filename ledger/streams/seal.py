"""Seals: a signed checkpoint of the log itself, and the keys that sign them.

One stream per size that is sealed, so that no size has two roots, and one per signing key. What
is signed, and by whom, is the business of `ledger.integrity`; here it is only remembered.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal
from uuid import UUID

from ledger.errors import NotAllowedNow
from ledger.ids import derived_id
from ledger.streams.contract import Event, Stream

Cause = Literal["first", "rotation", "operator"]


class CheckpointSealed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The first `size` events have this root (base64 of the SHA-256), and the key has signed it.

    `note`: the signed checkpoint (https://c2sp.org/tlog-checkpoint), as it is given to anybody.
    `verifier`: the key that signed, in the text form of https://c2sp.org/signed-note.
    """

    TOPIC: ClassVar[str] = "seal.CheckpointSealed.v1"

    size: int
    root: str
    note: str
    verifier: str


class SigningKeyIntroduced(Event, frozen=True, kw_only=True, omit_defaults=True):
    """From here on checkpoints may be signed by this key.

    `endorsement`: a note in which the key before it names it. It is absent for the first key of a
    log, and where an operator introduced a key that no earlier one vouches for: whoever verifies
    has to be told of those some other way.
    """

    TOPIC: ClassVar[str] = "seal.SigningKeyIntroduced.v1"

    verifier: str
    cause: Cause
    actor: str
    endorsement: str = ""


@dataclass(frozen=True, slots=True)
class SealCheckpoint:
    """Remember a signed checkpoint."""

    size: int
    root: str
    note: str
    verifier: str


@dataclass(frozen=True, slots=True)
class IntroduceKey:
    """Remember a signing key."""

    verifier: str
    cause: Cause
    actor: str
    endorsement: str = ""


@dataclass(frozen=True, slots=True)
class Seal:
    """The fold of one stream of this kind."""

    version: int = 0
    sealed: CheckpointSealed | None = None
    introduced: SigningKeyIntroduced | None = None


def checkpoint_stream_id(size: int) -> UUID:
    """The stream of the one seal at a size."""
    return derived_id("seal", str(size))


def signing_key_stream_id(verifier: str) -> UUID:
    """The stream of one signing key."""
    return derived_id("signing_key", verifier)


def decide(state: Seal, command: SealCheckpoint | IntroduceKey) -> tuple[Event, ...]:
    """One event, the first time; none for a size that was sealed with this root, or a known key.

    Raises NotAllowedNow for another root at a size that was sealed.
    """
    match command:
        case SealCheckpoint(size=size, root=root, note=note, verifier=verifier):
            if state.sealed is None:
                return (CheckpointSealed(size=size, root=root, note=note, verifier=verifier),)
            if state.sealed.root != root:
                raise NotAllowedNow(f"size {size} was sealed with another root")
            return ()
        case IntroduceKey():
            if state.introduced is not None:
                return ()
            return (
                SigningKeyIntroduced(
                    verifier=command.verifier,
                    cause=command.cause,
                    actor=command.actor,
                    endorsement=command.endorsement,
                ),
            )


def evolve(state: Seal, event: CheckpointSealed | SigningKeyIntroduced) -> Seal:
    """The state after an event."""
    match event:
        case CheckpointSealed():
            return Seal(state.version + 1, event, state.introduced)
        case SigningKeyIntroduced():
            return Seal(state.version + 1, state.sealed, event)


STREAM = Stream(
    name="seal",
    events=(CheckpointSealed, SigningKeyIntroduced),
    initial=Seal,
    decide=decide,
    evolve=evolve,
)
