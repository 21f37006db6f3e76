"""`tollgate ledger reconcile` on real servers: what it prints, writes, and exits with."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ledger import clock
from ledger.ids import charge_id, derived_id, entity_id
from ledger.pricing import Price, cost_nanos
from ledger.store.append import NewEvent
from ledger.streams.charge.events import Attempt, Cost, QuotaReserved, Terms, UsageSettled
from ledger.streams.price import COST, PriceSet, price_stream_id
from ledger.usage import Usage
from tests.builders import append_events
from tests.ledger.building import Payer, opened
from tests.servers import FreshDatabase
from tests.tollgate.test_cli import Tool

PRICE = Price(rates={"input": 2_500_000_000, "output": 10_000_000_000})


@pytest.fixture
def tool(
    tmp_path: Path,
    database: FreshDatabase,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Tool:
    one = Tool(tmp_path / "data", capsys, monkeypatch)
    one.use(database, redis_url)
    return one


class Calls:
    """Settled calls of one channel, stored as the gateway stores them."""

    def __init__(self, connection: psycopg.Connection[Any], channel_id: UUID) -> None:
        self._connection = connection
        self._channel_id = channel_id
        event = PriceSet(
            model="provider-x", price=PRICE, effective_from_us=0, actor="root", book=COST
        )
        append_events(self._connection, NewEvent(price_stream_id("provider-x", COST), 1, event))
        free = PriceSet(model="free", price=Price(rates={}), effective_from_us=0, actor="root")
        append_events(self._connection, NewEvent(price_stream_id("free"), 1, free))
        self._payer = Payer(derived_id("test", "account"), derived_id("test", "key"))
        append_events(self._connection, *opened(self._payer))

    def settle(self, usage: Usage) -> date:
        """Store a call; its day."""
        stream_id = charge_id()
        who: dict[str, Any] = {
            "account_id": self._payer.account_id,
            "key_id": self._payer.key_id,
            "boot": entity_id(),
        }
        terms = Terms(model="free", group="default", price_version=1)
        cost = Cost(book=COST, price_version=1, amount_nanos=cost_nanos(usage, PRICE))
        opening = QuotaReserved(
            hold_nanos=0,
            terms=terms,
            admitted_at_us=clock.now_us(),
            node="n",
            dialect="openai_chat",
            **who,
        )
        closing = UsageSettled(
            released_nanos=0,
            charged_nanos=0,
            terms=terms,
            usage=usage,
            lines=(),
            cost=cost,
            basis="measured",
            ending="complete",
            channel_id=self._channel_id,
            upstream_model="provider-x",
            attempts=(Attempt(channel_id=self._channel_id, outcome="answered"),),
            node="n",
            **who,
        )
        append_events(
            self._connection, NewEvent(stream_id, 1, opening), NewEvent(stream_id, 2, closing)
        )
        row = self._connection.execute("select recorded_at from ledger.head").fetchone()
        assert row is not None
        day: date = row[0].astimezone(UTC).date()
        return day


@pytest.fixture
def calls(tool: Tool, database: FreshDatabase) -> Iterator[Calls]:
    tool.furnish()
    channel_id = UUID(tool.ok("channel", "list").splitlines()[1].split()[0])
    with psycopg.connect(database.app_dsn, autocommit=True) as connection:
        yield Calls(connection, channel_id)


def costs(tool: Tool, day: date, *rows: tuple[str, str]) -> str:
    """A cost export of one day, as CSV; the file's name."""
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    file = tool.folder.parent / f"costs-{len(rows)}-{abs(hash(rows))}.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("start_time", "end_time", "amount_value", "amount_currency", "line_item"))
        for item, amount in rows:
            writer.writerow((start, start + 86_400, amount, "usd", item))
    return str(file)


