"""Whether the database still has every guard that the migrations made."""

from typing import Any

import psycopg

from ledger.store.fingerprint import schema_differences
from tollgate.doctor.postgres_checks import Finding
from tollgate.embedded.errors import StartRefused
from tollgate.installation import Installation

_NAMED_MAX = 5


def schema_faults(connection: psycopg.Connection[Any]) -> list[Finding]:
    """One finding, where a function, a trigger, an index or a table is not as it was made."""
    found = [f"{each.kind} {each.name} {each.message}" for each in schema_differences(connection)]
    if not found:
        return []
    more = f", and {len(found) - _NAMED_MAX} more" if len(found) > _NAMED_MAX else ""
    return [
        Finding(
            f"the schema was changed by hand ({', '.join(found[:_NAMED_MAX])}{more}), so nothing "
            "of what it guards can be relied on",
            "find out who did that and why, put it back, and run `tollgate ledger fsck`; a "
            "`tollgate backup` restored into a new installation has the schema as it was made",
        )
    ]


def require_own_schema(installation: Installation) -> None:
    """For a start: no call is billed by a schema that is not ours. Raises StartRefused."""
    with psycopg.connect(installation.app_dsn, connect_timeout=10) as connection:
        for fault in schema_faults(connection):
            raise StartRefused(fault.finding, fault.remedy)
