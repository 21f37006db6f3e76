"""Corrections: a what-if made true by compensating events, when two operators agree.

What is proposed is what the what-if said: so many charges, by so much, with a digest over every one
of them. What is posted is computed again from the log, as of the same position: it is the same for
ever, so a posting that was interrupted goes on where it was. Before it begins, the question is
answered once more as of the end of the log; if any charge, price or sum has changed since, it is
refused.

One correction is posted at a time, on the whole installation: two at once could take the same
charges for what neither of them left.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from admin_api.adjustments.hands import require_another_hand
from admin_api.adjustments.operations import Proposed, propose, sha256_of
from admin_api.desk import Desk
from admin_api.fields import inputs
from admin_api.jobs.operations import Job
from ledger.errors import NotAllowedNow, NotFound, NumbersChanged
from ledger.ids import charge_adjustment_id
from ledger.reprice import Repriced, is_corrected
from ledger.store.reader import read_head
from ledger.streams import adjustment
from ledger.streams.adjustment import (
    Adjustment,
    AdjustmentApproved,
    Approve,
    Corrected,
    Correction,
    Direction,
    PostCorrected,
    Propose,
    Reason,
)
from ledger.streams.charge import rules as charge
from ledger.streams.charge.events import ChargeAdjusted
from ledger.streams.contract import Event
from projections.books.reprice import Progress, verdicts, what_if

_LOCK = 0x636F7272  # "corr": one correction at a time
_CHARGES_AT_ONCE = 200
_CONNECTIONS = 2
"""For reading charges, beside the one that holds the lock: a tool at the desk has few."""
_ACCOUNTS_AT_ONCE = 200

# The last two conditions are those of the index event_configuration, so that only it is read.
_APPROVED = f"""
    select originator_id from ledger.event where topic = '{AdjustmentApproved.TOPIC}'
    and topic not like 'charge.%%' and topic not like 'credit.%%' order by position desc limit 1000
