"""Fixtures over real servers: one Postgres and one Valkey per run, a fresh database per test."""

import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis
from hypothesis import HealthCheck, settings

from ledger.store.migrate import migrate
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.postgres import APPLICATION, OWNER, EmbeddedPostgres
from tollgate.embedded.valkey import EmbeddedValkey

# A shell starts what it puts into the background with SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No property holds or fails by the clock: on a busy machine an example takes what it takes.
settings.register_profile(
    "without_clock",
    parent=settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("without_clock")


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """An empty database and how to reach it as its owner and as the application's role."""

    name: str
    owner_dsn: str
    app_dsn: str


def make_data_directory() -> DataDirectory:
    """A prepared one whose path is short enough for sockets and open to Postgres' account.

    Folders made by pytest are neither. The caller removes `root.parent`.
    """
    parent = Path(tempfile.mkdtemp(prefix="tg-", dir="/tmp")).resolve()
    parent.chmod(0o711)
    directory = DataDirectory(parent / "data")
    directory.prepare()
    return directory


@pytest.fixture(scope="session")
def server_directory() -> Iterator[DataDirectory]:
    directory = make_data_directory()
    yield directory
    shutil.rmtree(directory.root.parent)


@pytest.fixture(scope="session")
def postgres_server(server_directory: DataDirectory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(server_directory)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def database(postgres_server: EmbeddedPostgres) -> Iterator[FreshDatabase]:
    name = f"test_{uuid.uuid4().hex}"
    maintenance = postgres_server.dsn(OWNER, "postgres")
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
    yield FreshDatabase(
        name, postgres_server.dsn(OWNER, name), postgres_server.dsn(APPLICATION, name)
    )
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def valkey_server(server_directory: DataDirectory) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(server_directory)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(valkey_server: EmbeddedValkey) -> str:
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return valkey_server.url


@pytest.fixture
def ledger_database(database: FreshDatabase) -> FreshDatabase:
    """A database with this release's schema and an empty log."""
    migrate(database.owner_dsn, APPLICATION)
    return database


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="the long form of tests that have a short one"
    )


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether tests with a short and a long form run the long one."""
    return bool(request.config.getoption("--long"))
