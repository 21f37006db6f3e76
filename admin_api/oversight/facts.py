"""Events of the log by what they are, found by the audit trail, which tells where they are."""

from typing import Any

from psycopg import AsyncConnection

from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded

FOUND = f"""
    select {RECORDED_COLUMNS} from ledger.event where position in (
        select position from projections.audit_trail
        where topic = %s and position > %s and position < %s)
"""  # noqa: S608 - constants
"""Given a topic and a stretch of the log."""

NEWEST = FOUND + " order by position desc limit %s"
"""Given a number of them as well."""


async def read_facts(
    connection: AsyncConnection[Any], query: str, given: tuple[object, ...]
) -> list[Recorded]:
    """What a query of RECORDED_COLUMNS finds."""
    cursor = await connection.execute(query.encode(), given, binary=True)
    return [recorded(row) for row in await cursor.fetchall()]
