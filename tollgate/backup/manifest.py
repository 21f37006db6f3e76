"""What a backup file says about itself: the first member of the archive.

The archive is a tar.gz: `manifest.json`, then per table `SCHEMA.TABLE.copy`, the rows in Postgres'
COPY text format, which does not depend on a version of Postgres, ordered by the table's key.
Read models are not in it: they are folds of the log and are rebuilt from it. CRYPTO_SECRET is not
in it either: the vault's cells are, sealed.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg

FORMAT = 1
MEMBER = "manifest.json"

SCHEMAS = ("ledger", "vault", "operations")
# What running nodes and read models say of themselves; a restored database has neither.
LEFT_OUT = ("operations.node_lease", "operations.projection")

_TABLES = """
    select n.nspname || '.' || c.relname,
        array(select a.attname::text from pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
              and a.attgenerated = '' order by a.attnum),
        array(select a.attname::text from pg_index i
              join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
              where i.indrelid = c.oid and i.indisprimary order by a.attnum)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname = any(%s) order by 1
"""


class Table(msgspec.Struct, frozen=True):
    """A table as it is in the database: its name with the schema, its columns and its key."""

    name: str
    columns: list[str]
    key: list[str]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A table in the archive; the SHA-256 is of the uncompressed member."""

    table: str
    columns: list[str]
    rows: int
    size_bytes: int
    sha256: str

    @property
    def file(self) -> str:
        """The member's name in the archive."""
        return f"{self.table}.copy"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`secret_check` recognises the CRYPTO_SECRET that the vault was sealed under."""

    format: int
    made_by: str
    taken_at: str
    migrations: list[str]
    head: int
    secret_check: str
    members: list[Member]


def tables(connection: psycopg.Connection[Any]) -> list[Table]:
    """The tables that belong into a backup, vault keys before the cells that refer to them."""
    rows = connection.execute(_TABLES, (list(SCHEMAS),)).fetchall()
    found = [Table(*row) for row in rows if row[0] not in LEFT_OUT]
    return sorted(found, key=lambda table: (table.name == "vault.cell", table.name))


def order_of(table: Table) -> Sequence[str]:
    """The columns whose order makes two dumps of the same rows the same bytes."""
    return ("position",) if table.name == "ledger.event" else table.key


def secret_check(crypto_secret: str) -> str:
    """Tells whether two secrets are the same one, and nothing else about them."""
    label = b"tollgate backup: which secret, 1"
    return hmac.new(crypto_secret.encode(), label, hashlib.sha256).hexdigest()[:32]
