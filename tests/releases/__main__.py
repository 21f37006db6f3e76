"""Writes the dump of this release: `python -m tests.releases`. Run once, when a release is made.

A small lawful log with every event type, and a vault with a name and a provider key in it, as a
backup file. Every later release loads it and must find the same books.
"""

import asyncio
import shutil
from importlib.metadata import version
from pathlib import Path

import psycopg

from ledger import vault
from ledger.store.append import NewEvent
from ledger.store.migrate import migrate
from ledger.streams.registry import EVENT_OF_TOPIC
from ledger.streams.restore import BackupRestored, restore_stream_id
from ledger.vault import Place, Vault
from tests.builders import LawfulLog, append_groups
from tests.releases.dumps import FOLDER, SECRET, facts, write_facts
from tests.servers import make_data_directory
from tollgate.backup.dump import dump
from tollgate.embedded.postgres import APPLICATION, EmbeddedPostgres
from tollgate.installation import Installation, describe
from tollgate.settings import Settings

EVENTS = 200
"""Grown at a time, until every type of event has happened."""


def main() -> None:
    """Build the log on a Postgres of its own and save it under this release's version."""
    directory = make_data_directory()
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        settings = Settings(data=directory, redis_url="redis://unused", crypto_secret=SECRET)
        installation = describe(settings, server, None)
        migrate(installation.owner_dsn, APPLICATION)
        with psycopg.connect(installation.app_dsn, autocommit=True) as connection:
            log = LawfulLog(connection, seed=20261123, accounts=3)
            append_groups(connection, [[_restored()]])
            while set(facts(installation.app_dsn)["topics"] or ()) != set(EVENT_OF_TOPIC):
                log.grow(EVENTS)
        asyncio.run(_seal(installation, log))
        name = version("tollgate")
        file = FOLDER / f"{name}.tar.gz"
        file.unlink(missing_ok=True)
        dump(installation, file)
        write_facts(name, facts(installation.app_dsn))
        print(f"{file}: {file.stat().st_size} bytes")
    finally:
        server.stop()
        shutil.rmtree(Path(directory.root).parent)


def _restored() -> NewEvent:
    """What no log does to itself."""
    event = BackupRestored(
        sha256="0" * 64,
        made_by="tollgate 0",
        taken_at="2026-01-01T00:00:00+00:00",
        up_to_position=0,
        has_vault=True,
        actor="root",
    )
    return NewEvent(restore_stream_id(event.sha256), 1, event)


async def _seal(installation: Installation, log: LawfulLog) -> None:
    account = log.accounts[0]
    connection = await psycopg.AsyncConnection.connect(installation.app_dsn, autocommit=True)
    async with connection:
        place = Place("account", account, "name", account)
        await vault.put(connection, Vault(SECRET), place, "Ada Lovelace")


if __name__ == "__main__":
    main()
