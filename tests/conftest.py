"""Fixtures over real servers: one Postgres and one Valkey per run, a fresh database per test.

A fixture imports what it needs when it is asked for: a test that needs none of it starts at once.
"""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers import FreshDatabase
    from tollgate.embedded.data_directory import DataDirectory
    from tollgate.embedded.postgres import EmbeddedPostgres
    from tollgate.embedded.valkey import EmbeddedValkey

# A shell starts what it puts into the background with SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """Hypothesis is set up before a module that uses it, and never loaded for one that does not."""
    if b"hypothesis" in module_path.read_bytes():
        from tests import properties  # noqa: F401 - it loads the profile


@pytest.fixture(scope="session")
def server_directory() -> "Iterator[DataDirectory]":
    from tests.servers import make_data_directory

    directory = make_data_directory()
    yield directory
    shutil.rmtree(directory.root.parent)


@pytest.fixture(scope="session")
def postgres_server(server_directory: "DataDirectory") -> "Iterator[EmbeddedPostgres]":
    from tollgate.embedded.postgres import EmbeddedPostgres

    server = EmbeddedPostgres(server_directory)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def database(postgres_server: "EmbeddedPostgres") -> "Iterator[FreshDatabase]":
    from tests.servers import made_database

    with made_database(postgres_server) as made:
        yield made


@pytest.fixture(scope="session")
def empty_ledger(postgres_server: "EmbeddedPostgres") -> "Iterator[FreshDatabase]":
    """A database with this release's schema and an empty log, to be copied; nobody enters it."""
    from tests.servers import migrated_database

    with migrated_database(postgres_server) as made:
        yield made


@pytest.fixture(scope="session")
def valkey_server(server_directory: "DataDirectory") -> "Iterator[EmbeddedValkey]":
    from tollgate.embedded.valkey import EmbeddedValkey

    server = EmbeddedValkey(server_directory)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(valkey_server: "EmbeddedValkey") -> str:
    import redis

    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return valkey_server.url


@pytest.fixture
def ledger_database(
    postgres_server: "EmbeddedPostgres", empty_ledger: "FreshDatabase"
) -> "Iterator[FreshDatabase]":
    """A database with this release's schema and an empty log."""
    from tests.servers import made_database

    with made_database(postgres_server, empty_ledger) as made:
        yield made


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="the long form of tests that have a short one"
    )


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether tests with a short and a long form run the long one."""
    return bool(request.config.getoption("--long"))
