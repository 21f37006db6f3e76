"""An adjustment: money moved by hand. One operator proposes it, another one approves it.

Nothing posted is ever changed: what was wrong is reversed by another adjustment, once. A
correction is an adjustment too: its money moves in the charges it corrects (`ChargeAdjusted`), and
its own stream says who decided it, and what it came to for each account. So is a credit that is
too large for one operator: approving it grants the credit, in the same group.

The reasons people write are in the vault; events carry a code.
"""

from dataclasses import asdict, dataclass, replace
from typing import ClassVar, Literal, assert_never
from uuid import UUID

import msgspec

from ledger.alternative import Question
from ledger.errors import FourEyes, IdempotencyConflict, NotAllowedNow, NotFound
from ledger.streams.contract import AccountEvent, Effect, Event, Posting, Stream

Kind = Literal["manual", "reversal", "correction", "credit"]
Reason = Literal[
    "billing_error", "goodwill", "refund", "dispute", "write_off", "fraud", "migration", "other"
]
Direction = Literal["both", "customer"]
"""Of a correction: whether charges may rise as well, or only fall, in the customer's favour."""

State = Literal["proposed", "approved", "posted", "rejected"]

ADJUSTMENTS = "adjustments"
"""The account of the double entry that bears what has no other side."""

_PERSON = "operator:"


class Reversed(msgspec.Struct, frozen=True, kw_only=True):
    """The posted fact that a reversal takes back: its stream, and the position of its event."""

    stream_id: UUID
    position: int


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """What a correction will do: the question of its what-if, and the answer that was approved.

    digest: the SHA-256, in hex, of one line `<charge id>:<delta in nanodollars>` (and a line feed)
    for every charge to be corrected, in the order in which they were closed.
    before_nanos: what customers paid for these charges, delta_nanos: what they will pay more.
    """

    question: Question
    direction: Direction
    charges: int
    accounts: int
    before_nanos: int
    delta_nanos: int
    digest: str


class ProposedCredit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The credit that approving grants: its stream, and the origin as in `CreditGranted`."""

    stream_id: UUID
    source: str
    method: str = ""
    reference: str = ""


class AdjustmentProposed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An operator wants money to move. `amount_nanos`: positive gives to the customer.

    account_id: None for a correction, which concerns many; its amount is 0. against: where in the
    double entry the money comes from or goes to; empty stands for `adjustments`, but of a `credit`.
    """

    TOPIC: ClassVar[str] = "adjustment.AdjustmentProposed.v1"

    kind: Kind
    account_id: UUID | None = None
    amount_nanos: int = 0
    reason: Reason
    reverses: Reversed | None = None
    correction: Correction | None = None
    credit: ProposedCredit | None = None
    against: str = ""
    request_sha256: str
    actor: str


class AdjustmentApproved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Another operator agrees. checked_position: of a correction, up to where the log was seen to
    still give the proposed digest.
    """

    TOPIC: ClassVar[str] = "adjustment.AdjustmentApproved.v1"

    checked_position: int = 0
    actor: str


class AdjustmentRejected(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It will not be done. `request_sha256` names the words in the vault."""

    TOPIC: ClassVar[str] = "adjustment.AdjustmentRejected.v1"

    request_sha256: str
    actor: str


