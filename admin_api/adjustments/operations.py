"""Adjustments at the desk: proposed by one operator, decided by another, reversed, looked at."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from admin_api.accounts.operations import require_account
from admin_api.adjustments.hands import require_another_hand
from admin_api.desk import Desk, served_position
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from ledger import ids, vault
from ledger.application import Request
from ledger.errors import NotAllowedNow, NotFound
from ledger.ids import reversal_id
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.streams import adjustment, credit
from ledger.streams.adjustment import (
    Adjustment,
    AdjustmentApproved,
    AdjustmentPosted,
    AdjustmentProposed,
    AdjustmentRejected,
    Approve,
    Propose,
    ProposedCredit,
    Reason,
    Reject,
    Reversed,
    State,
)
from ledger.streams.credit import PROMOTIONS, CreditGranted, clearing
from ledger.vault import Place
from projections.views import adjustments as view
from projections.views.adjustments import AdjustedAccountRow, AdjustmentRow

Side = Literal["credit", "debit"]
"""Whether the customer gets the amount, or gives it."""

_THROUGH_THE_PAYMENT: frozenset[Reason] = frozenset({"refund", "dispute"})
"""Reasons for which money goes back to where it came from."""

ATTEMPTS_MAX = 100
"""So often a reversal of the same fact may be proposed and rejected."""

REASON_KIND = "adjustment"
"""Of the vault's cells with the words about adjustments."""
_NEWEST = 1 << 62


