"""What a team's own read model is made of: its tables, and the position they are folded up to."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, LiteralString

from eventsourcing.persistence import IntegrityError, Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier

from ledger.replay.batches import Batch

_BEGIN = "insert into {} values (%(name)s, %(last)s) on conflict do nothing"
_GO_ON = """
    update {} set notification_id = %(last)s
    where application_name = %(name)s and notification_id = %(after)s
"""


class ReadModel(PostgresTrackingRecorder):
    """The view of a projection, folded from batches: each of them once, whatever is killed when.

    tables: statements that make its tables, each time it starts: `create table if not exists ...`.
    """

    tables: ClassVar[tuple[LiteralString, ...]] = ()

    def __init__(self, datastore: PostgresDatastore, **options: Any) -> None:  # noqa: ANN401 - the library's signature
        super().__init__(datastore, **options)
        self.sql_create_statements += [SQL(statement).format() for statement in self.tables]

    @contextmanager
    def advance(self, batch: Batch, tracking: Tracking) -> Iterator[Cursor[DictRow]]:
        """One transaction: the position moves over the batch, with all that is written here.

        Raises the library's IntegrityError when the position is not the one that the batch follows:
        another process folds into the same tables, or what a killed one had sent was committed
        after its successor had asked for the position. Starting again reads where it stands.
        """
        table = Identifier(self.datastore.schema, self.tracking_table_name)
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(
                SQL(_GO_ON if batch.after else _BEGIN).format(table),
                {
                    "name": tracking.application_name,
                    "after": batch.after,
                    "last": tracking.notification_id,
                },
            )
            if cursor.rowcount != 1:
                raise IntegrityError(f"the position is not {batch.after}, which this batch follows")
            yield cursor
