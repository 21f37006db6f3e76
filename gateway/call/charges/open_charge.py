"""One open charge: hold more, settle or refund, each decided exactly once.

Everything here runs in tasks that the process owns. An append whose answer does not come in time
is not forgotten: whoever started it stays with it until its fate is known.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import cast
from uuid import UUID

import msgspec
import psycopg
import structlog
from msgspec.structs import replace
from psycopg_pool import PoolTimeout

from gateway.call.charges.charge_store import ANSWERED_WITHIN_S, ChargeStore
from gateway.call.charges.told_alarms import tell_alarms
from gateway.errors import Overloaded
from ledger.errors import (
    LedgerError,
    NotStored,
    OutOfRange,
    OverBudget,
    Refused,
    VersionConflict,
    Withdrawn,
)
from ledger.ids import derived_id
from ledger.pricing import charge_nanos
from ledger.store.append import NewEvent
from ledger.store.reader import read_state
from ledger.store.writer import Appended
from ledger.streams.charge import rules
from ledger.streams.charge.billing import bill
from ledger.streams.charge.events import (
    AdjustmentReason,
    Attempt,
    ChargeEvent,
    paid_tries,
)
from ledger.streams.contract import Event

log = structlog.get_logger()

CLOSE_WITHIN_S = 10.0
_RETRY_S = 0.2
_REFUSALS = (
    NotStored,
    Refused,
    psycopg.DataError,
    psycopg.IntegrityError,
    msgspec.MsgspecError,
    ArithmeticError,
    ValueError,
)
"""What says that this will never be stored as it is."""
_IN_THE_WAY = (LedgerError, psycopg.Error, PoolTimeout, OSError)
"""What says, otherwise, that it cannot be stored now."""
_ASKED_MAX = 3
"""How often a part is tried that was said to be covered; then what is beyond the hold is a memo."""


class OpenCharge:
    """A charge this process opened; only this process moves it, unless its lease lapses."""

    def __init__(self, store: ChargeStore, charge_id: UUID, state: rules.Charge) -> None:
        self._store = store
        self.charge_id = charge_id
        self._state = state
        assert state.opening is not None
        self.opening = state.opening
        self.is_closing = False
        """Whether it is being closed, or is closed already."""
        self._is_undelivered = False
        self._is_given_back = False
        self._appending: asyncio.Future[Appended] | None = None

    @property
    def held_nanos(self) -> int:
        """What is held now."""
        return self._state.held_nanos

    @property
    def _late_id(self) -> UUID:
        """Of the one correction that tells what came after others had closed the charge."""
        return derived_id("late_usage", str(self.charge_id))

    @property
    def is_ours(self) -> bool:
        """False once the lease it was opened under has lapsed: others may have closed it."""
        lease = self._store.lease
        return lease.boot == self.opening.boot and lease.is_held

    async def extend(self, hold_nanos: int) -> bool:
        """Hold more while the call goes on; False where that is not covered.

        Raises Overloaded where it cannot be known in time, or others have closed the charge.
        """
        events = rules.decide(self._state, rules.Extend(hold_nanos))
        try:
            await self._append(events)
        except OverBudget:
            return False
        except (LedgerError, TimeoutError) as error:
            raise Overloaded("the ledger does not answer in time") from error
        return True

    async def settle(self, command: rules.Settle) -> None:
        """Close with what was used; ends when that is durable, however long it takes.

        Where others closed the charge meanwhile (the lease had lapsed), the real usage is charged
        afterwards, up to what is available.
        """
        self.is_closing = True
        try:
            await self._persist(partial(self._settle_once, command))
        except Withdrawn:
            pass
        except _REFUSALS as refusal:
            log.error("charge.settlement_refused", id=str(self.charge_id), error=repr(refusal))
            attempts = rules.uncharged_attempts(command, self.opening.terms)
            await self.refund("unsettled", attempts, command.duration_ms)
        if self._is_undelivered or self._is_given_back:
            await self._persist(partial(self._take_back_once, command), is_last=True)

    async def refund(
        self, reason: str, attempts: Sequence[Attempt] = (), duration_ms: int = 0
    ) -> None:
        """Close without a charge; ends when that is durable, or others have closed it."""
        self.is_closing = True
        opening = self.opening
        command = rules.Refund(reason, opening.node, opening.boot, tuple(attempts), duration_ms)
        await self._persist(partial(self._refund_once, command), is_last=True)

    async def settle_in_time(self, command: rules.Settle) -> bool:
        """Settle; False if that is not durable in time. It goes on all the same."""
        return await self._store.tasks.in_time(self.settle(command), CLOSE_WITHIN_S)

    async def refund_in_time(
        self, reason: str, attempts: Sequence[Attempt] = (), duration_ms: int = 0
    ) -> bool:
        """Refund; False if that is not durable in time. It goes on all the same."""
        refund = self.refund(reason, attempts, duration_ms)
        return await self._store.tasks.in_time(refund, CLOSE_WITHIN_S)

    def give_back_when_settled(self) -> None:
        """The client was told that nothing was delivered: let nothing be charged.

        A settlement that never left is withdrawn and the hold refunded; one whose fate is open
        is awaited, and given back if it was stored.
        """
        self._is_undelivered = True
        if self._appending is not None:
            self._store.writer.withdraw(self._appending)

    def give_back(self) -> None:
        """Nothing of what is settled reaches the client, by our own fault: its charge is given
        back once that is stored, and what the provider takes stays in the books.
        """
        self._is_given_back = True
        if self._state.is_closed:
            self._store.tasks.start(self._persist(self._take_back_once, is_last=True))

    def abandon(self, reason: str) -> None:
        """Close the charge in the background, unless it is closed: whoever held it has failed."""
        if not (self._state.is_closed or self.is_closing):
            self._store.tasks.start(self.refund(reason))

    async def _persist(self, step: Callable[[], Awaitable[None]], *, is_last: bool = False) -> None:
        """Try until it is stored, however long that cannot be: nobody else would close the charge.

        Raises Withdrawn, and one of _REFUSALS where it never will be stored; a step that `is_last`
        is tried on, for there is nothing else to try.
        """
        is_stale = is_logged = False
        conflicted_at = -1
        while True:
            try:
                if is_stale:
                    self._state = await self._read_again()
                    is_stale = False
                return await step()
            except Withdrawn:
                raise
            except VersionConflict:
                if conflicted_at == self._state.version:  # though it was read again
                    if not is_last:
                        raise
                    await asyncio.sleep(_RETRY_S)
                conflicted_at = self._state.version
                is_stale = True  # a hold whose answer was lost, or others, moved the stream
            except (*_REFUSALS, *_IN_THE_WAY) as error:
                if isinstance(error, _REFUSALS) and not is_last:
                    raise
                if not is_logged:
                    log.error("charge.not_closed_yet", id=str(self.charge_id), error=repr(error))
                    is_logged = True
                await asyncio.sleep(_RETRY_S)

    async def _settle_once(self, command: rules.Settle) -> None:
        if self._is_undelivered:
            return None
        if self._state.is_closed:
            return await self._settle_late(command)
        for _ in range(_ASKED_MAX):
            try:
                return await self._close(command)
            except OverBudget as refusal:
                command = replace(command, covered_nanos=max(0, refusal.available_nanos))
            except OutOfRange:
                break
        return await self._close(replace(command, covered_nanos=0))

    def _close(self, command: rules.Settle) -> Awaitable[None]:
        return self._append(rules.decide(self._state, command), within_s=None)

    async def _refund_once(self, command: rules.Refund) -> None:
        if not self._state.is_closed:
            await self._append(rules.decide(self._state, command), within_s=None)
        elif self._state.refund_reason not in ("", command.reason) and paid_tries(command.attempts):
            # Others closed the charge meanwhile: what providers take is booked all the same.
            await self._adjust(self._late_id, 0, "late_usage", attempts=command.attempts)

    async def _take_back_once(self, command: rules.Settle | None = None) -> None:
        """Nothing shall be charged. `command`: the settlement that was to be, if it is known."""
        if not self._state.is_closed:
            opening = self.opening
            attempts = rules.uncharged_attempts(command, self.opening.terms) if command else ()
            refund = rules.Refund("undelivered", opening.node, opening.boot, attempts)
            return await self._refund_once(refund)
        if self._state.charged_nanos:
            adjustment_id = derived_id("undelivered", str(self.charge_id))
            await self._adjust(adjustment_id, -self._state.charged_nanos, "refund")
        return None

    async def _append(
        self, events: Sequence[Event], within_s: float | None = ANSWERED_WITHIN_S
    ) -> None:
        if not events:
            return
        version = self._state.version
        future = self._store.writer.append(
            [NewEvent(self.charge_id, version + n, event) for n, event in enumerate(events, 1)]
        )
        self._appending = future
        if within_s is None:
            await asyncio.shield(future)
        else:
            async with asyncio.timeout(within_s):
                await asyncio.shield(future)
        self._appending = None
        tell_alarms(self.charge_id, events)
        for event in events:
            self._state = rules.evolve(self._state, cast("ChargeEvent", event))

    async def _read_again(self) -> rules.Charge:
        async with self._store.pool.connection() as connection:
            state: rules.Charge = await read_state(connection, rules.STREAM, self.charge_id)
        return state

    async def _settle_late(self, command: rules.Settle) -> None:
        """Charge as much of it as the account covers, and book what the provider takes for it."""
        if self._state.channel_id is not None:
            return  # it was we who settled, and the database's answer that was lost
        terms = self.opening.terms
        cost_nanos = charge_nanos(rules.lines_of(command, terms), terms.multiplier)
        while_open = bill(cost_nanos, self.opening.hold_nanos, command.covered_nanos)
        late_nanos = while_open.charged_nanos - self._state.charged_nanos
        for _ in range(_ASKED_MAX):
            try:
                if late_nanos > 0:
                    await self._adjust(self._late_id, late_nanos, "late_usage", command)
                    return
            except OverBudget as refusal:
                late_nanos = min(late_nanos, refusal.available_nanos)
        await self._adjust(self._late_id, 0, "late_usage", command)

    async def _adjust(
        self,
        adjustment_id: UUID,
        delta_nanos: int,
        reason: AdjustmentReason,
        settle: rules.Settle | None = None,
        attempts: tuple[Attempt, ...] = (),
    ) -> None:
        adjust = rules.Adjust(
            adjustment_id,
            delta_nanos,
            reason,
            actor=f"node:{self.opening.node}",
            usage=settle.usage if settle else None,
            lines=rules.lines_of(settle, self.opening.terms) if settle else (),
            late=rules.late_usage(settle) if settle else None,
            overdraft_nanos=self.opening.overdraft_nanos if settle and delta_nanos else None,
            attempts=settle.attempts if settle else attempts,
        )
        await self._append(rules.decide(self._state, adjust), within_s=None)
