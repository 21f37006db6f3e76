"""`tollgate request list`, `usage`, `alarms`, ... on a database that no server folds."""

import re
from collections import Counter
from uuid import uuid4

import psycopg
import pytest

from ledger.alarms import alarms
from ledger.money import format_usd
from ledger.store.append import adapt
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.streams.charge.events import ChargeAdjusted, RefundIssued, UsageSettled
from ledger.streams.setting import SettingChanged
from tests.builders import LawfulLog
from tests.projections.driving import run_to_head
from tests.servers import FreshDatabase
from tests.tollgate.test_cli import Tool, tool

__all__ = ["tool"]


def grown(tool: Tool, database: FreshDatabase) -> list[Recorded]:
    """The log behind a furnished ledger."""
    tool.furnish()
    return log_grown(database)


def log_grown(database: FreshDatabase) -> list[Recorded]:
    """The log, with calls and all else that happens."""
    with psycopg.connect(database.app_dsn, autocommit=True) as connection:
        adapt(connection)
        LawfulLog(connection, seed=1, accounts=3).grow(600, batch_groups=50)
        query = f"select {RECORDED_COLUMNS} from ledger.event order by position"
        return [recorded(row) for row in connection.execute(query, binary=True).fetchall()]


def test_requests_are_listed_and_every_page_leads_to_the_next(
    tool: Tool, database: FreshDatabase
) -> None:
    log = grown(tool, database)
    closed = [
        (str(one.stream_id), str(one.event.account_id))
        for one in reversed(log)
        if isinstance(one.event, UsageSettled | RefundIssued)
    ]
    listed: list[str] = []
    before: tuple[str, ...] = ()
    while True:
        lines = tool.ok("request", "list", "--limit", "60", *before).splitlines()
        more = lines.pop().split() if lines[-1].startswith("more: ") else []
        listed += [line.split()[1] for line in lines[1:]]
        if not more:
            break
        before = tuple(more[1:])
    assert listed == [request for request, _ in closed]
    account = closed[0][1]
    own = [request for request, payer in closed if payer == account]
    lines = tool.ok("request", "list", "--account", account, "--limit", "1000").splitlines()
    assert [line.split()[1] for line in lines[1:]] == own
    refunded = tool.ok("request", "list", "--status", "refunded", "--limit", "1").splitlines()
    assert "  refunded: " in refunded[1]
    with pytest.raises(SystemExit):
        tool.run("request", "list", "--limit", "0")
    assert tool.run("request", "list", "--from", "soon") == 2
    assert tool.complained.startswith("tollgate: from: must be a date-time")


def test_usage_adds_up_to_what_was_settled(tool: Tool, database: FreshDatabase) -> None:
    log = grown(tool, database)
    settled = [one.event for one in log if isinstance(one.event, UsageSettled)]
    adjusted = [one.event for one in log if isinstance(one.event, ChargeAdjusted)]
    lines = tool.ok("usage", "--per", "total").splitlines()
    heads, cells = re.split(r"  +", lines[0]), re.split(r"  +", lines[1])
    told = dict(zip(heads, cells, strict=True))
    assert told["REQUESTS"] == str(len(settled))
    assert told["ADJUSTMENTS"] == str(len(adjusted))
    charged = sum(each.charged_nanos for each in settled)
    assert told["CHARGED"] == format_usd(charged)
    assert told["ADJUSTED"] == format_usd(sum(each.delta_nanos for each in adjusted))
    zones = [one.event.value for one in log if isinstance(one.event, SettingChanged)]
    zone = zones[-1] if zones else "UTC"
    assert lines[2] == f"in {zone}; everything up to position {log[-1].position} is counted"
    by_account = tool.ok("usage", "--per", "hour", "--by", "account,model").splitlines()
    assert {line.split()[2] for line in by_account[1:-1]} == {
        str(each.account_id) for each in (*settled, *adjusted)
    }
    assert tool.run("usage", "--by", "colour") == 2
    assert tool.complained.startswith("tollgate: by: must be some of account, key")


