"""The data of every past release, brought to this one: the same books, clean, and readable."""

import asyncio
from uuid import UUID

import psycopg
import pytest

from ledger import vault
from ledger.store.migrate import migrate
from ledger.streams.registry import EVENT_OF_TOPIC
from ledger.vault import Vault
from projections.fsck import check_everything
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from tests.releases.dumps import FOLDER, SECRET, facts, read_facts
from tests.servers import FreshDatabase
from tollgate.backup.load import load, read_manifest
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.postgres import APPLICATION
from tollgate.installation import Installation
from tollgate.settings import Settings

RELEASES = sorted(path.name.removesuffix(".tar.gz") for path in FOLDER.glob("*.tar.gz"))

UNRELEASED = {"restore.BackupRestored.v1"}
"""Topics that no release has written yet; none once the next one has its dump."""


@pytest.fixture(params=RELEASES)
def restored(
    request: pytest.FixtureRequest, database: FreshDatabase, server_directory: DataDirectory
) -> tuple[str, FreshDatabase]:
    """A database as the old release left it, then migrated by this one."""
    file = FOLDER / f"{request.param}.tar.gz"
    migrate(database.owner_dsn, APPLICATION, known_to=read_manifest(file).migrations)
    installation = Installation(
        settings=Settings(data=server_directory, crypto_secret=SECRET),
        owner_dsn=database.owner_dsn,
        app_dsn=database.app_dsn,
        redis_url="",
        crypto_secret=SECRET,
        app_role=APPLICATION,
    )
    with psycopg.connect(database.owner_dsn) as connection:
        load(connection, installation, file)
    migrate(database.owner_dsn, APPLICATION)
    return request.param, database


def test_there_is_a_dump_of_this_release_with_every_event_type() -> None:
    assert RELEASES
    assert set(read_facts(RELEASES[-1])["topics"]) == set(EVENT_OF_TOPIC) - UNRELEASED


def test_the_books_are_what_they_were(restored: tuple[str, FreshDatabase]) -> None:
    name, database = restored
    assert facts(database.app_dsn) == read_facts(name)


def test_the_books_are_clean_and_every_read_model_can_be_built(
    restored: tuple[str, FreshDatabase],
) -> None:
    name, database = restored
    for projection in PROJECTIONS:
        rebuild(database.app_dsn, projection)
    found = {each.check for each in check_everything(database.app_dsn, PROJECTIONS)}
    # Their logs were written when nothing refused a hold under an older price, and have such.
    assert found == ({"price"} if name in ("0.1.0", "0.2.0", "0.3.0") else set())


def test_what_was_sealed_opens(restored: tuple[str, FreshDatabase]) -> None:
    _, database = restored

    async def names() -> dict[UUID, str]:
        connection = await psycopg.AsyncConnection.connect(database.app_dsn)
        async with connection:
            cursor = await connection.execute(
                "select row_id from vault.cell where kind = 'account'"
            )
            rows = [row[0] for row in await cursor.fetchall()]
            return await vault.get_many(connection, Vault(SECRET), "account", "name", rows)

    assert list(asyncio.run(names()).values()) == ["Ada Lovelace"]
