"""`tollgate doctor`: what is wrong with this installation, and the remedy, one line each."""

import argparse
import contextlib
from collections.abc import Iterator

import psycopg
from psycopg_pool import PoolTimeout

from ledger.errors import LedgerError
from tollgate.commands.contract import FINDINGS, OK
from tollgate.doctor.database import examine_desk, examine_postgres, examine_redis
from tollgate.doctor.machine import examine_machine
from tollgate.doctor.postgres_checks import Finding
from tollgate.embedded.errors import StartRefused
from tollgate.embedded.postgres import borrow as borrow_postgres
from tollgate.embedded.valkey import borrow as borrow_valkey
from tollgate.installation import Installation, at_desk, describe
from tollgate.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    settings = Settings.from_environment(arguments)
    if settings.notice is not None:
        print(f"note: {settings.notice}")
    count = 0
    for finding in _findings(settings):
        print(finding)
        count += 1
    if count == 0:
        print("nothing is wrong")
    return FINDINGS if count else OK


def _findings(settings: Settings) -> Iterator[Finding]:
    """The machine first: what is wrong there is why the servers do not answer."""
    on_the_machine = list(examine_machine(settings))
    yield from on_the_machine
    if not settings.data.root.exists():
        return
    try:
        with _servers(settings) as installation:
            in_the_database = list(examine_postgres(installation))
            yield from in_the_database
            yield from examine_redis(installation)
            if not in_the_database:
                yield from at_desk(installation, examine_desk)
    except StartRefused as refusal:
        yield Finding(refusal.message, refusal.remedy)
    except (psycopg.OperationalError, PoolTimeout, LedgerError) as error:
        yield Finding(f"the ledger cannot be read ({error})", "see the log of Postgres")


@contextlib.contextmanager
def _servers(settings: Settings) -> Iterator[Installation]:
    """Like `open_installation`, but as they are: nothing is migrated, nothing is seeded."""
    with contextlib.ExitStack() as stack:
        postgres = valkey = None
        if settings.sql_dsn is None:
            postgres = stack.enter_context(borrow_postgres(settings.data))
        if settings.redis_url is None:
            valkey = stack.enter_context(borrow_valkey(settings.data))
        yield describe(settings, postgres, valkey)
