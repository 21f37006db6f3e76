"""Is what is served what the log says? A replay beside it, row by row.

Served rows are read, and the replay's last stretch is folded, within one snapshot: so both stand
at the same position without holding anybody up. What readers read must be those rows: a view that
says something else is a difference of the whole table.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg import IsolationLevel, sql

from projections.contract import Key, Projection, Table
from projections.divergence import Suspect, find_divergence
from projections.generations import read_served, schema_name
from projections.progress import Progress, unwatched
from projections.rebuild import fold_near, require_version
from projections.replay import Replay
from projections.served_views import OtherView, other_views
from projections.storage import Connection, TableStore, connect

EVERY_ROW = "*"
"""The key of a table that is not read as it is folded."""


class ColumnDifference(msgspec.Struct, frozen=True):
    """A column's value as text on either side; None: null, or there is no such row."""

    name: str
    served: str | None
    replayed: str | None


class Difference(NamedTuple):
    """A row that is not what the log says.

    served, replayed: the whole row as Postgres writes it; None where one side has no such row. Of
    EVERY_ROW, the queries by which readers read and should.
    account_id: whose it is, where the row says so. first_divergent: see `projections.divergence`;
    None where no event of the log touches the row.
    """

    table: str
    key: str
    served: str | None
    replayed: str | None
    account_id: UUID | None
    columns: tuple[ColumnDifference, ...]
    first_divergent: int | None


def compare(
    dsn: str, projection: Projection, limit: int = 20, progress: Progress = unwatched
) -> list[Difference]:
    """The first differences between the served rows and a replay, both at the served position.

    The replay lives in temporary tables and leaves nothing behind. A projection that was never
    folded differs in nothing. Raises RebuildRefused (another release serves it),
    ProjectionStopped, LogBroken.
    """
    with connect(dsn) as connection:
        served = read_served(connection, projection.name)
        if served is None:
            progress(0, 0)
            return []
        require_version(served, projection)
        differences = [_unread(each) for each in other_views(connection, projection)]
        replay = Replay(connection, projection, "pg_temp")
        replay.create_tables()
        fold_near(dsn, replay, progress)
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            served = read_served(connection, projection.name)
            assert served is not None
            replay.fold_to(served.position, progress)
            replay.write()
            schema = schema_name(projection, served.generation)
            for table in projection.tables:
                differences += _differences(connection, table, schema, served.position, limit)
    progress(replay.position, replay.position)
    return differences


def _unread(other: OtherView) -> Difference:
    columns = (ColumnDifference(EVERY_ROW, other.read, other.expected),)
    return Difference(other.table, EVERY_ROW, other.read, other.expected, None, columns, None)


class _Found(NamedTuple):
    """A differing row: its key, as text and as values, and both sides as text."""

    name: str
    key: Key
    served: str | None
    replayed: str | None


def _differences(
    connection: Connection, table: Table, schema: str, position: int, limit: int
) -> Iterator[Difference]:
    query = _comparison(table, schema)
    # Here, and only here, whole tables are read: by hashing, not by index.
    connection.execute("set local enable_seqscan = on; set local enable_hashjoin = on")
    rows = connection.execute(query, (limit,), binary=True).fetchall()
    connection.execute("set local enable_seqscan = off; set local enable_hashjoin = off")
    if not rows:
        return
    found = [_Found(row[0], tuple(row[3:]), row[1], row[2]) for row in rows]
    keys = [each.key for each in found]
    served = TableStore(table, schema).read(connection, keys)
    replayed = TableStore(table, "pg_temp").read(connection, keys)
    suspects = [Suspect(table, each.key, served.get(each.key)) for each in found]
    divergent = find_divergence(connection, table, suspects, position)
    for each in found:
        ours, theirs = served.get(each.key), replayed.get(each.key)
        yield Difference(
            table.name,
            each.name,
            each.served,
            each.replayed,
            getattr(ours or theirs, "account_id", None),
            tuple(_columns(table, ours, theirs)),
            divergent[each.key],
        )


def _columns(table: Table, served: object, replayed: object) -> Iterator[ColumnDifference]:
    for column in table.columns():
        ours, theirs = getattr(served, column.name, None), getattr(replayed, column.name, None)
        if ours != theirs:
            yield ColumnDifference(column.name, _text(ours), _text(theirs))


def _text(value: Any) -> str | None:  # noqa: ANN401 - any column's
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return None if value is None else str(value)


def _comparison(table: Table, schema: str) -> sql.Composed:
    key = _list(table.key)
    parts = sql.SQL(", ', ', ").join(
        sql.SQL("{}::text").format(sql.Identifier(name)) for name in table.key
    )
    columns = _list(table.row.__struct_fields__)
    return sql.SQL(
        "select concat({parts}), s.image, r.image, {key}"
        " from (select {key}, row({columns})::text as image from {served}) s"
        " full join (select {key}, row({columns})::text as image from {replayed}) r using ({key})"
        " where s.image is distinct from r.image order by 1 limit %b"
    ).format(
        parts=parts,
        key=key,
        columns=columns,
        served=sql.Identifier(schema, table.name),
        replayed=sql.Identifier("pg_temp", table.name),
    )


def _list(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
