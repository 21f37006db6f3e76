"""Do readers read what is folded? `projections.<table>` must be the view that serving made of the
table of the served generation, and that table one that keeps its rows itself.
"""

from collections.abc import Iterator
from typing import NamedTuple

from psycopg import sql

from projections.contract import Projection
from projections.generations import schema_name
from projections.storage import Connection

# Locked, so that no rebuild points the views elsewhere meanwhile.
_SERVED = """
    select generation from operations.projection where name = %s and is_served for share
"""
_READ = """
    select regexp_replace(pg_get_viewdef(c.oid), '\\s+', ' ', 'g')
    from pg_class c where c.oid = to_regclass(%s) and c.relkind = 'v'
"""
_PLAIN = """
    select from pg_class c where c.oid = to_regclass(%s)
    and c.relkind = 'r' and not c.relrowsecurity
    and not exists (select from pg_inherits where inhparent = c.oid or inhrelid = c.oid)
"""
_EXPECTED = "pg_temp.as_served"


class OtherView(NamedTuple):
    """What readers of a table read instead of its rows: both as queries; None: nothing at all."""

    table: str
    read: str | None
    expected: str


def other_views(connection: Connection, projection: Projection) -> list[OtherView]:
    """The tables of a projection whose readers are told something else than what is folded.

    The projection is served. Leaves nothing behind.
    """
    while True:
        with connection.transaction():
            row = connection.execute(_SERVED, (projection.name,)).fetchone()
            if row is not None:  # else another generation was just put in its place
                return list(_other(connection, projection, schema_name(projection, row[0])))


def _other(connection: Connection, projection: Projection, schema: str) -> Iterator[OtherView]:
    for table in projection.tables:
        served = sql.Identifier(schema, table.name)
        connection.execute(
            sql.SQL("create temporary view as_served as select * from {}").format(served)
        )
        expected = _definition(connection, _EXPECTED)
        connection.execute("drop view pg_temp.as_served")
        assert expected is not None
        read = _definition(connection, sql.Identifier("projections", table.name).as_string())
        if read != expected:
            yield OtherView(table.name, read, expected)
        elif connection.execute(_PLAIN, (served.as_string(),)).fetchone() is None:
            yield OtherView(table.name, f"{read} and these are not rows of its own", expected)


def _definition(connection: Connection, name: str) -> str | None:
    row = connection.execute(_READ, (name,)).fetchone()
    return None if row is None else str(row[0]).strip()
