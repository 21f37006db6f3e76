"""Writes `ledger/store/schema.txt` anew, from a database just made: `python -m tests.schema`.

After a migration, and never to silence a finding: `tollgate ledger fsck` and the start compare
every database with this file.
"""

import shutil
from pathlib import Path

import psycopg

from ledger.store.fingerprint import FILE, Fingerprint, read_fingerprint
from tests.servers import make_data_directory, migrated_database
from tollgate.embedded.postgres import EmbeddedPostgres

PATH = Path(__file__).parents[1] / "ledger" / "store" / FILE


def as_text(fingerprint: Fingerprint) -> str:
    """As it is committed."""
    return "".join(
        f"{kind}\t{name}\t{digest}\n" for (kind, name), digest in sorted(fingerprint.items())
    )


def main() -> None:
    """Make a database, and write what it is."""
    directory = make_data_directory()
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        with (
            migrated_database(server) as database,
            psycopg.connect(database.app_dsn, autocommit=True) as connection,
        ):
            PATH.write_text(as_text(read_fingerprint(connection)))
    finally:
        server.stop()
        shutil.rmtree(directory.root.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
