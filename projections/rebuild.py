"""Rebuilding a projection from the log, and proving that the served one is what the log says.

Both fold the log into a shadow while the runner goes on writing and events go on arriving. A
rebuild then puts its shadow in place at exactly the position of the served generation. A
comparison reads served rows and folds its own last stretch within one snapshot, so both stand at
the same position without holding anybody up.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from psycopg import IsolationLevel, sql

from projections.batches import Batch, Interest, read_batch
from projections.contract import Projection, Table
from projections.election import try_to_rebuild
from projections.folding import without_collection
from projections.generations import (
    Checkpoint,
    Generation,
    drop_generation,
    read_checkpoints,
    read_served,
    schema_name,
    serve,
    start_generation,
)
from projections.storage import Connection, connect

Progress = Callable[[int, int], None]
"""Told (position, target) after every batch."""

_BATCH_EVENTS = 10_000
_NEAR_EVENTS = 2_000
"""What is left to fold when the checkpoint is held, or the snapshot is taken."""


class RebuildRefused(Exception):
    """Somebody else rebuilds this projection, or another release serves it."""


class Rebuilt(NamedTuple):
    """What a rebuild put in place."""

    generation: int
    position: int


class Difference(NamedTuple):
    """A row that is not what the log says; None where one side has no such row."""

    table: str
    key: str
    served: str | None
    replayed: str | None


def _no_progress(position: int, target: int) -> None:
    """Nobody watches."""


def rebuild(dsn: str, projection: Projection, progress: Progress = _no_progress) -> Rebuilt:
    """Fold the log anew and serve the outcome. Run it as the role that the runner has.

    Raises RebuildRefused, ProjectionStopped (an event cannot be read), LogBroken.
    """
    with connect(dsn) as connection:
        served = _prepared(connection, projection)
        shadow = start_generation(connection, projection)
        schema = schema_name(projection, shadow.generation)
        folder = _Folder(connection, Generation(projection, schema))
        try:
            position = _switched(folder, shadow.generation, progress)
        except BaseException:
            if not connection.closed:
                drop_generation(connection, projection, shadow.generation)
            raise
        drop_generation(connection, projection, served)
        return Rebuilt(shadow.generation, position)


def compare(
    dsn: str, projection: Projection, limit: int = 20, progress: Progress = _no_progress
) -> list[Difference]:
    """The first differences between the served rows and a replay, both at the served position.

    The replay lives in temporary tables and leaves nothing behind. A projection that was never
    folded differs in nothing. Raises RebuildRefused (another release serves it),
    ProjectionStopped, LogBroken.
    """
    with connect(dsn) as connection:
        served = read_served(connection, projection.name)
        if served is None:
            return []
        _require_version(served, projection)
        generation = Generation(projection, "pg_temp")
        generation.create_tables(connection)
        folder = _Folder(connection, generation)
        folder.fold_near(progress)
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            served = read_served(connection, projection.name)
            assert served is not None
            folder.fold_to(served.position, progress)
            schema = schema_name(projection, served.generation)
            return list(_differences(connection, projection, schema, limit))


class _Folder:
    """Folds the log into a generation that only this connection knows."""

    def __init__(self, connection: Connection, generation: Generation) -> None:
        self.connection = connection
        self.generation = generation
        self.position = 0
        self._interest = Interest([generation.projection])

    @property
    def projection(self) -> Projection:
        return self.generation.projection

    def fold_near(self, progress: Progress) -> None:
        """Fold until little is left before the served position, wherever that has got to."""
        while True:
            served = read_served(self.connection, self.projection.name)
            assert served is not None
            if served.position - self.position <= _NEAR_EVENTS:
                return
            self.fold_to(served.position, progress)

    def fold_to(self, target: int, progress: Progress) -> None:
        """Fold everything up to and including `target`, a batch per transaction."""
        while self.position < target:
            with without_collection():
                batch = read_batch(
                    self.connection, self.position, target, _BATCH_EVENTS, self._interest
                )
                self._fold(batch.part_for(self.projection))
            progress(self.position, target)

    def _fold(self, batch: Batch) -> None:
        folded = self.generation.fold(self.connection, batch.events)
        with self.connection.transaction():
            self.generation.write(self.connection, folded)
        self.generation.remember(folded)
        self.position = batch.last


def _prepared(connection: Connection, projection: Projection) -> int:
    """Make sure that this is the only rebuild; sweep what a killed one left. The served number."""
    if not try_to_rebuild(connection, projection):
        raise RebuildRefused(f"projection {projection.name} is being rebuilt already")
    checkpoints = read_checkpoints(connection, projection.name)
    served = next((each for each in checkpoints if each.is_served), None)
    if served is None:
        return start_generation(connection, projection).generation
    _require_version(served, projection)
    for each in checkpoints:
        if not each.is_served and each.version == projection.version:
            drop_generation(connection, projection, each.generation)
    return served.generation


def _require_version(served: Checkpoint, projection: Projection) -> None:
    if served.version != projection.version:
        raise RebuildRefused(
            f"projection {projection.name} is served in version {served.version}, this release "
            f"makes version {projection.version}: the newer release's runner sees to it"
        )


def _switched(folder: _Folder, shadow: int, progress: Progress) -> int:
    """Bring the shadow up, then serve it at exactly the position the served one has."""
    connection, projection = folder.connection, folder.projection
    folder.fold_near(progress)
    folder.generation.create_indexes(connection)
    folder.fold_near(progress)
    with connection.transaction():
        # Holds up the runner, which moves this row in every one of its transactions.
        row = connection.execute(
            "select position from operations.projection where name = %s and is_served for update",
            (projection.name,),
        ).fetchone()
        assert row is not None
        folder.fold_to(row[0], progress)
        connection.execute(
            "update operations.projection set position = %s where name = %s and generation = %s",
            (folder.position, projection.name, shadow),
        )
        serve(connection, projection, shadow)
    return folder.position


def _differences(
    connection: Connection, projection: Projection, schema: str, limit: int
) -> Iterator[Difference]:
    # Here, and only here, whole tables are read: by hashing, not by index.
    connection.execute("set local enable_seqscan = on; set local enable_hashjoin = on")
    for table in projection.tables:
        query = _comparison(table, schema)
        for key, served, replayed in connection.execute(query, (limit,)).fetchall():
            yield Difference(table.name, key, served, replayed)


def _comparison(table: Table, schema: str) -> sql.Composed:
    key = sql.SQL(", ").join(map(sql.Identifier, table.key))
    parts = sql.SQL(", ', ', ").join(
        sql.SQL("{}::text").format(sql.Identifier(name)) for name in table.key
    )
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in table.row.__struct_fields__)
    return sql.SQL(
        "select concat({parts}), s.image, r.image"
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
