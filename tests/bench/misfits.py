"""`python -m tests.bench.misfits`: what a batch of 500 holds costs when some of them do not fit.

Processor time of the database's own process, by how many of the 500 are refused, beside a batch in
which all fit. One JSON object on standard output.
"""

import json
import random
import shutil
import sys
from uuid import UUID

import psutil
import psycopg

from ledger.store.append import NewEvent
from ledger.store.migrate import migrate
from ledger.streams import account
from tests.builders import append_groups
from tests.ledger.building import Call, Payer, credit, payer, reserve
from tests.servers import make_data_directory
from tollgate.embedded.postgres import APPLICATION, OWNER, EmbeddedPostgres

HOLDS = 500
ROUNDS = 40
REFUSED = (0, 1, 50, 250, 500)


def main() -> int:
    """Measure each share in turn, round by round, and print the figures."""
    directory = make_data_directory()
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        with psycopg.connect(server.dsn(OWNER, "postgres"), autocommit=True) as connection:
            connection.execute(f"create database misfits owner {OWNER}")
            connection.execute(f"grant create on database misfits to {APPLICATION}")
        migrate(server.dsn(OWNER, "misfits"), APPLICATION)
        with psycopg.connect(server.dsn(APPLICATION, "misfits"), autocommit=True) as connection:
            print(json.dumps(_measured(connection), indent=1))
    finally:
        server.stop()
        shutil.rmtree(directory.root.parent)
    return 0


def _measured(connection: "psycopg.Connection[tuple[object, ...]]") -> dict[str, object]:
    rich, poor = [payer() for _ in range(100)], [payer() for _ in range(100)]
    for paying in (*rich, *poor):
        append_groups(connection, [[_opened(paying.account_id)]])
    for paying in rich:
        append_groups(connection, [[credit(paying.account_id, 10**15)]])
    backend = psutil.Process(connection.info.backend_pid)
    spent_ms: dict[int, float] = dict.fromkeys(REFUSED, 0.0)
    for number in range(ROUNDS + 5):
        for refused in REFUSED:
            groups = [_hold(poor[n % 100] if n < refused else rich[n % 100]) for n in range(HOLDS)]
            random.shuffle(groups)
            before = backend.cpu_times()
            outcomes = append_groups(connection, groups)
            after = backend.cpu_times()
            assert sum(outcome.refusal is not None for outcome in outcomes) == refused
            if number >= 5:  # by then its plans are made
                spent_ms[refused] += 1_000 * (
                    after.user + after.system - before.user - before.system
                )
    return {
        "backend_ms_by_refused": {n: round(ms / ROUNDS, 2) for n, ms in spent_ms.items()},
        "to_clean": {n: round(ms / spent_ms[0], 2) for n, ms in spent_ms.items()},
    }


def _opened(account_id: UUID) -> NewEvent:
    (event,) = account.decide(account.Account(), account.Open(account_id, "default", "bench"))
    return NewEvent(account_id, 1, event)


def _hold(paying: Payer) -> list[NewEvent]:
    return Call().next(reserve(paying.cover(), 1_000))


if __name__ == "__main__":
    sys.exit(main())
