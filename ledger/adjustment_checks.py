"""The life of every adjustment: decided by two people, once; posted as proposed; reversed once.

Memory: what is known of each adjustment, and the charges of corrections that are being posted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from ledger.codec import decode
from ledger.errors import UnknownTopic
from ledger.ids import charge_adjustment_id
from ledger.store.reader import Recorded
from ledger.streams import adjustment, credit
from ledger.streams.adjustment import (
    Adjustment,
    AdjustmentApproved,
    AdjustmentPosted,
    AdjustmentProposed,
    AdjustmentRejected,
    evolve,
)
from ledger.streams.charge.events import ChargeAdjusted
from ledger.streams.credit import CreditGranted

Problem = tuple[str, str]
"""The id of the check, and what is wrong."""

_CHECK = "adjustment"


class Misreversed(NamedTuple):
    """A posted reversal that is not the opposite of what it names."""

    position: int
    stream_id: UUID
    message: str


class _Posted(NamedTuple):
    """A reversal that was posted, to be compared with what it reverses."""

    position: int
    stream_id: UUID
    reverses: UUID
    reversed_position: int
    account_id: UUID
    amount_nanos: int
    against: str


@dataclass(slots=True)
class _Corrected:
    """What a correction has done to the charges of each account so far."""

    charges: dict[UUID, int] = field(default_factory=dict)
    charged_nanos: dict[UUID, int] = field(default_factory=dict)


class AdjustmentChecks:
    """Takes all events of the log in order; `settle` compares reversals with what they reverse."""

    def __init__(self) -> None:
        self._states: dict[UUID, Adjustment] = {}
        self._in_progress: dict[UUID, _Corrected] = {}
        self._reversed: set[UUID] = set()
        self._posted: list[_Posted] = []

    def check(self, event: Recorded) -> Iterator[Problem]:
        """What is wrong with an event."""
        one = event.event
        if isinstance(one, ChargeAdjusted):
            if self._in_progress and one.reason == "reprice":
                self._count(event.stream_id, one)
            return
        if isinstance(one, CreditGranted) and one.proposal is not None:
            for message in self._wrong_grant(one.proposal, event.stream_id, one):
                yield _CHECK, message
            return
        if not isinstance(
            one, AdjustmentProposed | AdjustmentApproved | AdjustmentRejected | AdjustmentPosted
        ):
            return
        state = self._states.get(event.stream_id, Adjustment())
        for message in self._wrong(event, state, one):
            yield _CHECK, message
        state = self._states[event.stream_id] = evolve(state, one)
        correction = None if state.proposed is None else state.proposed.correction
        if correction is not None and state.state == "approved":
            self._in_progress.setdefault(event.stream_id, _Corrected())
        else:
            self._in_progress.pop(event.stream_id, None)

    def settle(self, connection: psycopg.Connection[Any]) -> Iterator[Misreversed]:
        """The reversals since the last time that do not take back what they name.

        The connection must be one of `ledger.store.append.adapt`.
        """
        waiting, self._posted = self._posted, []
        for posted in waiting:
            row = connection.execute(
                "select topic, state from ledger.event where position = %b and originator_id = %b",
                (posted.reversed_position, posted.reverses),
                binary=True,
            ).fetchone()
            try:
                fact = None if row is None else decode(row[0], row[1])
            except (UnknownTopic, msgspec.MsgspecError, ValueError):
                continue  # named where it stands
            message = _not_opposite(posted, fact)
            if message is not None:
                yield Misreversed(posted.position, posted.stream_id, message)

    def _wrong(
        self,
        event: Recorded,
        state: Adjustment,
        one: AdjustmentProposed | AdjustmentApproved | AdjustmentRejected | AdjustmentPosted,
    ) -> Iterator[str]:
        proposed = state.proposed
        if isinstance(one, AdjustmentProposed):
            if proposed is not None:
                yield "proposed a second time"
            return
        if proposed is None:
            yield "decided or posted, but never proposed"
            return
        if isinstance(one, AdjustmentPosted):
            yield from self._wrong_posting(event, state, proposed, one)
            return
        if state.approved is not None or state.rejected is not None:
            yield "decided a second time"
        if isinstance(one, AdjustmentApproved) and one.actor == proposed.actor:
            yield f"approved by {one.actor}, who proposed it"

    def _wrong_posting(
        self,
        event: Recorded,
        state: Adjustment,
        proposed: AdjustmentProposed,
        posted: AdjustmentPosted,
    ) -> Iterator[str]:
        if state.approved is None:
            yield "posted, but not approved"
        if proposed.credit is not None:
            yield "posted, where a credit was to be granted"
        if posted.account_id in state.posted:
            yield f"posted to {posted.account_id} a second time"
        if proposed.correction is not None:
            yield from self._wrong_sums(event.stream_id, posted)
            return
        if (posted.account_id, posted.amount_nanos) != (
            proposed.account_id,
            proposed.amount_nanos,
        ):
            yield f"posted {posted.amount_nanos} nanos, {proposed.amount_nanos} were proposed"
        if posted.against != proposed.against:
            yield f"posted against {posted.against!r}, proposed was {proposed.against!r}"
        if proposed.reverses is not None:
            reverses = proposed.reverses
            if reverses.stream_id in self._reversed:
                yield f"{reverses.stream_id} is reversed a second time"
            self._reversed.add(reverses.stream_id)
            self._posted.append(
                _Posted(
                    event.position,
                    event.stream_id,
                    reverses.stream_id,
                    reverses.position,
                    posted.account_id,
                    posted.amount_nanos,
                    posted.against,
                )
            )

    def _wrong_grant(
        self, proposal: UUID, stream_id: UUID, granted: CreditGranted
    ) -> Iterator[str]:
        """A credit that two people had to agree on is granted as it was proposed."""
        state = self._states.get(proposal, Adjustment())
        wanted = None if state.proposed is None else state.proposed.credit
        if state.proposed is None or wanted is None:
            yield f"granted by {proposal}, which proposed no credit"
            return
        if state.approved is None:
            yield f"granted by {proposal}, which was not approved"
        given = (granted.source, granted.method, granted.reference)
        if (stream_id, granted.account_id, granted.amount_nanos, given) != (
            wanted.stream_id,
            state.proposed.account_id,
            state.proposed.amount_nanos,
            (wanted.source, wanted.method, wanted.reference),
        ):
            yield f"granted otherwise than {proposal} proposed"

    def _wrong_sums(self, correction_id: UUID, posted: AdjustmentPosted) -> Iterator[str]:
        done = self._in_progress.get(correction_id, _Corrected())
        charges = done.charges.get(posted.account_id, 0)
        charged = done.charged_nanos.get(posted.account_id, 0)
        if posted.amount_nanos:
            yield f"a correction moves {posted.amount_nanos} nanos besides those of its charges"
        if (posted.charges, posted.charged_nanos) != (charges, charged):
            yield (
                f"{posted.charges} charges by {posted.charged_nanos} nanos, "
                f"the log has {charges} by {charged}"
            )

    def _count(self, charge_id: UUID, adjusted: ChargeAdjusted) -> None:
        for correction_id, done in self._in_progress.items():
            if adjusted.adjustment_id == charge_adjustment_id(correction_id, charge_id):
                account_id = adjusted.account_id
                done.charges[account_id] = done.charges.get(account_id, 0) + 1
                done.charged_nanos[account_id] = (
                    done.charged_nanos.get(account_id, 0) + adjusted.delta_nanos
                )


def _not_opposite(posted: _Posted, fact: object) -> str | None:
    if not isinstance(fact, CreditGranted | AdjustmentPosted):
        return f"{posted.reverses} at {posted.reversed_position} is nothing that can be reversed"
    if (fact.account_id, fact.amount_nanos) != (posted.account_id, -posted.amount_nanos):
        return (
            f"{posted.amount_nanos} nanos for {posted.account_id} do not take back "
            f"{fact.amount_nanos} for {fact.account_id}"
        )
    # Earlier releases told no other side.
    contra = credit.contra(fact) if isinstance(fact, CreditGranted) else adjustment.contra(fact)
    if posted.against and posted.against != contra:
        return f"posted against {posted.against!r}, what it takes back against {contra!r}"
    return None