@dataclass(frozen=True, slots=True)
class Wanted:
    """A manual adjustment as somebody wrote it: an amount in USD, a code, and words."""

    account_id: UUID
    amount: str
    side: Side
    code: Reason
    reason: str
    method: str | None = None
    """Of a refund or a dispute, how the money goes back; None: by hand."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """Where a proposal is, the same for every repeat of its request."""

    adjustment_id: UUID
    position: int


@dataclass(frozen=True, slots=True)
class AdjustmentView:
    """An adjustment as its own stream tells it, with the words that were written about it."""

    adjustment_id: UUID
    state: Adjustment
    row: AdjustmentRow
    """What the read model will have of it, or has."""
    proposed: Recorded
    decided: Recorded | None
    posted: tuple[Recorded, ...]
    reason: str | None
    rejection: str | None

    @property
    def decided_at(self) -> datetime | None:
        """When it was approved or rejected."""
        return None if self.decided is None else self.decided.recorded_at


async def propose_adjustment(
    desk: Desk, wanted: Wanted, *, adjustment_id: UUID, actor: str
) -> Proposed:
    """Propose to move money to an account or from it; `adjustment_id` is of the idempotency key.

    Raises InvalidAmount, InvalidInput, NotFound, IdempotencyConflict, FourEyes (nobody by name).
    """
    amount_nanos = inputs.positive_amount(wanted.amount) * (1 if wanted.side == "credit" else -1)
    against = _against(wanted)
    method = () if wanted.method is None else (wanted.method,)
    reason = inputs.text("reason", wanted.reason, inputs.REASON_MAX)
    account_id, code = wanted.account_id, wanted.code
    await require_account(desk, account_id)
    command = Propose(
        kind="manual",
        reason=code,
        request_sha256=sha256_of(str(account_id), amount_nanos, code, reason, *method),
        actor=actor,
        account_id=account_id,
        amount_nanos=amount_nanos,
        against=against,
    )
    return await propose(desk, adjustment_id, command, reason)


async def propose_reversal(
    desk: Desk, position: int, *, code: Reason, reason: str, actor: str
) -> Proposed:
    """Propose to take back the credit or the adjustment whose posting is at a position.

    What is reversed is the idempotency key: it is done once. Raises InvalidInput, NotFound,
    NotAllowedNow if it cannot be reversed, or somebody is about to, or has.
    """
    reason = inputs.text("reason", reason, inputs.REASON_MAX)
    fact = await _event_at(desk, position)
    if not isinstance(fact.event, CreditGranted | AdjustmentPosted):
        raise NotAllowedNow("only a credit or a posted adjustment can be reversed")
    if fact.event.amount_nanos == 0:
        raise NotAllowedNow("a correction moves charges: correct them by another correction")
    digest = sha256_of(position, code, reason)
    adjustment_id = await _free_attempt(desk, fact.stream_id, digest, actor)
    command = Propose(
        kind="reversal",
        reason=code,
        request_sha256=digest,
        actor=actor,
        account_id=fact.event.account_id,
        amount_nanos=-fact.event.amount_nanos,
        reverses=Reversed(stream_id=fact.stream_id, position=position),
        against=_contra(fact.event),
    )
    return await propose(desk, adjustment_id, command, reason)


async def propose(desk: Desk, adjustment_id: UUID, command: Propose, reason: str) -> Proposed:
    """Put the reason into the vault, and then the proposal into the log.

    Raises IdempotencyConflict, FourEyes, StoreUnavailable.
    """
    async with desk.pool.connection() as connection:
        row = reason_row(adjustment_id, command.request_sha256)
        place = Place(REASON_KIND, row, "reason", command.account_id or adjustment_id)
        await vault.put(connection, desk.vault, place, reason)
    appended = await desk.handle(adjustment.STREAM, adjustment_id, command)
    if appended is not None:
        return Proposed(adjustment_id, appended.positions[0])
    events = await desk.ledger.events(adjustment_id)
    return Proposed(adjustment_id, events[0].position)


async def approve(desk: Desk, adjustment_id: UUID, *, actor: str) -> AdjustmentView:
    """Approve an adjustment and post it, in one step; not for corrections.

    Returns once balance and cache show it. Raises NotFound, FourEyes, NotAllowedNow.
    """
    await require_another_hand(desk, adjustment_id, actor)
    requests = [Request(adjustment.STREAM, adjustment_id, Approve(actor))]
    state: Adjustment = await desk.state(adjustment.STREAM, adjustment_id)
    if state.proposed is not None and state.proposed.credit is not None:
        requests.append(_grant(adjustment_id, state.proposed, state.proposed.credit, actor))
    appended = await desk.ledger.handle_together(requests)
    if appended is not None:
        await desk.shown(appended)
    return await read_adjustment(desk, adjustment_id)


async def reject(desk: Desk, adjustment_id: UUID, *, reason: str, actor: str) -> AdjustmentView:
    """Reject an adjustment; its proposer may, too. Raises InvalidInput, NotFound, NotAllowedNow."""
    reason = inputs.text("reason", reason, inputs.REASON_MAX)
    state: Adjustment = await desk.state(adjustment.STREAM, adjustment_id)
    if state.proposed is None:
        raise NotFound("no such adjustment")
    digest = sha256_of(actor, reason)
    async with desk.pool.connection() as connection:
        row = reason_row(adjustment_id, digest)
        place = Place(REASON_KIND, row, "rejection", state.proposed.account_id or adjustment_id)
        await vault.put(connection, desk.vault, place, reason)
    await desk.handle(adjustment.STREAM, adjustment_id, Reject(digest, actor))
    return await read_adjustment(desk, adjustment_id)


async def read_adjustment(desk: Desk, adjustment_id: UUID) -> AdjustmentView:
    """One adjustment, straight from its stream, so it is never behind. Raises NotFound."""
    events = await desk.ledger.events(adjustment_id)
    if not events or type(events[0].event) not in adjustment.STREAM.events:
        raise NotFound("no such adjustment")
    state, row = Adjustment(), None
    for one in events:
        state = adjustment.evolve(state, one.event)  # type: ignore[arg-type]  # of its own stream
        row = view.apply((adjustment_id,), row, one)
    decisions = (AdjustmentApproved, AdjustmentRejected)
    assert state.proposed is not None
    assert row is not None
    reason = await _words(desk, adjustment_id, state.proposed.request_sha256, "reason")
    rejection = None
    if state.rejected is not None:
        digest = state.rejected.request_sha256
        rejection = await _words(desk, adjustment_id, digest, "rejection")
    return AdjustmentView(
        adjustment_id=adjustment_id,
        state=state,
        row=row,
        proposed=events[0],
        decided=next((one for one in events if isinstance(one.event, decisions)), None),
        posted=tuple(one for one in events if isinstance(one.event, AdjustmentPosted)),
        reason=reason,
        rejection=rejection,
    )


async def list_adjustments(
    desk: Desk,
    *,
    state: State | None,
    account_id: UUID | None,
    before: int | None,
    limit: int,
    at_least: int = 0,
) -> list[AdjustmentRow]:
    """Adjustments, the newest first. Raises NotCaughtUp, QueryTooSlow."""
    name = view.PROJECTION.name
    async with desk.reading() as connection:
        if not await served_position(connection, name, at_least):
            return []
        return await view.list_adjustments(
            connection, state=state, account_id=account_id, before=before or _NEWEST, limit=limit
        )


async def list_adjusted_accounts(
    desk: Desk, adjustment_id: UUID, *, after: UUID | None, limit: int
) -> list[AdjustedAccountRow]:
    """What an adjustment came to, account by account. Raises QueryTooSlow."""
    async with desk.reading() as connection:
        if not await served_position(connection, view.PROJECTION.name):
            return []
        return await view.list_adjusted_accounts(
            connection, adjustment_id, after=after, limit=limit
        )


def proposal_id(caller: str, route: str, key: str) -> UUID:
    """The stream of the adjustment that an idempotency key stands for."""
    return ids.derived_id("adjustment", f"api:{caller}:{route}:{key}")


def sha256_of(*parts: object) -> str:
    """What tells one request from another."""
    canonical = json.dumps(parts, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _grant(
    adjustment_id: UUID, proposed: AdjustmentProposed, wanted: ProposedCredit, actor: str
) -> Request:
    """The credit that an approval grants, in its group."""
    assert proposed.account_id is not None
    command = credit.Grant(
        proposed.account_id,
        proposed.amount_nanos,
        cast("credit.Source", wanted.source),
        proposed.request_sha256,
        actor,
        wanted.method,
        wanted.reference,
        adjustment_id,
    )
    return Request(credit.STREAM, wanted.stream_id, command)


def _against(wanted: Wanted) -> str:
    """Where the money comes from, or goes to. Raises InvalidInput."""
    if wanted.code in _THROUGH_THE_PAYMENT:
        return clearing(inputs.payment_method("method", wanted.method or "manual"))
    if wanted.method is not None:
        raise InvalidInput("method", f"is for {' and '.join(sorted(_THROUGH_THE_PAYMENT))} only")
    return PROMOTIONS if wanted.code == "goodwill" else adjustment.ADJUSTMENTS


def _contra(fact: CreditGranted | AdjustmentPosted) -> str:
    return credit.contra(fact) if isinstance(fact, CreditGranted) else adjustment.contra(fact)


async def _free_attempt(desk: Desk, reversed_stream: UUID, digest: str, actor: str) -> UUID:
    """The attempt that this request is, or may begin: all before it were rejected."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        adjustment_id = reversal_id(reversed_stream, attempt)
        state: Adjustment = await desk.state(adjustment.STREAM, adjustment_id)
        if state.proposed is None:
            return adjustment_id
        if state.state != "rejected":
            if (state.proposed.request_sha256, state.proposed.actor) == (digest, actor):
                return adjustment_id
            done = "has been reversed" if state.state == "posted" else "is about to be reversed"
            raise NotAllowedNow(f"it {done} already, by adjustment {adjustment_id}")
    raise NotAllowedNow(f"its reversal was rejected {ATTEMPTS_MAX} times")


async def _event_at(desk: Desk, position: int) -> Recorded:
    async with desk.pool.connection() as connection:
        cursor = await connection.execute(
            f"select {RECORDED_COLUMNS} from ledger.event where position = %s",  # noqa: S608
            (position,),
            binary=True,
        )
        row: Any = await cursor.fetchone()
    if row is None:
        raise NotFound("the log has no such position")
    return recorded(row)


async def _words(desk: Desk, adjustment_id: UUID, digest: str, field: str) -> str | None:
    async with desk.pool.connection() as connection:
        row = reason_row(adjustment_id, digest)
        return (await vault.tell_many(connection, desk.vault, REASON_KIND, field, [row])).get(row)


def reason_row(adjustment_id: UUID, request_sha256: str) -> UUID:
    """The vault row of the words. It depends on the request, so that one refused a moment later
    cannot have overwritten it.
    """
    return ids.derived_id("adjustment_reason", f"{adjustment_id}:{request_sha256}")
