"""What we ask providers ourselves, in the books: a charge each, of an account of our own, that
holds nothing and is given back whole, with what was used and what the provider takes for it.

So it counts where every try counts that nobody is charged for: in postings, in profit, and in what
a provider's bill is compared with.
"""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ledger import clock, vault
from ledger.alarms import KEY_PROBE
from ledger.application import Ledger
from ledger.errors import LedgerError, Outdated
from ledger.ids import charge_id, derived_id
from ledger.store.append import Guard, NewEvent
from ledger.store.writer import Writer
from ledger.streams import account
from ledger.streams.charge.events import Attempt, Cover, Terms
from ledger.streams.charge.rules import Charge, Refund, Reserve, decide, evolve
from ledger.streams.price import price_stream_id
from ledger.vault import Place, Vault
from projections.configuration import Configuration

log = structlog.get_logger()

OWN_ACCOUNT: UUID = derived_id("own_account", "key_probes")
OWN_KEY: UUID = derived_id("own_key", "key_probes")
"""Of a key that nobody was given."""
_NAME = "Probes of channels' keys"
_GROUP = "default"
_TIMES_MAX = 10
_AGAIN_AFTER_S = 2.0


class OwnCharges:
    """Of one process."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        writer: Writer,
        sealed: Vault,
        configuration: Configuration,
        node: str,
    ) -> None:
        self._pool = pool
        self._writer = writer
        self._ledger = Ledger(pool, writer)
        self._vault = sealed
        self._configuration = configuration
        self._node = node
        self._boot = uuid4()  # nobody holds a lease for charges that close with their opening
        self._is_open = False

    async def book(self, model: str, asked_in: str, attempt: Attempt) -> None:
        """Book a try at a model, by our name for it; again where the ledger does not answer."""
        for _ in range(_TIMES_MAX):
            try:
                await self._open_account()
                await self._append(model, asked_in, attempt)
            except Outdated:
                history = self._configuration.held.prices[model]
                await self._configuration.await_prices(model, history.version)
            except (LedgerError, psycopg.Error, PoolTimeout, OSError) as error:
                log.warning("own_charges.not_booked_yet", error=str(error))
                await asyncio.sleep(_AGAIN_AFTER_S)
            else:
                return
        log.error("own_charges.not_booked", model=model, channel_id=str(attempt.channel_id))

    async def _append(self, model: str, asked_in: str, attempt: Attempt) -> None:
        now_us = clock.now_us()
        history = self._configuration.held.prices[model]
        priced = history.at(now_us)
        assert priced is not None, "only models that have a price are asked"
        reserve = Reserve(
            hold_nanos=0,
            cover=Cover(account_id=OWN_ACCOUNT, key_id=OWN_KEY),
            terms=Terms(model=model, group=_GROUP, price_version=priced[0]),
            admitted_at_us=now_us,
            node=self._node,
            boot=self._boot,
            dialect=asked_in,
        )
        (opening,) = decide(Charge(), reserve)
        state = evolve(Charge(), opening)  # type: ignore[arg-type]  # what Reserve gives
        refund = Refund(
            KEY_PROBE, self._node, self._boot, (attempt,), duration_ms=attempt.duration_ms
        )
        (closing,) = decide(state, refund)
        stream_id = charge_id()
        events = [NewEvent(stream_id, 1, opening), NewEvent(stream_id, 2, closing)]
        await self._writer.append(events, Guard(price_stream_id(model), history.version))

    async def _open_account(self) -> None:
        if self._is_open:
            return
        state: account.Account = await self._ledger.state(account.STREAM, OWN_ACCOUNT)
        if not state.version:
            place = Place("account", OWN_ACCOUNT, "name", OWN_ACCOUNT)
            async with self._pool.connection() as connection:
                await vault.put(connection, self._vault, place, _NAME)
            command = account.Open(OWN_ACCOUNT, _GROUP, f"node:{self._node}")
            await self._ledger.handle(account.STREAM, OWN_ACCOUNT, command)
        self._is_open = True
