"""The servers a desk stands on: a migrated database of the test's own, and a flushed Valkey."""

import pytest

from tests.admin_api.desks import Servers
from tests.conftest import FreshDatabase


@pytest.fixture
def servers(ledger_database: FreshDatabase, redis_url: str) -> Servers:
    return Servers(ledger_database.app_dsn, redis_url)
