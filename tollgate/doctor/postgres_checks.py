"""What a Postgres must be like before money is written into it."""

from dataclasses import dataclass
from typing import Any

import psycopg

MAJOR_VERSION_MIN = 14


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with an installation, and what to do about it."""

    finding: str
    remedy: str

    def __str__(self) -> str:
        return " ".join(f"{self.finding}: {self.remedy}".split())


# A lost fsync or a torn page loses acknowledged events; `remote_apply` is stricter than `on`.
_REQUIRED = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_apply"),
    "server_encoding": ("UTF8",),
}


def faults(connection: psycopg.Connection[Any]) -> list[Finding]:
    """Why this server cannot keep books; as seen by the role that will write."""
    found = []
    major = connection.info.server_version // 10_000
    if major < MAJOR_VERSION_MIN:
        found.append(
            Finding(
                f"Postgres is of version {major}, and Tollgate needs {MAJOR_VERSION_MIN}",
                "upgrade the server",
            )
        )
    rows = connection.execute(
        "select name, setting from pg_settings where name = any(%s)", (list(_REQUIRED),)
    ).fetchall()
    for name, value in sorted(rows):
        if value not in _REQUIRED[name]:
            wanted = _REQUIRED[name][0]
            found.append(
                Finding(
                    f"Postgres runs with {name} = {value}, so acknowledged events could be lost"
                    if name != "server_encoding"
                    else f"the database is encoded in {value}",
                    f"set {name} = {wanted} for this server, database and role"
                    if name != "server_encoding"
                    else "create it with ENCODING 'UTF8'",
                )
            )
    return found
