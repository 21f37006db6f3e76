"""Reading the served rows of a projection, and waiting until they show what was just stored."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, LiteralString, TypeVar

from psycopg import AsyncConnection, sql

from ledger import clock
from projections.contract import Row, Table

RowT = TypeVar("RowT", bound=Row)

WAIT_MAX_S = 1.0
_POLL_S = 0.02


class NotUpToDate(Exception):
    """A projection did not reach the position that was asked for in time."""


async def list_rows(
    connection: AsyncConnection[Any],
    table: Table,
    row: type[RowT],
    rest: LiteralString | sql.Composable,
    parameters: Sequence[object],
) -> list[RowT]:
    """The rows of `select ... <rest>`, e.g. a condition, an order and a limit."""
    composed = rest if isinstance(rest, sql.Composable) else sql.SQL(rest)
    return await _select(connection, table, row, composed, parameters)


def where_equal(values: Mapping[str, object]) -> tuple[sql.Composable, list[object]]:
    """`and column = %s` for each column that is to have a value, and the values: None is any."""
    given = {name: value for name, value in values.items() if value is not None}
    conditions = [sql.SQL("and {} = %s ").format(sql.Identifier(name)) for name in given]
    return sql.Composed(conditions), list(given.values())


async def wait_for(
    connection: AsyncConnection[Any],
    projections: Sequence[str],
    position: int,
    timeout_s: float = WAIT_MAX_S,
) -> None:
    """Return once all named projections show everything up to `position`.

    Raises NotUpToDate. The connection must not be inside a transaction with one snapshot.
    """
    deadline_s = clock.monotonic_s() + timeout_s
    while True:
        cursor = await connection.execute(
            "select count(*) from operations.projection "
            "where is_served and name = any(%s) and position >= %s",
            (list(projections), position),
        )
        row = await cursor.fetchone()
        if row is not None and row[0] == len(projections):
            return
        if clock.monotonic_s() >= deadline_s:
            raise NotUpToDate(f"position {position} is not folded yet")
        await asyncio.sleep(_POLL_S)


async def _select(
    connection: AsyncConnection[Any],
    table: Table,
    row: type[RowT],
    rest: sql.Composable,
    parameters: Sequence[object],
) -> list[RowT]:
    columns = [
        sql.SQL("{}::text" if column.sql_type == "json" else "{}").format(
            sql.Identifier(column.name)
        )
        for column in table.columns()
    ]
    query = sql.SQL("select {} from {} {}").format(
        sql.SQL(", ").join(columns), sql.Identifier("projections", table.name), rest
    )
    cursor = await connection.execute(query, parameters, binary=True)
    return [row(*values) for values in await cursor.fetchall()]
