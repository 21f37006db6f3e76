"""Fixtures over real servers: one Postgres and one Valkey per run, a fresh database per test.

Their files lie in memory where there is room: no test outlives the machine, and none has to wait
for its disk.
"""

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
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


_DISK, _MEMORY = Path("/tmp"), Path("/dev/shm")
_ROOM_BYTES = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """An empty database and how to reach it as its owner and as the application's role."""

    name: str
    owner_dsn: str
    app_dsn: str


def make_data_directory(*, on_disk: bool = False) -> DataDirectory:
    """A prepared one whose path is short enough for sockets and open to Postgres' account.

    Folders made by pytest are neither. The caller removes `root.parent`.
    """
    place = _DISK if on_disk else _place()
    parent = Path(tempfile.mkdtemp(prefix="tg-", dir=place)).resolve()
    parent.chmod(0o711)
    directory = DataDirectory(parent / "data")
    directory.prepare()
    return directory


def _place() -> Path:
    with contextlib.suppress(OSError):
        if shutil.disk_usage(_MEMORY).free > _ROOM_BYTES and not _may_not_run_programs(_MEMORY):
            return _MEMORY
    return _DISK


def _may_not_run_programs(place: Path) -> bool:
    return bool(os.statvfs(place).f_flag & os.ST_NOEXEC)


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


@contextlib.contextmanager
def made_database(
    server: EmbeddedPostgres, like: FreshDatabase | None = None
) -> Iterator[FreshDatabase]:
    """A database that is gone afterwards: an empty one, or a copy of one that nobody is in."""
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(server.dsn(OWNER, "postgres"), autocommit=True) as connection:
        template = "" if like is None else f"TEMPLATE {like.name}"
        connection.execute(f"CREATE DATABASE {name} OWNER {OWNER} {template} STRATEGY file_copy")
        if like is not None:  # rights on the database itself are not copied
            connection.execute(f"GRANT CREATE ON DATABASE {name} TO {APPLICATION}")
        try:
            yield FreshDatabase(name, server.dsn(OWNER, name), server.dsn(APPLICATION, name))
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres_server: EmbeddedPostgres) -> Iterator[FreshDatabase]:
    with made_database(postgres_server) as made:
        yield made


@pytest.fixture(scope="session")
def empty_ledger(postgres_server: EmbeddedPostgres) -> Iterator[FreshDatabase]:
    """A database with this release's schema and an empty log, to be copied; nobody enters it."""
    with made_database(postgres_server) as made:
        migrate(made.owner_dsn, APPLICATION)
        yield made


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
def ledger_database(
    postgres_server: EmbeddedPostgres, empty_ledger: FreshDatabase
) -> Iterator[FreshDatabase]:
    """A database with this release's schema and an empty log."""
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
