"""A migrated database, and a connection as the application's role."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from ledger.store.migrate import migrate
from tests.conftest import FreshDatabase
from tollgate.embedded.postgres import APPLICATION


@dataclass(frozen=True, slots=True)
class Books:
    """An empty ledger and how to reach it."""

    owner_dsn: str
    dsn: str
    connection: psycopg.Connection[Any]


@pytest.fixture
def books(database: FreshDatabase) -> Iterator[Books]:
    migrate(database.owner_dsn, APPLICATION)
    with psycopg.connect(database.app_dsn, autocommit=True) as connection:
        connection.execute("set time zone 'UTC'")
        yield Books(database.owner_dsn, database.app_dsn, connection)
