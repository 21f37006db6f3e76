"""One gateway for a module's tests, with a real provider behind it; and one for the real clients
that are programs of their own."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.bookkeeping import Payer
from tests.conformance import node_clients
from tests.conformance.reached import Reached, reached
from tests.fake_provider import FakeProvider, fake_provider
from tests.running import InProcess, in_process
from tests.servers import migrated_database
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


@pytest.fixture
def sdk(gateway: InProcess, payer: Payer) -> Iterator[OpenAI]:
    """OpenAI's SDK as the module's payer uses it."""
    with OpenAI(
        api_key=payer.key, base_url=f"{gateway.base_url}/v1", max_retries=0, timeout=20
    ) as client:
        yield client


@pytest.fixture(scope="session")
def everywhere() -> Iterator[Reached]:
    """`tollgate serve` before a provider of each format."""
    with reached() as running:
        yield running


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is long in coming is sent for as soon as it is known to be needed."""
    if any("node" in getattr(item, "fixturenames", ()) for item in session.items):
        node_clients.install_ahead()


@pytest.fixture(scope="session")
def node() -> None:
    """The clients for Node are installed."""
    node_clients.install()
