"""One gateway for a module's tests, with a real provider behind it."""

from collections.abc import Iterator

import pytest

from tests.fake_provider import FakeProvider, fake_provider
from tests.running import InProcess, in_process, migrated_database
from tollgate.embedded.postgres import EmbeddedPostgres
from tollgate.embedded.valkey import EmbeddedValkey


@pytest.fixture(scope="module")
def gateway(
    postgres_server: EmbeddedPostgres, valkey_server: EmbeddedValkey
) -> Iterator[InProcess]:
    with (
        migrated_database(postgres_server) as database,
        in_process(database.app_dsn, valkey_server.url) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as running:
        yield running
