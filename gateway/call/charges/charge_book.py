"""Opening charges: nothing is asked of a provider before a hold for it is durable.

An append whose answer does not come in time is not forgotten: whoever started it stays with it
until its fate is known.
"""

import asyncio
from collections.abc import Callable
from typing import cast
from uuid import UUID

import psycopg

from gateway.call.charges.charge_store import ANSWERED_WITHIN_S, ChargeStore
from gateway.call.charges.open_charge import OpenCharge
from gateway.call.charges.shortfall import insufficient
from gateway.call.charges.turns import Turns
from gateway.errors import InsufficientQuota, Overloaded
from ledger import clock
from ledger.admission_bounds import ADMITTED_WITHIN_S
from ledger.book_days import BookDays
from ledger.errors import ClockDoubted, LedgerError, Outdated, OutOfRange, OverBudget, WriterBusy
from ledger.store.append import Guard, NewEvent
from ledger.store.writer import Appended
from ledger.streams.charge import rules
from ledger.streams.charge.events import Cover, QuotaReserved
from ledger.streams.contract import Event
from projections.cache.balances import Verdict

_READING_SHARED_S = 0.05
_CLOCK_RETRY_S = 60
_CONFIRMED_WITHIN_S = 0.45
"""Half of what a caller waits; the rest is the append's."""


class PricesOutdated(Exception):
    """The model has a price that this node had not seen when it admitted the call."""


class ChargeBook:
    """Opens charges: cover is asked of the cache, and decided by the database."""

    def __init__(self, store: ChargeStore, days: Callable[[], BookDays]) -> None:
        self.turns = Turns()
        self._days = days
        self._store = store
        self._readings: dict[tuple[UUID, ...], asyncio.Task[dict[UUID, int] | None]] = {}

    async def reserve(self, charge_id: UUID, command: rules.Reserve, prices: Guard) -> OpenCharge:
        """A durable hold, or a refusal with nothing stored. `prices`: by what it was priced.

        Raises InsufficientQuota, Overloaded, PricesOutdated.
        """
        cover, needed = command.cover, command.hold_nanos
        if not self._store.lease.is_held:
            raise Overloaded("this node is not ready to take calls", retry_after_s=1)
        if clock.now_us() - command.admitted_at_us > ADMITTED_WITHIN_S * 1_000_000:
            raise Overloaded("the call waited too long for its turn", retry_after_s=1)
        deadline_s = clock.monotonic_s() + ANSWERED_WITHIN_S
        verdict = await self._store.cache.reserve(cover.account_id, charge_id, needed, _caps(cover))
        if verdict is Verdict.SHORT:
            await self._confirm_short(command)
        (reserved,) = rules.decide(rules.Charge(), command)
        appended = await self._append_hold(charge_id, reserved, command, prices, deadline_s)
        if self._readings:
            self._readings.pop(_capped_scopes(cover), None)  # it tells of more than is left
        state = rules.evolve(rules.Charge(), cast("QuotaReserved", reserved))
        assert appended.positions
        return OpenCharge(self._store, charge_id, state)

    async def _append_hold(
        self,
        charge_id: UUID,
        reserved: Event,
        command: rules.Reserve,
        prices: Guard,
        deadline_s: float,
    ) -> Appended:
        try:
            future = self._store.writer.append([NewEvent(charge_id, 1, reserved)], prices)
        except WriterBusy as error:
            raise Overloaded("too many calls are waiting", retry_after_s=1) from error
        except OutOfRange as error:
            raise InsufficientQuota("this call could cost more than any balance") from error
        left_s = max(0.0, deadline_s - clock.monotonic_s())
        done, _ = await asyncio.wait((future,), timeout=left_s)
        if not done:
            self._store.tasks.start(self._undo_when_known(charge_id, future, command))
            raise Overloaded("the ledger does not answer in time", retry_after_s=1)
        try:
            return future.result()
        except OverBudget as error:
            raise insufficient(error, command, self._days()) from error
        except Outdated as error:
            raise PricesOutdated from error
        except ClockDoubted as error:
            told = "the clock of the ledger jumped; no call is taken until it is right"
            raise Overloaded(told, retry_after_s=_CLOCK_RETRY_S) from error
        except (LedgerError, psycopg.Error) as error:
            raise Overloaded("the ledger cannot be reached", retry_after_s=1) from error

    async def _undo_when_known(
        self, charge_id: UUID, future: "asyncio.Future[Appended]", command: rules.Reserve
    ) -> None:
        """A hold nobody waits for any more: close it if it was stored after all."""
        try:
            await future
        except (LedgerError, psycopg.Error):
            return
        (reserved,) = rules.decide(rules.Charge(), command)
        state = rules.evolve(rules.Charge(), cast("QuotaReserved", reserved))
        await OpenCharge(self._store, charge_id, state).refund("not_admitted")

    async def _confirm_short(self, command: rules.Reserve) -> None:
        """The cache says no: ask the database once before anybody is told.

        Many may ask for the same scopes at the same moment; they share one reading for 50 ms.
        """
        cover, needed_nanos = command.cover, command.hold_nanos
        scopes = _capped_scopes(cover)
        reading = self._readings.get(scopes)
        if reading is None:
            reading = self._readings[scopes] = self._store.tasks.start(
                self._store.read_used(cover.account_id, scopes)
            )
            loop = asyncio.get_running_loop()
            loop.call_later(_READING_SHARED_S, self._readings.pop, scopes, None)
        await asyncio.wait((reading,), timeout=_CONFIRMED_WITHIN_S)
        used = reading.result() if reading.done() else None
        if used is None:
            return  # nobody can say: the append will tell
        for scope, cap_nanos in _caps(cover):
            available_nanos = None if cap_nanos is None else cap_nanos - used.get(scope, 0)
            if available_nanos is not None and needed_nanos > available_nanos:
                short = OverBudget(scope, available_nanos, needed_nanos)
                raise insufficient(short, command, self._days())


def _caps(cover: Cover) -> list[tuple[UUID, int | None]]:
    windows = [(window.scope, window.cap_nanos) for window in cover.windows]
    return [
        (cover.account_id, cover.overdraft_nanos),
        (cover.key_id, cover.key_limit_nanos),
        *windows,
    ]


def _capped_scopes(cover: Cover) -> tuple[UUID, ...]:
    return tuple(scope for scope, cap_nanos in _caps(cover) if cap_nanos is not None)
