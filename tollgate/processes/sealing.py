"""Seals the log again and again, and once more at the end; on every node, one at a time."""

import asyncio
from pathlib import Path

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from ledger.errors import LedgerError
from ledger.integrity.reading import SealedAt
from ledger.integrity.sealing import Sealer
from ledger.integrity.signing import SignerProcess
from tollgate.core import Core

log = structlog.get_logger()

LOOK_S = 1.0
_AFTER_TROUBLE_S = 5.0
_END_WITHIN_S = 5.0
_TROUBLE = (LedgerError, psycopg.Error, PoolTimeout, OSError, TimeoutError)


class Sealing:
    """Of one background process. `signer_socket` empty: nothing is sealed."""

    def __init__(self, core: Core, signer_socket: str) -> None:
        self._sealer: Sealer | None = None
        if signer_socket:
            self._sealer = Sealer(core.pool, core.ledger, SignerProcess(Path(signer_socket)))
        self._trouble = ""

    async def run(self) -> None:
        """For ever. Trouble is told once, and again when it is another one."""
        while True:
            pause_s = LOOK_S
            try:
                if self._sealer is not None:
                    self._note(await self._sealer.seal_if_due())
            except _TROUBLE as trouble:
                self._note_trouble(str(trouble))
                pause_s = _AFTER_TROUBLE_S
            await asyncio.sleep(pause_s)

    async def seal_the_end(self) -> None:
        """Seal what there is before the process ends, if it can be done soon."""
        if self._sealer is None:
            return
        try:
            async with asyncio.timeout(_END_WITHIN_S):
                self._note(await self._sealer.seal())
        except _TROUBLE as trouble:
            self._note_trouble(str(trouble))

    def _note(self, sealed: SealedAt | None) -> None:
        if self._trouble:
            self._trouble = ""
            log.info("sealing.goes_on")
        if sealed is not None:
            log.info("sealing.sealed", size=sealed.sealed.size, root=sealed.sealed.root)

    def _note_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log.error("sealing.refused", reason=trouble, consequence="the log is not sealed")
