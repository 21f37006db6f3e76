"""Brings a database to this release's schema: numbered SQL files, applied once, in order.

Every process may call it; an advisory lock lets one work while the others wait and find it done.
"""

import hashlib
from collections.abc import Collection
from importlib import resources

import psycopg
from psycopg import sql

_LOCK = 0x746F6C6C  # "toll"

_READ_ONLY_SCHEMAS = ("ledger",)
_WORKING_SCHEMAS = ("vault", "operations", "projections")
_FUNCTIONS = ("append_events", "pass_time")
"""What the application's role may do to the ledger."""


class SchemaRefused(Exception):
    """The database holds a schema that this release cannot serve."""


def migrate(
    owner_dsn: str, app_role: str | None, known_to: Collection[str] | None = None
) -> list[str]:
    """Apply what is missing; give `app_role` what it may do. Returns the names applied.

    `app_role` None: one role does everything, and the append-only triggers stand alone.
    `known_to` names the migrations of an older release: the schema as that release left it.
    Raises SchemaRefused for a schema newer than this release, or an altered migration.
    """
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
        applied = _applied(connection)
        wanted = [one for one in migrations() if known_to is None or one[0] in known_to]
        fresh = [(name, text) for name, text in wanted if name not in applied]
        _check(applied)
        for name, text in fresh:
            with connection.transaction():
                connection.execute(text.encode())
                connection.execute(
                    "insert into tollgate_migration (name, sha256) values (%s, %s)",
                    (name, _digest(text)),
                )
        if app_role is not None:
            _grant(connection, app_role)
        return [name for name, _ in fresh]


def migrations() -> list[tuple[str, str]]:
    """Name and text of every migration of this release, in order."""
    folder = resources.files("ledger.store") / "migrations"
    files = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return sorted((file.name, file.read_text()) for file in files)


def _applied(connection: psycopg.Connection) -> dict[str, str]:
    connection.execute(
        """create table if not exists tollgate_migration (
               name text primary key, sha256 text not null,
               applied_at timestamptz not null default clock_timestamp())"""
    )
    return dict(connection.execute("select name, sha256 from tollgate_migration").fetchall())


def _check(applied: dict[str, str]) -> None:
    known = {name: _digest(text) for name, text in migrations()}
    for name, digest in applied.items():
        if name not in known:
            raise SchemaRefused(f"the database was migrated by a newer release ({name})")
        if known[name] != digest:
            raise SchemaRefused(f"migration {name} is not the one the database was made with")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _grant(connection: psycopg.Connection, app_role: str) -> None:
    role = sql.Identifier(app_role)
    for schema in (*_READ_ONLY_SCHEMAS, *_WORKING_SCHEMAS):
        statements = ["grant usage on schema {schema} to {role}"]
        if schema in _READ_ONLY_SCHEMAS:
            statements.append("grant select on all tables in schema {schema} to {role}")
        else:
            statements.append("grant create on schema {schema} to {role}")
            statements.append(
                "grant select, insert, update, delete on all tables in schema {schema} to {role}"
            )
        for statement in statements:
            connection.execute(sql.SQL(statement).format(schema=sql.Identifier(schema), role=role))
    known = connection.execute(
        "select proname from pg_proc where pronamespace = 'ledger'::regnamespace "
        "and proname = any(%s)",
        (list(_FUNCTIONS),),
    ).fetchall()
    for (name,) in known:  # an old schema that is restored first has not all of them yet
        function = sql.Identifier("ledger", name)
        connection.execute(sql.SQL("grant execute on function {} to {}").format(function, role))
    connection.execute(
        sql.SQL("grant create on database {} to {}").format(
            sql.Identifier(connection.info.dbname), role
        )
    )