"""  # noqa: S608 - a constant


class PostedCorrection(msgspec.Struct, frozen=True, kw_only=True):
    """What a correction came to. `is_repeated`: it had been posted before, and nothing was done."""

    adjustment: UUID
    accounts: int
    charges: int
    charged_nanos: int
    is_repeated: bool


def proposal_of(job: Job, direction: Direction) -> Correction:
    """What a finished what-if would correct. Raises NotFound, NotAllowedNow."""
    if job.kind != "reprice":
        raise NotFound("no such what-if")
    if job.state != "done" or job.result is None:
        raise NotAllowedNow(f"the what-if is not done: it is {job.state}")
    return msgspec.convert(job.result["proposals"][direction], Correction)


async def propose_correction(
    desk: Desk,
    correction: Correction,
    *,
    code: Reason,
    reason: str,
    adjustment_id: UUID,
    actor: str,
) -> Proposed:
    """Propose what a what-if came to. Raises InvalidInput, NotAllowedNow (nothing to correct)."""
    reason = inputs.text("reason", reason, inputs.REASON_MAX)
    if not correction.charges:
        raise NotAllowedNow("there is nothing to correct: no charge would change that way")
    terms = msgspec.json.encode(correction, order="deterministic").decode()
    command = Propose(
        kind="correction",
        reason=code,
        request_sha256=sha256_of(terms, code, reason),
        actor=actor,
        correction=correction,
    )
    return await propose(desk, adjustment_id, command, reason)


async def check_approval(desk: Desk, adjustment_id: UUID, *, actor: str) -> bool:
    """Whether this is a correction, which that operator may have posted, or posted on.

    Raises NotFound, FourEyes, NotAllowedNow: what posting it would raise, without waiting for it.
    """
    state: Adjustment = await desk.state(adjustment.STREAM, adjustment_id)
    if state.proposed is None:
        raise NotFound("no such adjustment")
    if state.proposed.correction is None:
        return False
    if state.approved is None:
        adjustment.decide(state, Approve(actor))
        await require_another_hand(desk, adjustment_id, actor)
    return True


async def post_correction(
    desk: Desk, adjustment_id: UUID, progress: Progress, *, actor: str
) -> PostedCorrection:
    """Approve a correction and post it, or go on with one that was interrupted.

    Raises NotFound, FourEyes, NotAllowedNow, NumbersChanged.
    """
    async with _alone(desk) as connection:
        await check_approval(desk, adjustment_id, actor=actor)
        state: Adjustment = await desk.state(adjustment.STREAM, adjustment_id)
        assert state.proposed is not None
        correction = state.proposed.correction
        if correction is None:
            raise NotAllowedNow("this is no correction")
        if state.state == "posted":
            return await _posted(desk, adjustment_id, is_repeated=True)
        if state.approved is None:
            await _approve(desk, connection, adjustment_id, correction, actor)
        totals = await _adjust_charges(desk, connection, adjustment_id, correction, progress)
        await _post_accounts(desk, adjustment_id, totals)
    return await _posted(desk, adjustment_id, is_repeated=False)


@contextlib.asynccontextmanager
async def _alone(desk: Desk) -> AsyncIterator[AsyncConnection[Any]]:
    """A connection on which questions may be asked; whoever has it posts, nobody else."""
    async with desk.pool.connection() as connection, connection.transaction():
        row = await (
            await connection.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK,))
        ).fetchone()
        if row is None or not row[0]:
            raise NotAllowedNow("another correction is being posted at this moment")
        yield connection


async def _approve(
    desk: Desk,
    connection: AsyncConnection[Any],
    adjustment_id: UUID,
    correction: Correction,
    actor: str,
) -> None:
    """Only if the question still has the answer that was proposed, and no other is half posted."""
    await _require_no_other(desk, connection)
    head, _ = await read_head(connection)
    question = msgspec.structs.replace(correction.question, as_of=head)
    found = (await what_if(connection, question)).correction(correction.direction)
    if (found.digest, found.charges, found.accounts) != (
        correction.digest,
        correction.charges,
        correction.accounts,
    ):
        raise NumbersChanged(
            "charges or prices have changed since it was proposed: "
            f"{found.charges} charges by {found.delta_nanos} nanodollars now, "
            f"{correction.charges} by {correction.delta_nanos} then; ask again, and propose that"
        )
    await desk.handle(adjustment.STREAM, adjustment_id, Approve(actor, checked_position=head))


async def _require_no_other(desk: Desk, connection: AsyncConnection[Any]) -> None:
    cursor = await connection.execute(_APPROVED.encode())
    for (stream_id,) in await cursor.fetchall():
        state: Adjustment = await desk.state(adjustment.STREAM, stream_id)
        if state.state == "approved":
            raise NotAllowedNow(
                f"the correction {stream_id} is posted in part: approve it again to finish it first"
            )


async def _adjust_charges(
    desk: Desk,
    connection: AsyncConnection[Any],
    adjustment_id: UUID,
    correction: Correction,
    progress: Progress,
) -> dict[UUID, Corrected]:
    """Adjust every charge, some at a time; what it came to for each account."""
    state: Adjustment = await desk.state(adjustment.STREAM, adjustment_id)
    assert state.approved is not None
    posting = _Posting(desk, adjustment_id, state.approved.actor)
    waiting: list[Repriced] = []
    progress(0, correction.charges)
    async for verdict in verdicts(connection, correction.question):
        if isinstance(verdict, Repriced) and is_corrected(verdict, correction.direction):
            waiting.append(verdict)
        if len(waiting) == _CHARGES_AT_ONCE:
            await posting.adjust(waiting)
            progress(posting.done, correction.charges)
            waiting = []
    await posting.adjust(waiting)
    progress(posting.done, correction.charges)
    return posting.totals


class _Posting:
    """Adjusts charges, and adds up what was adjusted: by this attempt or by one before it."""

    def __init__(self, desk: Desk, adjustment_id: UUID, actor: str) -> None:
        self._desk = desk
        self._adjustment_id = adjustment_id
        self._actor = actor
        self._reading = asyncio.Semaphore(_CONNECTIONS)
        self.totals: dict[UUID, Corrected] = {}
        self.done = 0

    async def adjust(self, repriced: Sequence[Repriced]) -> None:
        """Adjust charges, a few at a time."""
        adjusted = await asyncio.gather(*map(self._in_turn, repriced))
        for one in adjusted:
            before = self.totals.get(one.account_id) or Corrected(one.account_id, 0, 0)
            self.totals[one.account_id] = Corrected(
                one.account_id, before.charges + 1, before.charged_nanos + one.delta_nanos
            )
        self.done += len(repriced)

    async def _in_turn(self, repriced: Repriced) -> ChargeAdjusted:
        async with self._reading:
            return await self._adjust(repriced)

    async def _adjust(self, repriced: Repriced) -> ChargeAdjusted:
        charge_id = repriced.call.charge_id
        id_ = charge_adjustment_id(self._adjustment_id, charge_id)
        decided: list[ChargeAdjusted] = []

        def decide(state: charge.Charge, command: charge.Adjust) -> tuple[Event, ...]:
            # A charge refunded meanwhile gives back less: what counts is what is decided here.
            events = charge.decide(state, command)
            decided[:] = [event for event in events if isinstance(event, ChargeAdjusted)]
            return events

        command = charge.Adjust(
            adjustment_id=id_,
            delta_nanos=repriced.delta_nanos,
            reason="reprice",
            actor=self._actor,
            lines=repriced.lines,
        )
        stream = charge.STREAM._replace(decide=decide)
        await self._desk.ledger.handle(stream, charge_id, command)
        if decided:
            return decided[0]
        for one in await self._desk.ledger.events(charge_id):
            if isinstance(one.event, ChargeAdjusted) and one.event.adjustment_id == id_:
                return one.event
        raise AssertionError("an adjustment that is not new was made before")


async def _post_accounts(desk: Desk, adjustment_id: UUID, totals: dict[UUID, Corrected]) -> None:
    corrected = [totals[account_id] for account_id in sorted(totals)]
    for start in range(0, len(corrected), _ACCOUNTS_AT_ONCE):
        some = tuple(corrected[start : start + _ACCOUNTS_AT_ONCE])
        appended = await desk.handle(adjustment.STREAM, adjustment_id, PostCorrected(some))
        if appended is not None:
            await desk.shown(appended)


async def _posted(desk: Desk, adjustment_id: UUID, *, is_repeated: bool) -> PostedCorrection:
    events = [one.event for one in await desk.ledger.events(adjustment_id)]
    posted = [event for event in events if isinstance(event, adjustment.AdjustmentPosted)]
    return PostedCorrection(
        adjustment=adjustment_id,
        accounts=len(posted),
        charges=sum(event.charges for event in posted),
        charged_nanos=sum(event.charged_nanos for event in posted),
        is_repeated=is_repeated,
    )