def test_the_audit_trail_names_who_did_what(tool: Tool) -> None:
    account = tool.furnish()
    lines = tool.ok("audit", "--stream", account).splitlines()
    assert len(lines) == 2
    assert lines[1].split()[1:5] == ["command-line", "-", "account.AccountOpened.v1", account]
    of_account = tool.ok("audit", "--account", account, "--limit", "2").splitlines()
    assert [line.split()[3] for line in of_account[1:3]] == [
        "api_key.KeyIssued.v1",
        "credit.CreditGranted.v1",
    ]
    older = tool.ok("audit", "--account", account, *of_account[3].split()[1:]).splitlines()
    assert older[1:] == lines[1:]
    assert tool.run("audit", "--type", "nonsense") == 2


def test_totals_are_what_was_credited_and_charged(tool: Tool) -> None:
    account = tool.furnish()
    other = tool.ok("account", "add", "Somebody")
    lines = [re.split(r"  +", line) for line in tool.ok("totals", "accounts").splitlines()]
    assert sorted(lines[1:]) == sorted(
        [
            [account, "Größe & Co", "12.5", "0", "0", "0", "12.5", "0", "0"],
            [other, "Somebody", "0", "0", "0", "0", "0", "0", "0"],
        ]
    )
    first = tool.ok("totals", "accounts", "--limit", "1").splitlines()
    rest = tool.ok("totals", "accounts", *first[2].split()[1:]).splitlines()
    assert sorted([first[1].split()[0], rest[1].split()[0]]) == sorted([account, other])
    (_, key) = tool.ok("totals", "keys", account).splitlines()
    assert key.split()[1:] == ["Laptop", "0", "0", "0", "-"]
    assert tool.run("totals", "keys", str(uuid4())) == 1


def test_alarms_are_listed_and_the_doctor_counts_them(tool: Tool, database: FreshDatabase) -> None:
    tool.furnish()
    assert tool.ok("alarms").splitlines() == ["AT  KIND  AMOUNT  REQUEST  CHANNEL  MODEL"]
    with psycopg.connect(database.app_dsn, autocommit=True) as connection:
        lost = LawfulLog(connection, seed=2, accounts=3)
        lost.grow(100, batch_groups=50)
        lost.close_all()
    log = log_grown(database)
    expected = [
        (str(one.stream_id), alarm.kind)
        for one in reversed(log)
        for alarm in sorted(alarms(one.event))
    ]
    kinds = Counter(kind for _, kind in expected)
    assert set(kinds) == {"node_lost", "paid_without_charge"}
    listed: list[tuple[str, str]] = []
    before: tuple[str, ...] = ()
    while True:
        lines = tool.ok("alarms", "--limit", "5", *before).splitlines()
        listed += [
            (line.split()[3], line.split()[1]) for line in lines[1:] if len(line.split()) == 6
        ]
        if not lines[-1].startswith("more: "):
            break
        before = tuple(lines[-1].split()[1:])
    assert listed == expected
    own = tool.ok("alarms", "--kind", "node_lost", "--limit", "1000").splitlines()
    assert own[-1] == "node_lost: a node died with the call; what it used is not known"
    assert len(own) == 2 + kinds["node_lost"]
    assert len(tool.ok("alarms", "--from", "2999-01-01").splitlines()) == 1
    assert tool.run("alarms", "--kind", "nonsense") == 2
    assert tool.complained.startswith("tollgate: kind: is none of cost_beyond_hold, ")
    with psycopg.connect(database.app_dsn, autocommit=True) as connection:
        run_to_head(database.app_dsn, connection)
    assert tool.run("doctor") == 1
    told = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    assert f"{kinds.total()} alarms in the last 24 hours: {told}" in tool.said
    assert "`tollgate alarms`" in tool.said
