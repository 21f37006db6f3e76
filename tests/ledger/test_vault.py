"""The vault: opens in its own place under its own secret, and nowhere else."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import vault
from ledger.errors import VaultRefused
from ledger.ids import entity_id
from ledger.vault import Place, Vault
from tests.servers import FreshDatabase

CANARY = "sk-canary-7f3a9c"
Connection = psycopg.AsyncConnection[Any]


def place(**changes: Any) -> Place:  # noqa: ANN401 - the fields of Place
    return Place("channel", UUID(int=1), "key", UUID(int=2))._replace(**changes)


def with_connection(dsn: str, work: Callable[[Connection], Awaitable[None]]) -> None:
    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            await work(connection)

    asyncio.run(run())


@given(st.text(), st.text(min_size=1))
def test_a_cell_opens_where_it_was_sealed(text: str, secret: str) -> None:
    sealing = Vault(secret)
    wrapped = sealing.new_data_key(place().subject)
    sealed = sealing.seal(wrapped, place(), text)
    assert Vault(secret).open(wrapped, place(), sealed) == text


def test_the_same_text_is_sealed_differently_each_time() -> None:
    sealing = Vault("secret")
    wrapped = sealing.new_data_key(place().subject)
    assert sealing.seal(wrapped, place(), "x") != sealing.seal(wrapped, place(), "x")
    assert CANARY.encode() not in sealing.seal(wrapped, place(), CANARY)
    assert "secret" not in repr(sealing)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "user"},
        {"row_id": UUID(int=9)},
        {"field": "name"},
        {"kind": "channelk", "field": "ey"},
        {"subject": UUID(int=9)},
    ],
)
def test_a_cell_does_not_open_in_another_place(changes: dict[str, object]) -> None:
    sealing = Vault("secret")
    wrapped = sealing.new_data_key(place().subject)
    sealed = sealing.seal(wrapped, place(), CANARY)
    with pytest.raises(VaultRefused) as refusal:
        sealing.open(wrapped, place(**changes), sealed)
    assert CANARY not in str(refusal.value)


def test_a_data_key_of_another_subject_does_not_open() -> None:
    sealing = Vault("secret")
    theirs = sealing.new_data_key(UUID(int=9))
    with pytest.raises(VaultRefused):
        sealing.seal(theirs, place(), "x")


def test_another_secret_opens_nothing() -> None:
    sealing = Vault("secret")
    wrapped = sealing.new_data_key(place().subject)
    sealed = sealing.seal(wrapped, place(), CANARY)
    with pytest.raises(VaultRefused):
        Vault("Secret").open(wrapped, place(), sealed)


def test_every_altered_byte_is_noticed() -> None:
    sealing = Vault("secret")
    wrapped = sealing.new_data_key(place().subject)
    sealed = sealing.seal(wrapped, place(), CANARY)
    for number in range(len(sealed)):
        altered = bytearray(sealed)
        altered[number] ^= 1
        with pytest.raises(VaultRefused):
            sealing.open(wrapped, place(), bytes(altered))
    for length in range(len(sealed)):
        with pytest.raises(VaultRefused):
            sealing.open(wrapped, place(), sealed[:length])
    for number in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[number] ^= 1
        with pytest.raises(VaultRefused):
            sealing.open(bytes(altered), place(), sealed)


def test_cells_are_read_back_one_and_many(ledger_database: FreshDatabase) -> None:
    async def work(connection: Connection) -> None:
        sealing, rows = Vault("secret"), [entity_id() for _ in range(3)]
        for number, row_id in enumerate(rows):
            cell = place(row_id=row_id, subject=rows[number % 2])
            await vault.put(connection, sealing, cell, f"text {number}")
        assert await vault.get(connection, sealing, "channel", rows[2], "key") == "text 2"
        assert await vault.get(connection, sealing, "channel", rows[2], "name") is None
        many = await vault.get_many(connection, sealing, "channel", "key", [*rows, entity_id()])
        assert many == {row_id: f"text {number}" for number, row_id in enumerate(rows)}

    with_connection(ledger_database.app_dsn, work)


def test_a_cell_written_again_says_the_new_text(ledger_database: FreshDatabase) -> None:
    async def work(connection: Connection) -> None:
        sealing = Vault("secret")
        await vault.put(connection, sealing, place(), "old")
        await vault.put(connection, sealing, place(subject=entity_id()), "new")
        assert await vault.get(connection, sealing, "channel", place().row_id, "key") == "new"

    with_connection(ledger_database.app_dsn, work)


@pytest.mark.parametrize("column", ["row_id", "field", "kind"])
def test_two_cells_swapped_are_refused(ledger_database: FreshDatabase, column: str) -> None:
    async def work(connection: Connection) -> None:
        sealing = Vault("secret")
        one = place()
        other = place(row_id=UUID(int=5), field="name", kind="user")
        await vault.put(connection, sealing, one, CANARY)
        await vault.put(connection, sealing, other, "other")
        await connection.execute(
            f"update vault.cell set {column} = %s where row_id = %s",
            (getattr(other, column), one.row_id),
        )
        moved = one._replace(**{column: getattr(other, column)})
        with pytest.raises(VaultRefused):
            await vault.get(connection, sealing, moved.kind, moved.row_id, moved.field)

    with_connection(ledger_database.app_dsn, work)


def test_two_rows_that_exchanged_their_bytes_are_refused(
    ledger_database: FreshDatabase,
) -> None:
    async def work(connection: Connection) -> None:
        sealing = Vault("secret")
        rows = [UUID(int=1), UUID(int=5)]
        for row_id in rows:
            await vault.put(connection, sealing, place(row_id=row_id), CANARY)
        await connection.execute(
            "update vault.cell a set sealed = b.sealed from vault.cell b where a.row_id <> b.row_id"
        )
        for row_id in rows:
            with pytest.raises(VaultRefused):
                await vault.get(connection, sealing, "channel", row_id, "key")

    with_connection(ledger_database.app_dsn, work)


def test_the_database_holds_no_plain_text(ledger_database: FreshDatabase) -> None:
    async def work(connection: Connection) -> None:
        await vault.put(connection, Vault("secret"), place(), CANARY)
        cursor = await connection.execute(
            "select c::text || encode(c.sealed, 'escape') || encode(k.wrapped, 'escape') "
            "from vault.cell c join vault.data_key k using (subject)"
        )
        (row,) = await cursor.fetchall()
        assert CANARY not in row[0]
        assert CANARY.encode().hex() not in row[0]

    with_connection(ledger_database.app_dsn, work)


def test_a_forgotten_subject_is_unreadable_in_every_copy(
    ledger_database: FreshDatabase,
) -> None:
    async def work(connection: Connection) -> None:
        sealing = Vault("secret")
        theirs, others = place(), place(row_id=UUID(int=5), subject=UUID(int=6))
        await vault.put(connection, sealing, theirs, CANARY)
        await vault.put(connection, sealing, others, "stays")
        cursor = await connection.execute(
            "select sealed from vault.cell where row_id = %s", (theirs.row_id,)
        )
        ((copy,),) = await cursor.fetchall()
        assert await vault.forget(connection, theirs.subject)
        assert not await vault.forget(connection, theirs.subject)
        assert await vault.get(connection, sealing, "channel", theirs.row_id, "key") is None
        assert await vault.get(connection, sealing, "channel", others.row_id, "key") == "stays"
        # The same subject again has another key: the copy stays unreadable.
        await vault.put(connection, sealing, theirs._replace(field="name"), "again")
        await connection.execute(
            "insert into vault.cell values (%s, %s, %s, %s, %s)", (*theirs, copy)
        )
        with pytest.raises(VaultRefused):
            await vault.get(connection, sealing, "channel", theirs.row_id, "key")

    with_connection(ledger_database.app_dsn, work)


def test_concurrent_first_uses_of_a_subject_agree_on_one_key(
    ledger_database: FreshDatabase,
) -> None:
    rows = [entity_id() for _ in range(20)]

    async def write(sealing: Vault, row_id: UUID) -> None:
        dsn = ledger_database.app_dsn
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as own:
            await vault.put(own, sealing, place(row_id=row_id), str(row_id))

    async def work(connection: Connection) -> None:
        sealing = Vault("secret")
        await asyncio.gather(*(write(sealing, row_id) for row_id in rows))
        many = await vault.get_many(connection, sealing, "channel", "key", rows)
        assert many == {row_id: str(row_id) for row_id in rows}

    with_connection(ledger_database.app_dsn, work)


def test_a_new_secret_opens_everything_and_the_old_one_nothing(
    ledger_database: FreshDatabase,
) -> None:
    async def work(connection: Connection) -> None:
        old, new = Vault("old"), Vault("new")
        rows = [entity_id() for _ in range(3)]
        for row_id in rows:
            await vault.put(connection, old, place(row_id=row_id, subject=row_id), str(row_id))
        await add_data_key(connection, new)
        assert await vault.rewrap(connection, old, new) == (4, 1)
        assert await vault.rewrap(connection, old, new) == (0, 5)
        many = await vault.get_many(connection, new, "channel", "key", rows)
        assert many == {row_id: str(row_id) for row_id in rows}
        with pytest.raises(VaultRefused):
            await vault.get_many(connection, old, "channel", "key", rows)

    with_connection(ledger_database.app_dsn, work)


def test_a_rotation_from_the_wrong_secret_changes_nothing(
    ledger_database: FreshDatabase,
) -> None:
    async def work(connection: Connection) -> None:
        right, wrong = Vault("right"), Vault("wrong")
        for number in (1, 2):
            cell = place(row_id=UUID(int=number), subject=UUID(int=number))
            await vault.put(connection, right, cell, "text")
        with pytest.raises(VaultRefused):
            await vault.rewrap(connection, wrong, Vault("new"))
        assert await vault.get(connection, right, "channel", UUID(int=1), "key") == "text"

    with_connection(ledger_database.app_dsn, work)


def test_d1_nothing_is_sealed_under_a_second_secret(ledger_database: FreshDatabase) -> None:
    async def work(connection: Connection) -> None:
        first, second = Vault("first"), Vault("second")
        await vault.put(connection, first, place(), "text")
        for subject in (place().subject, entity_id()):
            with pytest.raises(VaultRefused):
                await vault.put(connection, second, place(subject=subject), "another")
        with pytest.raises(VaultRefused):
            await vault.require_secret(connection, second)
        await vault.require_secret(connection, first)
        cursor = await connection.execute("select count(*) from vault.data_key")
        assert await cursor.fetchone() == (2,)

    with_connection(ledger_database.app_dsn, work)


def test_d1_of_two_secrets_that_begin_at_once_one_stays(ledger_database: FreshDatabase) -> None:
    dsn = ledger_database.app_dsn

    async def begin(secret: str) -> str | None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as own:
            try:
                place_ = place(row_id=entity_id(), subject=entity_id())
                await vault.put(own, Vault(secret), place_, "text")
            except VaultRefused:
                return None
        return secret

    async def work(connection: Connection) -> None:
        begun = await asyncio.gather(*(begin(f"secret {number % 2}") for number in range(20)))
        stayed = {secret for secret in begun if secret is not None}
        assert len(stayed) == 1
        one = Vault(stayed.pop())
        cursor = await connection.execute("select subject, wrapped from vault.data_key")
        assert all(one.holds(wrapped, subject) for subject, wrapped in await cursor.fetchall())

    with_connection(dsn, work)


def test_d1_a_vault_without_a_key_of_its_own_is_of_the_secret_that_opens_most(
    ledger_database: FreshDatabase,
) -> None:
    async def work(connection: Connection) -> None:
        right, typed_once = Vault("right"), Vault("typed once")
        for _ in range(3):
            await add_data_key(connection, right)
        await add_data_key(connection, typed_once)
        with pytest.raises(VaultRefused):
            await vault.require_secret(connection, typed_once)
        await vault.require_secret(connection, right)
        with pytest.raises(VaultRefused):
            await vault.put(connection, typed_once, place(), "text")

    with_connection(ledger_database.app_dsn, work)


def test_d1_one_cell_that_does_not_open_spoils_no_other(ledger_database: FreshDatabase) -> None:
    rows = [UUID(int=1), UUID(int=2), UUID(int=3)]

    async def work(connection: Connection) -> None:
        sealing = Vault("secret")
        for row_id in rows[:2]:
            await vault.put(connection, sealing, place(row_id=row_id), f"text {row_id.int}")
        await connection.execute(
            "update vault.cell set sealed = sealed || 'x' where row_id = %s", (rows[1],)
        )
        told = await vault.tell_many(connection, sealing, "channel", "key", rows)
        assert told == {rows[0]: "text 1", rows[1]: vault.UNREADABLE}

    with_connection(ledger_database.owner_dsn, work)


async def add_data_key(connection: Connection, sealing: Vault) -> None:
    """As releases made them that did not look at the secret."""
    subject = entity_id()
    await connection.execute(
        "insert into vault.data_key (subject, wrapped) values (%s, %s)",
        (subject, sealing.new_data_key(subject)),
    )
