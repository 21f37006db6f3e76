"""A lawful log to export, and a folder to export into."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from tests.builders import LawfulLog
from tests.servers import FreshDatabase, migrated_database
from tollgate.embedded.postgres import EmbeddedPostgres

SEEDS = (11, 12)


@dataclass(frozen=True)
class Books:
    """A database with a log, where it ends, and who has an account."""

    dsn: str
    head: int
    accounts: list[UUID]


def grown(dsn: str, seed: int, events: int = 1_200) -> Books:
    """Every type of event, some charges still open."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        log = LawfulLog(connection, seed=seed, accounts=4)
        log.grow(events, batch_groups=60)
    return Books(dsn, log.stored, log.accounts)


@pytest.fixture(scope="session", params=SEEDS)
def books(request: pytest.FixtureRequest, postgres_server: EmbeddedPostgres) -> Iterator[Books]:
    """To be read only: the next test has the same."""
    with migrated_database(postgres_server) as database:
        yield grown(database.app_dsn, request.param)


@pytest.fixture
def own_books(ledger_database: FreshDatabase) -> Books:
    """To be written to as well."""
    return grown(ledger_database.app_dsn, SEEDS[0], 1_100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    made = tmp_path / "exports"
    made.mkdir()
    return made
