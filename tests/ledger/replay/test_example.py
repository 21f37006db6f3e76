"""The example of docs/, as it is printed: it catches up, follows, is killed, and is never wrong."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from projections.books.as_of import resolve_as_of
from projections.books.trial_balance import TrialBalance, trial_balance
from tests.builders import LawfulLog
from tests.ledger.replay.opening import until, waits_for_a_lock
from tests.ledger.store.appending import Connection, connect
from tests.servers import FreshDatabase, made_database
from tollgate.embedded.postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/replay_into_your_own_read_model.md"
EXAMPLE = ROOT / "docs/examples/revenue_by_model_and_day.py"


@dataclass(frozen=True, slots=True)
class Finance:
    """A ledger, a database of somebody else's, and a role that may do no more than read the log."""

    ledger: FreshDatabase
    reader_dsn: str
    log: Connection
    own: Connection
    own_dsn: str

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(EXAMPLE), self.reader_dsn, self.own_dsn]
        return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})

    def position(self) -> int:
        try:
            row = self.own.execute(
                "select notification_id from revenue_tracking where application_name = 'ledger'"
            ).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
        return 0 if row is None else int(row[0])

    def wait_beyond(self, position: int, process: subprocess.Popen[bytes]) -> None:
        """Until a batch is folded that lies behind a position."""
        until(lambda: self.position() > position, lambda: process.poll() is None)

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Until everything there is has been folded."""
        last = self.last_position()
        until(lambda: self.position() == last, lambda: process.poll() is None)

    def last_position(self) -> int:
        """Of the events that are revenue."""
        row = self.log.execute(
            "select max(position) from ledger.event "
            "where topic in ('charge.UsageSettled.v1', 'charge.ChargeAdjusted.v1')"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def told(self) -> dict[tuple[date, str], int]:
        rows = self.own.execute("select day, model, nanos from revenue").fetchall()
        return {(day, model): nanos for day, model, nanos in rows}

    def expected(self) -> dict[tuple[date, str], int]:
        """The same from the stored bytes, by hand."""
        sums: Counter[tuple[date, str]] = Counter()
        rows = self.log.execute("select topic, recorded_at, state from ledger.event").fetchall()
        for topic, at, state in rows:
            if topic in ("charge.UsageSettled.v1", "charge.ChargeAdjusted.v1"):
                data = msgspec.json.decode(state)
                amount = data["charged_nanos" if "Usage" in topic else "delta_nanos"]
                sums[at.astimezone(UTC).date(), data["terms"]["model"]] += amount
        return dict(sums)


@pytest.fixture
def finance(postgres_server: EmbeddedPostgres, ledger_database: FreshDatabase) -> Iterator[Finance]:
    role = f"reader_{ledger_database.name}"
    with (
        made_database(postgres_server) as own,
        connect(ledger_database.owner_dsn) as owner,
        connect(ledger_database.app_dsn) as log,
        connect(own.owner_dsn) as own_connection,
    ):
        owner.execute(printed("sql").replace("finance", role))
        reader_dsn = make_conninfo(ledger_database.app_dsn, user=role)
        yield Finance(ledger_database, reader_dsn, log, own_connection, own.owner_dsn)
        owner.execute(f"drop owned by {role}")
        owner.execute(f"drop role {role}")


def printed(language: str) -> str:
    """The page's one block in this language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(block)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def revenue_nanos(dsn: str) -> int:
    """What the trial balance says."""

    async def asked() -> TrialBalance:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            return await trial_balance(connection, await resolve_as_of(connection, None))

    (revenue,) = [one for one in asyncio.run(asked()).totals if one.account == "revenue"]
    return revenue.net_nanos


def test_the_example_is_printed_as_it_is() -> None:
    assert printed("python") == EXAMPLE.read_text()
    assert f"python {EXAMPLE.relative_to(ROOT)} " in PAGE.read_text()


def test_it_catches_up_and_follows(finance: Finance) -> None:
    log = LawfulLog(finance.log, seed=5)
    log.grow(1_000)
    with connect(finance.ledger.owner_dsn) as owner:  # the log's clock goes on to the next day
        owner.execute("update ledger.head set recorded_at = recorded_at + interval '1 day'")
    log.grow(1_000)
    process = finance.start()
    finance.wait(process)
    assert finance.told() == finance.expected()
    assert len({day for day, _ in finance.told()}) == 2
    for _ in range(3):
        log.grow(200)
        finance.wait(process)
    kill(process)
    assert finance.told() == finance.expected()
    assert sum(finance.told().values()) == revenue_nanos(finance.ledger.app_dsn)


def test_killed_at_any_moment_it_goes_on_where_it_was(finance: Finance) -> None:
    log = LawfulLog(finance.log, seed=6)
    log.grow(8_000)
    positions = [0]
    for _ in range(4):
        process = finance.start()
        finance.wait_beyond(positions[-1], process)
        kill(process)
        positions.append(finance.position())
        log.grow(500)
    process = finance.start()
    finance.wait(process)
    kill(process)
    assert positions == sorted(set(positions))
    assert finance.told() == finance.expected()
    assert sum(finance.told().values()) == revenue_nanos(finance.ledger.app_dsn)


def test_killed_within_a_batch_nothing_of_it_is_there(finance: Finance) -> None:
    log = LawfulLog(finance.log, seed=7)
    log.grow(500)
    process = finance.start()
    finance.wait(process)
    position, told = finance.position(), finance.told()
    with connect(finance.own_dsn) as blocking, blocking.transaction():
        blocking.execute("lock table revenue in share mode")  # it is read, and not written
        log.grow(500)
        until(lambda: waits_for_a_lock(finance.own), lambda: process.poll() is None)
        kill(process)
        assert (finance.position(), finance.told()) == (position, told)
    process = finance.start()
    finance.wait(process)
    kill(process)
    assert finance.told() == finance.expected()
    assert sum(finance.told().values()) == revenue_nanos(finance.ledger.app_dsn)


@pytest.mark.parametrize("lost", ["ledger", "own"])
def test_a_lost_database_ends_it_and_starting_again_goes_on(finance: Finance, lost: str) -> None:
    log = LawfulLog(finance.log, seed=8)
    log.grow(300)
    process = finance.start()
    finance.wait(process)
    if lost == "ledger":
        with connect(finance.ledger.owner_dsn) as owner:
            hang_up(owner, finance.reader_dsn)
    else:
        hang_up(finance.own, finance.own_dsn)
    log.grow(300)
    assert process.wait(timeout=30) == 1
    process = finance.start()
    finance.wait(process)
    kill(process)
    assert finance.told() == finance.expected()


def hang_up(connection: Connection, dsn: str) -> None:
    """End what others have open in this database by the role of a connection string."""
    connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and usename = %s and pid <> pg_backend_pid()",
        (conninfo_to_dict(dsn)["user"],),
    )
