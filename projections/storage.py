"""A projection's table in one schema: making it, reading rows by key, writing a batch's changes.

New rows are copied in, changed ones go in as arrays, each with one statement per batch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from msgspec.structs import astuple
from psycopg import sql

from ledger.store.append import adapt
from ledger.store.binary_arrays import (
    BinaryArray,
    booleans,
    copied,
    longs,
    moments,
    texts,
    uuids,
)
from projections.contract import Column, Key, Table

Connection = psycopg.Connection[Any]


class Changes(NamedTuple):
    """What one batch does to a table."""

    born: list[Any]
    changed: list[Any]
    gone: list[Key]


def connect(dsn: str) -> Connection:
    """A connection that folds: autocommit, UTC, plans by index whatever the statistics say.

    Its commits need not wait for the disk: rows and checkpoint are lost together or not at all,
    and what is lost is folded again from the log. Raises psycopg.OperationalError.
    """
    connection: Connection = psycopg.connect(
        dsn,
        autocommit=True,
        connect_timeout=5,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=15_000,
    )
    connection.execute(
        "set time zone 'UTC'; set synchronous_commit = off;"
        "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off"
    )
    adapt(connection)
    return connection


class TableStore:
    """One table in one schema. All methods take part in the connection's transaction, if any."""

    def __init__(self, table: Table, schema: str) -> None:
        self.table = table
        self._columns = table.columns()
        self._name = sql.Identifier(schema, table.name)
        self._types = [column.sql_type for column in self._columns]
        by_name = {column.name: column for column in self._columns}
        self._key_types = [by_name[name].sql_type for name in table.key]
        self._from_database = _row_maker(table, self._columns)
        self._select, self._upsert, self._delete, self._copy = self._statements()

    def create(self, connection: Connection) -> None:
        """Make the table with its key; further indexes are made by `create_indexes`."""
        columns = [
            sql.SQL("{} {} {}").format(
                sql.Identifier(column.name),
                sql.SQL(column.sql_type),
                sql.SQL("" if column.is_nullable else "not null"),
            )
            for column in self._columns
        ]
        key = sql.SQL("primary key ({})").format(_names(self.table.key))
        connection.execute(
            sql.SQL("create table {} ({})").format(self._name, sql.SQL(", ").join([*columns, key]))
        )

    def empty(self, connection: Connection) -> None:
        """Remove all rows."""
        connection.execute(sql.SQL("truncate {}").format(self._name))

    def create_indexes(self, connection: Connection) -> None:
        """Make the secondary indexes, and let the planner know the table."""
        for columns in self.table.indexes:
            connection.execute(
                sql.SQL("create index on {} ({})").format(self._name, _names(columns))
            )
        connection.execute(sql.SQL("analyze {}").format(self._name))

    def read(self, connection: Connection, keys: Sequence[Key]) -> dict[Key, Any]:
        """The rows that exist under these keys."""
        arrays = _arrays(self._key_types, keys)
        cursor = connection.execute(self._select, arrays, binary=True, prepare=True)
        rows = map(self._from_database, cursor.fetchall())
        return {self.table.key_of(row): row for row in rows}

    def write(self, connection: Connection, changes: Changes) -> None:
        """Carry out the changes of one batch."""
        if changes.gone:
            connection.execute(self._delete, _arrays(self._key_types, changes.gone), prepare=True)
        if changes.changed:
            arrays = _arrays(self._types, map(astuple, changes.changed))
            connection.execute(self._upsert, arrays, prepare=True)
        if changes.born:
            with connection.cursor().copy(self._copy) as copy:
                for piece in copied(self._types, map(astuple, changes.born)):
                    copy.write(piece)

    def _statements(self) -> tuple[sql.Composed, sql.Composed, sql.Composed, sql.Composed]:
        table, columns = self.table, self._columns
        by_name = {column.name: column for column in columns}
        key_arrays = _unnest([by_name[name] for name in table.key])
        same_key = sql.SQL(" and ").join(
            sql.SQL("t.{0} = k.{0}").format(sql.Identifier(name)) for name in table.key
        )
        selected = sql.SQL(", ").join(map(_selected, columns))
        given = sql.SQL(", ").join(map(_cast, columns))
        updates = sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column.name))
            for column in columns
            if column.name not in table.key
        )
        return (
            sql.SQL("select {} from {} t join {} on {}").format(
                selected, self._name, key_arrays, same_key
            ),
            sql.SQL("insert into {} select {} from {} on conflict ({}) do update set {}").format(
                self._name, given, _unnest(columns), _names(table.key), updates
            ),
            sql.SQL("delete from {} t using {} where {}").format(self._name, key_arrays, same_key),
            sql.SQL("copy {} from stdin (format binary)").format(self._name),
        )


def _row_maker(table: Table, columns: Sequence[Column]) -> Callable[[Sequence[Any]], Any]:
    arrays = [i for i, column in enumerate(columns) if column.sql_type.endswith("[]")]

    def make(values: Sequence[Any]) -> Any:  # noqa: ANN401 - each table has its own row
        if not arrays:
            return table.row(*values)
        fields = list(values)
        for index in arrays:
            if fields[index] is not None:
                fields[index] = tuple(fields[index])
        return table.row(*fields)

    return make


def _names(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _selected(column: Column) -> sql.Composed:
    cast = "::text" if column.sql_type == "json" else ""
    return sql.SQL("t.{}" + cast).format(sql.Identifier(column.name))


def _sent_type(column: Column) -> str:
    """Documents and arrays travel as text: an array of arrays would have to be rectangular."""
    is_text = column.sql_type == "json" or column.sql_type.endswith("[]")
    return "text" if is_text else column.sql_type


def _unnest(columns: Sequence[Column]) -> sql.Composed:
    arrays = sql.SQL(", ").join(sql.SQL(f"%b::{_sent_type(column)}[]") for column in columns)
    return sql.SQL("unnest({}) k ({})").format(arrays, _names(column.name for column in columns))


def _cast(column: Column) -> sql.Composed:
    return sql.SQL("k.{}::" + column.sql_type).format(sql.Identifier(column.name))


def _arrays(types: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[BinaryArray]:
    return [
        _ARRAY_OF[sql_type](values)
        for sql_type, values in zip(types, zip(*rows, strict=True), strict=True)
    ]


def _texts_of_arrays(values: Iterable[Sequence[int] | None]) -> BinaryArray:
    return texts(None if v is None else "{" + ",".join(map(str, v)) + "}" for v in values)


_ARRAY_OF: Mapping[str, Callable[[Any], BinaryArray]] = {
    "uuid": uuids,
    "bigint": longs,
    "text": texts,
    "boolean": booleans,
    "timestamptz": moments,
    "json": texts,
    "bigint[]": _texts_of_arrays,
}
