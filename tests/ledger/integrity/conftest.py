"""A sealed log for every test that wants one."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.builders import LawfulLog
from tests.ledger.integrity.sealed_logs import SealedLog
from tests.servers import FreshDatabase


@pytest.fixture
def sealed_log(ledger_database: FreshDatabase, tmp_path: Path) -> Iterator[SealedLog]:
    """600 events and more, sealed at 300, at 600, and at the end."""
    with psycopg.connect(ledger_database.app_dsn, autocommit=True) as connection:
        log = LawfulLog(connection, seed=23, is_sealed=False)
        one = SealedLog(ledger_database, connection, log, tmp_path / "signer")
        for _ in range(3):
            log.grow(300, batch_groups=60)
            one.seal()
        yield one
