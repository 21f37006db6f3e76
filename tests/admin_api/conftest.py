"""The servers a desk stands on: a migrated database of the test's own, and a flushed Valkey."""

import pytest

from tests.admin_api.desks import Servers
from tests.servers import FreshDatabase
from tollgate.embedded.postgres import OWNER, EmbeddedPostgres


@pytest.fixture
def servers(
    ledger_database: FreshDatabase, redis_url: str, postgres_server: EmbeddedPostgres
) -> Servers:
    maintenance_dsn = postgres_server.dsn(OWNER, "postgres")
    return Servers(ledger_database.app_dsn, maintenance_dsn, redis_url)