def test_it_exits_with_what_it_finds(tool: Tool, calls: Calls) -> None:
    day = calls.settle(Usage(input=1_000, output=10))
    input_, output = ("provider-x, input", "0.0025"), ("provider-x, output", "0.0001")
    agreeing = costs(tool, day, input_, output)
    said = tool.ok("ledger", "reconcile", agreeing, "--format", "openai-costs")
    assert "matched" in said
    assert "0.0026/0.0026" in said
    assert "1.000000" in said

    differing = costs(tool, day, input_, ("provider-x, output", "0.00011"), ("web search", "1"))
    command = ("ledger", "reconcile", differing, "--format", "openai-costs")
    assert tool.run(*command) == 1
    assert "amount differs" in tool.said
    assert "only theirs" in tool.said
    within = ("--tolerance-bp", "900", "--tolerance-usd", "0.000001")
    assert tool.run(*command, *within) == 1  # a search of theirs is still nothing of ours
    assert "within tolerance" in tool.said
    dated = costs(tool, day, ("provider-x-2026-01-01, input", "0.0025"), output)
    assert tool.run("ledger", "reconcile", dated, "--format", "openai-costs") == 1
    assert "their provider-x-2026-01-01 may be our provider-x" in tool.said
    mapping = tool.folder.parent / "mapping.json"
    mapping.write_text('{"models": {"provider-x-2026-01-01": "provider-x"}}')
    tool.ok(*("ledger", "reconcile", dated, "--format", "openai-costs", "--mapping", str(mapping)))


def test_it_prints_json_and_writes_a_sheet(tool: Tool, calls: Calls) -> None:
    day = calls.settle(Usage(input=1_000))
    file = costs(tool, day, ("provider-x, input", "0.0025"), ("=1+1", "-1"))
    sheet = tool.folder.parent / "report.csv"
    command = ("ledger", "reconcile", file, "--format", "openai-costs", "--out", str(sheet))
    assert tool.run(*command, "--json") == 1
    told = json.loads(tool.said)
    assert told["agrees"] is False
    assert [line["outcome"] for line in told["lines"]] == ["only_theirs", "matched"]
    with sheet.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["model"] for row in rows] == ["'=1+1", "provider-x"]
    assert sheet.stat().st_mode & 0o777 == 0o600
    assert tool.run(*command) == 2
    assert "exists already" in tool.complained
    later = sheet.with_name("later.csv")
    again = (*command[:-1], str(later), "--json")
    assert tool.run(*again) == 1
    assert json.loads(tool.said) == told  # the same report is given again


def test_what_cannot_be_reconciled_says_why_in_a_line(tool: Tool, calls: Calls) -> None:
    day = calls.settle(Usage(input=1))
    file = costs(tool, day, ("provider-x, input", "x"))
    for arguments, told in (
        ((file, "--format", "openai-costs"), "line 2, amount_value: 'x' is not"),
        ((file, "--format", "generic"), "needs a mapping"),
        ((file + ".away", "--format", "openai-costs"), "cannot be read"),
        ((file, "--format", "openai-costs", "--channel", "nobody"), "is not an id"),
        ((file, "--format", "openai-costs", "--tolerance-usd", "-1"), "not an amount"),
        ((file, "--format", "openai-costs", "--tolerance-bp", "-1"), "tolerance_bp"),
        ((file, "--format", "openai-costs", "--mapping", file), "is not a mapping"),
    ):
        assert tool.run("ledger", "reconcile", *arguments) == 2, arguments
        assert told in tool.complained
        assert tool.complained.count("\n") == 1
    nobody = str(entity_id())
    given = ("ledger", "reconcile", file, "--format", "openai-costs", "--channel", nobody)
    assert tool.run(*given) == 1
    assert nobody in tool.complained


def test_reports_are_in_a_backup(tool: Tool, calls: Calls, database: FreshDatabase) -> None:
    day = calls.settle(Usage(input=1_000))
    file = costs(tool, day, ("provider-x, input", "0.0025"))
    said = tool.ok("ledger", "reconcile", file, "--format", "openai-costs", "--json")
    archive = tool.folder.parent / "books.tar.gz"
    tool.ok("backup", str(archive))
    with psycopg.connect(database.owner_dsn, autocommit=True) as owner:
        owner.execute("drop schema ledger, vault, operations, projections cascade")
        owner.execute("drop table tollgate_migration")
    tool.ok("restore", str(archive))
    again = tool.ok("ledger", "reconcile", file, "--format", "openai-costs", "--json")
    assert json.loads(again) == json.loads(said)
