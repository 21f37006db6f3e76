"""A credit: money in, once per outside fact. The stream's id is the idempotency key."""

from dataclasses import dataclass
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from ledger.errors import IdempotencyConflict
from ledger.streams.contract import AccountEvent, Effect, Event, Posting, Stream

Source = Literal[
    "manual",
    "top_up",
    "redemption",
    "sign_up",
    "invite",
    "check_in",
    "promotion",
    "goodwill",
    "import",
    "opening",
]
GIFTS: frozenset[Source] = frozenset(
    {"sign_up", "invite", "check_in", "redemption", "promotion", "goodwill"}
)
"""Credits that nobody paid for."""

PROMOTIONS = "promotions"
"""The account of the double entry that bears them."""


class Alone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one actor credits one account with alone, on a day of the books: a budget scope of its
    own. cap_nanos: how much that may come to; None: as much as it likes.
    """

    scope: UUID
    cap_nanos: int | None = None


class CreditGranted(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`amount_nanos` more may be spent. Always version 1 of its stream, and the only event.

    method: how it was paid. reference: by what the payment is found at whoever took it. proposal:
    the adjustment by which another operator has approved it; None where one could grant it alone.
    alone: what it counts in then; None in events of earlier releases.
    """

    TOPIC: ClassVar[str] = "credit.CreditGranted.v1"

    amount_nanos: int
    source: Source
    method: str = ""
    reference: str = ""
    request_sha256: str
    actor: str
    proposal: UUID | None = None
    alone: Alone | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Credit an account. `request_sha256` tells a repeat from another request with the same key."""

    account_id: UUID
    amount_nanos: int
    source: Source
    request_sha256: str
    actor: str
    method: str = ""
    reference: str = ""
    proposal: UUID | None = None
    alone: Alone | None = None


@dataclass(frozen=True, slots=True)
class Credit:
    """The fold of one credit stream."""

    version: int = 0
    granted: CreditGranted | None = None


def decide(state: Credit, command: Grant) -> tuple[Event, ...]:
    """One event the first time, none for an exact repeat.

    Raises IdempotencyConflict when the key was used for another request.
    """
    if state.granted is not None:
        if state.granted.request_sha256 != command.request_sha256:
            raise IdempotencyConflict("this idempotency key was used for another request")
        return ()
    assert command.amount_nanos > 0
    return (
        CreditGranted(
            account_id=command.account_id,
            amount_nanos=command.amount_nanos,
            source=command.source,
            method=command.method,
            reference=command.reference,
            request_sha256=command.request_sha256,
            actor=command.actor,
            proposal=command.proposal,
            alone=command.alone,
        ),
    )


def evolve(state: Credit, event: CreditGranted) -> Credit:
    """The state after an event."""
    return Credit(state.version + 1, event)


def effects(event: CreditGranted) -> tuple[Effect, ...]:
    """Posts the amount to the account; what one gives alone is held where it counts, for good."""
    posted = Effect(event.account_id, 0, event.amount_nanos)
    if event.alone is None:
        return (posted,)
    return (posted, Effect(event.alone.scope, event.amount_nanos, 0, event.alone.cap_nanos))


def postings(event: CreditGranted) -> tuple[Posting, ...]:
    """Against the payment method's clearing account, or promotions when nobody paid."""
    return (
        Posting(contra(event), -event.amount_nanos),
        Posting("customer:available", event.amount_nanos),
    )


def contra(event: CreditGranted) -> str:
    """The other side of a credit in the double entry."""
    return PROMOTIONS if event.source in GIFTS else clearing(event.method or event.source)


def clearing(method: str) -> str:
    """The account that is settled with whoever handles a payment method."""
    return f"clearing:{method}"


STREAM = Stream(
    name="credit",
    events=(CreditGranted,),
    initial=Credit,
    decide=decide,
    evolve=evolve,
    effects=effects,
    postings=postings,
)
