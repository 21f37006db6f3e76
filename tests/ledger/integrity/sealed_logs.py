"""A lawful log on a real database, and what it takes to seal it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool

from ledger.application import Ledger
from ledger.integrity.reading import SealedAt
from ledger.integrity.sealing import Sealer
from ledger.integrity.signing import AnySigner, SignerFolder
from ledger.store.writer import Writer
from tests.builders import LawfulLog
from tests.servers import FreshDatabase

T = TypeVar("T")

Pool = AsyncConnectionPool[Any]


@dataclass(frozen=True, slots=True)
class SealedLog:
    """A database whose log grows by `log` and is sealed by the signer of a folder."""

    database: FreshDatabase
    connection: psycopg.Connection[Any]
    log: LawfulLog
    folder: Path

    def seal(self, signer: AnySigner | None = None) -> SealedAt:
        """Seal everything there is."""
        sealed = self.with_sealer(lambda sealer: sealer.seal(), signer)
        assert sealed is not None
        return sealed

    def with_sealer(
        self, work: Callable[[Sealer], Awaitable[T]], signer: AnySigner | None = None
    ) -> T:
        """Do something with a sealer of its own pool and writer."""

        async def run(pool: Pool) -> T:
            writer = Writer(self.database.app_dsn)
            try:
                ledger = Ledger(pool, writer)
                return await work(Sealer(pool, ledger, signer or SignerFolder(self.folder)))
            finally:
                await writer.close()

        return self.with_pool(run)

    def with_pool(self, work: Callable[[Pool], Awaitable[T]]) -> T:
        """Do something with a pool."""

        async def run() -> T:
            dsn = self.database.app_dsn
            async with AsyncConnectionPool(dsn, min_size=1, max_size=4, open=False) as pool:
                return await work(pool)

        return asyncio.run(run())

    def read(self, work: Callable[[psycopg.AsyncConnection[Any]], Awaitable[T]]) -> T:
        """Read something."""

        async def run(pool: Pool) -> T:
            async with pool.connection() as connection:
                return await work(connection)

        return self.with_pool(run)

    @property
    def head(self) -> int:
        row = self.connection.execute("select position from ledger.head").fetchone()
        assert row is not None
        return int(row[0])

    def leaves(self) -> list[bytes]:
        """Every leaf as it is stored."""
        rows = self.connection.execute("select leaf from ledger.event order by position")
        return [row[0] for row in rows.fetchall()]
