"""One installation as its processes and its tools see it: where its servers are, and its secret."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolTimeout

from admin_api.desk import Desk
from ledger import vault
from ledger.errors import StoreUnavailable, VaultRefused
from ledger.store.migrate import SchemaRefused, migrate
from ledger.vault import Vault
from tollgate import first_start
from tollgate.core import open_core
from tollgate.doctor import postgres_checks
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.errors import StartRefused
from tollgate.embedded.postgres import APPLICATION, EmbeddedPostgres
from tollgate.embedded.postgres import borrow as borrow_postgres
from tollgate.embedded.valkey import EmbeddedValkey
from tollgate.embedded.valkey import borrow as borrow_valkey
from tollgate.errors import CannotReach
from tollgate.settings import Settings

_TOOL_CONNECTIONS_MAX = 3

Result = TypeVar("Result")

CRYPTO_SECRET_FILE = "crypto_secret"  # noqa: S105 - a file's name


@dataclass(frozen=True, slots=True)
class Installation:
    """Addresses and the secret of one installation. `app_role` None: one role does everything."""

    settings: Settings
    owner_dsn: str = field(repr=False)
    app_dsn: str = field(repr=False)
    app_role: str | None
    redis_url: str = field(repr=False)
    crypto_secret: str = field(repr=False)

    @property
    def is_single_role(self) -> bool:
        """Whether the append-only triggers stand alone, without the protection of a second role."""
        return self.app_role is None


def describe(
    settings: Settings, postgres: EmbeddedPostgres | None, valkey: EmbeddedValkey | None
) -> Installation:
    """The installation over these embedded servers; None where an external one was set."""
    if settings.sql_dsn is None:
        assert postgres is not None
        owner_dsn, app_dsn = postgres.owner_dsn, postgres.app_dsn
        app_role: str | None = APPLICATION
    else:
        app_dsn = settings.sql_dsn
        owner_dsn = settings.sql_owner_dsn or app_dsn
        app_role = None if settings.sql_owner_dsn is None else _role(app_dsn)
    if settings.redis_url is None:
        assert valkey is not None
        redis_url = valkey.url
    else:
        redis_url = settings.redis_url
    return Installation(settings, owner_dsn, app_dsn, app_role, redis_url, _crypto_secret(settings))


def bring_up_to_date(installation: Installation) -> None:
    """Check the database and migrate it. Raises CannotReach, StartRefused."""
    try:
        with psycopg.connect(installation.app_dsn, connect_timeout=10) as connection:
            faults = postgres_checks.faults(connection)
        if faults:
            raise StartRefused(faults[0].finding, faults[0].remedy)
        migrate(installation.owner_dsn, installation.app_role)
    except SchemaRefused as refusal:
        raise StartRefused(
            str(refusal), "run the release that made this database, or a newer one"
        ) from refusal
    except psycopg.errors.InsufficientPrivilege as refusal:
        raise StartRefused(
            f"the database role may not do what migrations need ({_first_line(refusal)})",
            "make it the owner of the database, or give the owner's address in SQL_OWNER_DSN",
        ) from refusal
    except (psycopg.OperationalError, PoolTimeout, StoreUnavailable) as error:
        raise CannotReach("Postgres", _first_line(error), "start it, or correct SQL_DSN") from error


def seed(installation: Installation) -> str | None:
    """Make what a fresh ledger begins with.

    Returns the root operator's token where one was minted: it is shown once and stored nowhere.
    Raises CannotReach.
    """
    try:
        return at_desk(installation, lambda desk: first_start.seed(desk, installation.settings))
    except (psycopg.OperationalError, PoolTimeout, StoreUnavailable) as error:
        raise CannotReach("Postgres", _first_line(error), "start it again") from error


def at_desk(installation: Installation, work: Callable[[Desk], Awaitable[Result]]) -> Result:
    """Do some work at the desk of an installation, in a program that is not serving.

    Raises StartRefused under another secret than the vault's, what the work raises, and
    psycopg.OperationalError when the database is away.
    """

    async def run() -> Result:
        async with (
            open_core(
                installation.app_dsn,
                installation.redis_url,
                installation.crypto_secret,
                connections_max=_TOOL_CONNECTIONS_MAX,
            ) as core,
            core.desk_alone() as desk,
        ):
            return await work(desk)

    require_secret(installation)
    return asyncio.run(run())


def require_secret(installation: Installation) -> None:
    """Nothing is sealed, and nothing served, under another secret than the vault's.

    Raises StartRefused, psycopg.OperationalError.
    """

    async def ask() -> None:
        async with await psycopg.AsyncConnection.connect(
            installation.app_dsn, autocommit=True, connect_timeout=10
        ) as connection:
            await vault.require_secret(connection, Vault(installation.crypto_secret))

    try:
        asyncio.run(ask())
    except VaultRefused as refusal:
        raise StartRefused(
            str(refusal),
            "set the one that this database was first started with; `tollgate vault rotate` "
            "puts the vault under another one",
        ) from refusal


@contextlib.contextmanager
def open_installation(settings: Settings, *, may_create: bool) -> Iterator[Installation]:
    """The installation for a command-line tool, whether or not it is being served right now.

    Embedded servers that do not run are started and stopped again. Where there is none yet, one is
    made if the tool `may_create` one: what only reads would read nothing in it.
    Raises StartRefused, CannotReach.
    """
    if not may_create and settings.sql_dsn is None and not settings.data.has_database():
        raise StartRefused(
            f"there is no installation in {settings.data.root}",
            "start one with `tollgate serve`, or name another folder with --data-dir",
        )
    with contextlib.ExitStack() as stack:
        settings.data.prepare()
        postgres = valkey = None
        if settings.sql_dsn is None:
            postgres = stack.enter_context(borrow_postgres(settings.data))
        if settings.redis_url is None:
            valkey = stack.enter_context(borrow_valkey(settings.data))
        installation = describe(settings, postgres, valkey)
        bring_up_to_date(installation)
        yield installation


def _role(dsn: str) -> str:
    user = conninfo_to_dict(dsn).get("user")
    if not user:
        raise StartRefused(
            "SQL_OWNER_DSN is set, so SQL_DSN must name the role that serves",
            "give it a user, as in postgresql://tollgate_app:password@host/database",
        )
    return str(user)


def _crypto_secret(settings: Settings) -> str:
    return settings.crypto_secret or kept_crypto_secret(settings.data)


def kept_crypto_secret(data: DataDirectory) -> str:
    """The secret this data directory made for itself when none was set."""
    return data.secret(CRYPTO_SECRET_FILE)


def _first_line(error: Exception) -> str:
    # libpq names the host and the role here, never the password.
    return str(error).strip().partition("\n")[0]
