"""Generations: each copy of a projection lives in a schema of its own; one of them is served.

`projections.<table>` is a view of the served generation, so readers never name a generation, and
another one takes over within one transaction.
"""

import zlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

import psycopg
from psycopg import sql

from ledger.store.reader import Recorded
from projections.contract import Key, Projection
from projections.folding import FoldedTable, RowCache, fold
from projections.storage import Connection, TableStore

_CREATING = 0x67656E65  # "gene"


class Checkpoint(NamedTuple):
    """A row of operations.projection."""

    generation: int
    version: int
    position: int
    is_served: bool


class Generation:
    """One copy of a projection: its tables, and what is known of their rows.

    The caller is the only writer of the schema, and keeps the position.
    """

    def __init__(self, projection: Projection, schema: str) -> None:
        self.projection = projection
        self._stores = [TableStore(table, schema) for table in projection.tables]
        self._caches = [RowCache() for _ in projection.tables]

    def create_tables(self, connection: Connection) -> None:
        """Make all tables, empty; the schema exists."""
        for store in self._stores:
            store.create(connection)

    def create_indexes(self, connection: Connection) -> None:
        """Make the secondary indexes."""
        for store in self._stores:
            store.create_indexes(connection)

    def fold(self, connection: Connection, events: Sequence[Recorded]) -> list[FoldedTable]:
        """Fold a batch in memory; reads rows, writes nothing."""
        return [
            self._fold_table(connection, store, cache, events)
            for store, cache in zip(self._stores, self._caches, strict=True)
        ]

    def write(self, connection: Connection, folded: Sequence[FoldedTable]) -> None:
        """Write what `fold` gave, in the caller's transaction with the checkpoint."""
        for store, outcome in zip(self._stores, folded, strict=True):
            store.write(connection, outcome.changes)

    def remember(self, folded: Sequence[FoldedTable]) -> None:
        """Call after the commit: the rows are stored now."""
        for cache, outcome in zip(self._caches, folded, strict=True):
            cache.put(outcome)

    @staticmethod
    def _fold_table(
        connection: Connection, store: TableStore, cache: RowCache, events: Sequence[Recorded]
    ) -> FoldedTable:
        topics = store.table.topics()
        own = [event for event in events if event.event.TOPIC in topics]

        def load(keys: Sequence[Key]) -> dict[Key, object]:
            return store.read(connection, keys)

        return fold(store.table, own, cache, load)


def schema_name(projection: Projection, generation: int) -> str:
    """The schema one generation lives in."""
    return _schema_name(projection.name, generation)


def read_checkpoints(connection: Connection, name: str) -> list[Checkpoint]:
    """All generations of a projection, oldest first."""
    cursor = connection.execute(
        "select generation, version, position, is_served from operations.projection "
        "where name = %s order by generation",
        (name,),
        binary=True,
    )
    return [Checkpoint(*row) for row in cursor.fetchall()]


def read_served(connection: Connection, name: str) -> Checkpoint | None:
    """The served generation of a projection; None where there is none yet."""
    return next((each for each in read_checkpoints(connection, name) if each.is_served), None)


def start_generation(connection: Connection, projection: Projection) -> Checkpoint:
    """Make an empty generation at position 0. The first ever is served at once."""
    with connection.transaction():
        # A runner and a rebuild may both find that there is none.
        connection.execute(
            "select pg_advisory_xact_lock(%s::int, %s::int)",
            (_CREATING, zlib.crc32(projection.name.encode()) & 0x7FFFFFFF),
        )
        known = read_checkpoints(connection, projection.name)
        number = max((each.generation for each in known), default=0) + 1
        schema = schema_name(projection, number)
        # Left over from a restored or half-deleted installation: nothing points to it.
        connection.execute(
            sql.SQL("drop schema if exists {0} cascade; create schema {0}").format(
                sql.Identifier(schema)
            )
        )
        generation = Generation(projection, schema)
        generation.create_tables(connection)
        connection.execute(
            "insert into operations.projection (name, generation, version, position, is_served) "
            "values (%s, %s, %s, 0, false)",
            (projection.name, number, projection.version),
        )
        if not any(each.is_served for each in known):
            generation.create_indexes(connection)
            serve(connection, projection, number)
            return Checkpoint(number, projection.version, 0, is_served=True)
        return Checkpoint(number, projection.version, 0, is_served=False)


def serve(connection: Connection, projection: Projection, generation: int) -> None:
    """Point readers to a generation, within the caller's transaction."""
    connection.execute(
        "update operations.projection set is_served = false where name = %s and is_served",
        (projection.name,),
    )
    connection.execute(
        "update operations.projection set is_served = true where name = %s and generation = %s",
        (projection.name, generation),
    )
    for table in projection.tables:
        view = sql.Identifier("projections", table.name)
        source = sql.Identifier(schema_name(projection, generation), table.name)
        select = sql.SQL("view {} as select * from {}").format(view, source)
        try:
            with connection.transaction():  # keeps what others were granted
                connection.execute(sql.SQL("create or replace {}").format(select))
        except psycopg.errors.InvalidTableDefinition:  # other columns than before
            connection.execute(sql.SQL("drop view {}; create {}").format(view, select))


def drop_generation(connection: Connection, projection: Projection, generation: int) -> None:
    """Forget a generation that is not served, its schema and its checkpoint."""
    with connection.transaction():
        connection.execute(
            "delete from operations.projection "
            "where name = %s and generation = %s and not is_served",
            (projection.name, generation),
        )
        connection.execute(
            sql.SQL("drop schema if exists {} cascade").format(
                sql.Identifier(schema_name(projection, generation))
            )
        )


def drop_retired(connection: Connection, kept: Collection[str]) -> list[str]:
    """Forget the read models of other releases, with all they have; gives their names."""
    rows = connection.execute(
        "delete from operations.projection where name <> all(%s) returning name, generation",
        (list(kept),),
    ).fetchall()
    for name, generation in rows:
        connection.execute(
            sql.SQL("drop schema if exists {} cascade").format(
                sql.Identifier(_schema_name(name, generation))
            )
        )
    return sorted({name for name, _ in rows})


def _schema_name(name: str, generation: int) -> str:
    return f"view_{name}_{generation}"
