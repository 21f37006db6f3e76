"""A migrated database, and a connection as the application's role."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.servers import FreshDatabase


@dataclass(frozen=True, slots=True)
class Books:
    """An empty ledger and how to reach it."""

    owner_dsn: str
    dsn: str
    connection: psycopg.Connection[Any]


@pytest.fixture
def books(ledger_database: FreshDatabase) -> Iterator[Books]:
    with psycopg.connect(ledger_database.app_dsn, autocommit=True) as connection:
        connection.execute("set time zone 'UTC'")
        yield Books(ledger_database.owner_dsn, ledger_database.app_dsn, connection)
