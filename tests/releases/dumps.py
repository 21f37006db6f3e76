"""The dumps of past releases, and what is known of the books in each."""

from pathlib import Path
from typing import Any

import msgspec
import psycopg

FOLDER = Path(__file__).parent
SECRET = "the secret of the dumps, which is no secret at all"

_FACTS = """
    select json_build_object(
        'head', (select position from ledger.head),
        'topics', (select json_object_agg(topic, n order by topic)
                   from (select topic, count(*) n from ledger.event group by topic) t),
        'budgets', (select json_object_agg(scope, array[held_nanos, posted_nanos, seq, position]
                    order by scope) from ledger.budget),
        'last_leaf', (select encode(leaf, 'hex') from ledger.event order by position desc limit 1))
"""


def facts(dsn: str) -> dict[str, Any]:
    """Head, events by topic, every budget, and the leaf of the last event."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(_FACTS).fetchone()
    assert row is not None
    found: dict[str, Any] = row[0]
    return found


def write_facts(name: str, found: dict[str, Any]) -> None:
    """Keep what is known beside the dump."""
    text = msgspec.json.format(msgspec.json.encode(found), indent=1)
    (FOLDER / f"{name}.json").write_bytes(text + b"\n")


def read_facts(name: str) -> dict[str, Any]:
    """What was known when the dump was made."""
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=dict[str, Any])