class AdjustmentPosted(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The money is moved: `amount_nanos` to the customer, `against` as proposed.

    Of a correction there is one for each account. It moves nothing itself: charges says how many
    were corrected, charged_nanos what the account pays more for them.
    """

    TOPIC: ClassVar[str] = "adjustment.AdjustmentPosted.v1"

    amount_nanos: int = 0
    reason: Reason
    charges: int = 0
    charged_nanos: int = 0
    against: str = ""
    actor: str


AdjustmentEvent = AdjustmentProposed | AdjustmentApproved | AdjustmentRejected | AdjustmentPosted


@dataclass(frozen=True, slots=True)
class Propose:
    """Propose an adjustment, in the fields of its event. `request_sha256` tells a repeat."""

    kind: Kind
    reason: Reason
    request_sha256: str
    actor: str
    account_id: UUID | None = None
    amount_nanos: int = 0
    reverses: Reversed | None = None
    correction: Correction | None = None
    credit: ProposedCredit | None = None
    against: str = ""


@dataclass(frozen=True, slots=True)
class Approve:
    """Agree, and post what is posted at once: no correction, nor a credit, which is granted."""

    actor: str
    checked_position: int = 0


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse; the proposer may take the proposal back by it."""

    request_sha256: str
    actor: str


class Corrected(msgspec.Struct, frozen=True):
    """What a correction came to for one account."""

    account_id: UUID
    charges: int
    charged_nanos: int


@dataclass(frozen=True, slots=True)
class PostCorrected:
    """Say what an approved correction came to for some accounts, each once."""

    corrected: tuple[Corrected, ...]


Command = Propose | Approve | Reject | PostCorrected


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The fold of one adjustment stream."""

    version: int = 0
    proposed: AdjustmentProposed | None = None
    approved: AdjustmentApproved | None = None
    rejected: AdjustmentRejected | None = None
    posted: frozenset[UUID] = frozenset()
    """The accounts it was posted to."""

    @property
    def state(self) -> State:
        """Where it stands. Only a correction stays `approved` for a while, while it is posted."""
        if self.rejected is not None:
            return "rejected"
        if self.approved is None:
            return "proposed"
        expected = 1 if self.proposed is None else postings_expected(self.proposed)
        return "posted" if len(self.posted) >= expected else "approved"


def postings_expected(proposed: AdjustmentProposed) -> int:
    """How many `AdjustmentPosted` approving it comes to: one an account, none of a credit."""
    if proposed.credit is not None:
        return 0
    return 1 if proposed.correction is None else proposed.correction.accounts


def decide(state: Adjustment, command: Command) -> tuple[Event, ...]:
    """The events that answer a command; none for an exact repeat.

    Raises IdempotencyConflict, NotFound, NotAllowedNow, FourEyes.
    """
    match command:
        case Propose():
            return _proposed(state, command)
        case Approve():
            return _approved(state, command)
        case Reject():
            return _rejected(state, command)
        case PostCorrected():
            return _corrected(state, command)
        case _:
            assert_never(command)


def evolve(state: Adjustment, event: AdjustmentEvent) -> Adjustment:
    """The state after an event; never refuses what already happened."""
    state = replace(state, version=state.version + 1)
    match event:
        case AdjustmentProposed():
            return replace(state, proposed=event)
        case AdjustmentApproved():
            return replace(state, approved=event)
        case AdjustmentRejected():
            return replace(state, rejected=event)
        case AdjustmentPosted():
            return replace(state, posted=state.posted | {event.account_id})
        case _:
            assert_never(event)


def effects(event: AdjustmentEvent) -> tuple[Effect, ...]:
    """Posting moves the account's balance, below zero if need be; nothing else moves anything."""
    if isinstance(event, AdjustmentPosted) and event.amount_nanos:
        return (Effect(event.account_id, 0, event.amount_nanos),)
    return ()


def postings(event: AdjustmentEvent) -> tuple[Posting, ...]:
    """Against what it takes back, what was paid with, or the account of adjustments."""
    if not isinstance(event, AdjustmentPosted) or not event.amount_nanos:
        return ()
    return (
        Posting(contra(event), -event.amount_nanos),
        Posting("customer:available", event.amount_nanos),
    )


def contra(event: AdjustmentPosted) -> str:
    """The other side of a posted adjustment in the double entry."""
    return event.against or ADJUSTMENTS


def _proposed(state: Adjustment, command: Propose) -> tuple[Event, ...]:
    known = state.proposed
    if known is not None:
        given = (command.request_sha256, command.actor, command.kind)
        if (known.request_sha256, known.actor, known.kind) != given:
            raise IdempotencyConflict("this was proposed before, by another request")
        return ()
    _require_person(command.actor)
    assert (command.kind == "correction") == (command.correction is not None)
    assert (command.kind == "reversal") == (command.reverses is not None)
    assert (command.kind == "credit") == (command.credit is not None)
    assert (command.correction is None) == (command.account_id is not None)
    assert (command.correction is None) == (command.amount_nanos != 0)
    return (AdjustmentProposed(**asdict(command)),)


def _approved(state: Adjustment, command: Approve) -> tuple[Event, ...]:
    proposed = _require_proposed(state)
    _require_person(command.actor)
    if command.actor == proposed.actor:
        raise FourEyes("whoever proposed an adjustment cannot approve it: another operator must")
    if state.approved is not None:
        if state.approved.actor == command.actor:
            return ()
        raise NotAllowedNow("another operator has approved it already")
    if state.rejected is not None:
        raise NotAllowedNow("it was rejected")
    approved = AdjustmentApproved(checked_position=command.checked_position, actor=command.actor)
    if proposed.account_id is None or proposed.credit is not None:
        return (approved,)
    posted = AdjustmentPosted(
        account_id=proposed.account_id,
        amount_nanos=proposed.amount_nanos,
        reason=proposed.reason,
        against=proposed.against,
        actor=command.actor,
    )
    return (approved, posted)


def _rejected(state: Adjustment, command: Reject) -> tuple[Event, ...]:
    _require_proposed(state)
    _require_person(command.actor)
    if state.approved is not None:
        raise NotAllowedNow("it was approved; what is posted can only be reversed")
    if state.rejected is not None:
        if state.rejected.actor == command.actor:
            return ()
        raise NotAllowedNow("another operator has rejected it already")
    return (AdjustmentRejected(request_sha256=command.request_sha256, actor=command.actor),)


def _corrected(state: Adjustment, command: PostCorrected) -> tuple[Event, ...]:
    proposed = _require_proposed(state)
    if proposed.correction is None or state.approved is None:
        raise NotAllowedNow("only an approved correction is posted account by account")
    return tuple(
        AdjustmentPosted(
            **msgspec.structs.asdict(each), reason=proposed.reason, actor=state.approved.actor
        )
        for each in command.corrected
        if each.account_id not in state.posted
    )


def _require_proposed(state: Adjustment) -> AdjustmentProposed:
    if state.proposed is None:
        raise NotFound("no such adjustment")
    return state.proposed


def _require_person(actor: str) -> None:
    if not actor.startswith(_PERSON):
        raise FourEyes(f"{actor!r} names no operator: adjustments are decided by two people")


STREAM = Stream(
    name="adjustment",
    events=(AdjustmentProposed, AdjustmentApproved, AdjustmentRejected, AdjustmentPosted),
    initial=Adjustment,
    decide=decide,
    evolve=evolve,
    effects=effects,
    postings=postings,
)
