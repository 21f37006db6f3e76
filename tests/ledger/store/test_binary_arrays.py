"""What is packed here, Postgres reads as what it was."""

import random
import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ledger.store.binary_arrays import copied
from tests.servers import FreshDatabase

TYPES = ("uuid", "bigint", "bigint", "bigint", "text", "bigint", "boolean", "bigint", "bigint")
EPOCH = datetime(2026, 11, 30, tzinfo=UTC)


def value(chance: random.Random, name: str) -> Any:  # noqa: ANN401 - of any column
    match name:
        case "uuid":
            return UUID(int=chance.getrandbits(128))
        case "bigint":
            return chance.choice((0, 1, -1, 2**63 - 1, -(2**63), chance.randrange(10**12)))
        case "text":
            return chance.choice(("", "ü\n\\", "again and again", str(chance.random())))
        case "boolean":
            return chance.random() < 0.5
        case _:
            return EPOCH + timedelta(microseconds=chance.randrange(10**15))


def there_and_back(
    connection: psycopg.Connection[Any], types: tuple[str, ...], rows: list[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    columns = ", ".join(f"c{number} {name}" for number, name in enumerate(types))
    connection.execute(f"create temporary table there (row serial, {columns})".encode())
    names = ", ".join(f"c{number}" for number in range(len(types)))
    with connection.cursor().copy(f"copy there ({names}) from stdin (format binary)".encode()) as c:
        for piece in copied(types, rows):
            c.write(piece)
    return connection.execute(f"select {names} from there order by row".encode()).fetchall()


@pytest.mark.parametrize("nulls", [0.0, 0.002, 0.3])
@pytest.mark.parametrize("count", [0, 1, 250, 251, 700])
def test_copied_rows_are_read_as_they_were(
    ledger_database: FreshDatabase, count: int, nulls: float
) -> None:
    """Numbers side by side too, whether or not some of them are missing in a piece."""
    chance = random.Random(count)
    types = (*TYPES, "timestamptz")
    rows = [
        tuple(None if chance.random() < nulls else value(chance, name) for name in types)
        for _ in range(count)
    ]
    with psycopg.connect(ledger_database.app_dsn) as connection:
        connection.execute("set time zone 'UTC'")
        assert there_and_back(connection, types, rows) == rows


@pytest.mark.parametrize("count", [1, 2])
def test_a_number_that_no_column_holds_is_refused(count: int) -> None:
    with pytest.raises(struct.error):
        list(copied(("bigint",) * count, [(2**63,) * count]))
