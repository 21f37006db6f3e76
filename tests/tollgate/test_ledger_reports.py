"""`tollgate ledger balance, statement, trial-balance, journal, profit`, on a real database."""

import uuid
from decimal import Decimal

import psycopg
import pytest

from projections.registry import PROJECTIONS
from tests.builders import LawfulLog
from tests.projections.driving import run_to_head
from tests.servers import FreshDatabase
from tests.tollgate.test_cli import Tool, tool

__all__ = ["tool"]


def grown(tool: Tool, database: FreshDatabase) -> LawfulLog:
    """A log behind a furnished ledger, folded."""
    tool.furnish()
    with psycopg.connect(database.app_dsn, autocommit=True) as connection:
        log = LawfulLog(connection, seed=1, accounts=3)
        log.grow(1_200)
        run_to_head(database.app_dsn, connection, PROJECTIONS)
    return log


def one_line(tool: Tool, code: int, *arguments: str) -> str:
    """What a refused command complains."""
    assert tool.run(*arguments) == code, (arguments, tool.said, tool.complained)
    assert tool.said == ""
    assert tool.complained.startswith("tollgate: ")
    assert tool.complained.count("\n") == 1
    return tool.complained


def test_a_balance_then_and_now(tool: Tool) -> None:
    account = tool.ok("account", "add", "Somebody")
    tool.ok("credit", "add", account, "1.5", "--source", "manual", "--reason", "first")
    before = tool.ok("ledger", "balance", account).splitlines()
    position = before[3].split()[1]
    tool.ok("credit", "add", account, "2", "--source", "manual", "--reason", "second")
    then = tool.ok("ledger", "balance", account, "--as-of", position).splitlines()
    assert then[:4] == before
    assert then[4].startswith(f"as of position {position} of {int(position) + 1}, recorded at ")
    moment = then[4].rpartition(" ")[2]
    assert tool.ok("ledger", "balance", account, "--as-of", moment).splitlines() == then
    late = tool.ok("ledger", "balance", account, "--as-of", "2100-01-01T00:00:00Z")
    assert "posted     3.5 USD" in late
    assert late.endswith("; the log had not come further")


def test_d14_a_day_alone_is_its_end_and_said_so(tool: Tool) -> None:
    account = tool.furnish()
    tool.ok("setting", "set", "book.time_zone", "Europe/Berlin")
    note = "; the end of 2098-10-26 in Europe/Berlin, 2098-10-26T22:59:59.999999+00:00"
    for asked in (["balance", account], ["statement", account], ["trial-balance"]):
        last = tool.ok("ledger", *asked, "--as-of", "2098-10-26").splitlines()[-1]
        assert last.endswith(f"{note}; the log had not come further")
    before = tool.ok("ledger", "balance", account, "--as-of", "2001-02-03").splitlines()
    assert before[0] == "posted     0 USD"
    assert before[-1].endswith(", 2001-02-03T22:59:59.999999+00:00")
    assert one_line(tool, 2, "ledger", "balance", account, "--as-of", "2026-02-30")


def test_a_statement_of_many_pages_adds_up(
    tool: Tool, database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = grown(tool, database)
    account = str(log.accounts[1])
    whole = tool.ok("ledger", "statement", account)
    monkeypatch.setattr("tollgate.commands.ledger.statement.PAGE_LINES_MAX", 7)
    assert tool.ok("ledger", "statement", account) == whole
    lines = whole.splitlines()
    kinds = {line[43:53].strip() for line in lines[2:-7]}
    assert {"credit", "charge", "adjustment"} <= kinds
    opening, closing = lines[1].split(), lines[-7].split()
    assert (opening[0], opening[-1]) == ("0", "0")
    posted = tool.ok("ledger", "balance", account).splitlines()[0].split()[1]
    assert closing[-1] == posted
    ever = tool.ok("ledger", "statement", account, "--from", "1970-01-01", "--to", "9998-12-30")
    assert ever == whole
    nothing = tool.ok("ledger", "statement", account, "--to", "2001-01-01").splitlines()
    assert [line.split() for line in nothing[1:3]] == [["0", "opening", "0"], ["0", "closing", "0"]]
    assert "credited   0 USD (0)" in nothing


def test_d15_a_statement_is_summed_and_the_same_whenever_it_is_asked_for(
    tool: Tool, database: FreshDatabase
) -> None:
    log = grown(tool, database)
    account = str(log.accounts[1])
    asked = ("ledger", "statement", account, "--as-of", "150")
    whole = tool.ok(*asked)
    for by in ("day", "model", "key"):
        told = tool.ok(*asked, "--by", by).split("\n\n")
        rows = [line.split() for line in told[1].splitlines()[1:-1]]
        assert told[1].split()[0] == by.upper()
        calls = sum(int(row[-6]) for row in rows)
        charged = sum((Decimal(row[-5]) for row in rows), Decimal())
        assert f"charged    {charged.normalize():f} USD ({calls})" in whole
        assert len(told[0].splitlines()) == 8, "no lines"
        assert ("; days in " in told[1]) == (by == "day"), "R2"
        assert tool.ok(*asked, "--by", by, "--lines").startswith(whole.rsplit("\n", 1)[0])
    before = [tool.ok(*asked), tool.ok(*asked, "--by", "day")]
    tool.ok("credit", "add", account, "1", "--source", "manual", "--reason", "later")
    assert [tool.ok(*asked), tool.ok(*asked, "--by", "day")] == before
    assert one_line(tool, 2, "ledger", "statement", account, "--pdf", "x.pdf", "--as-of", "x")


def test_the_trial_balance_and_the_journal_sum_to_zero(tool: Tool, database: FreshDatabase) -> None:
    grown(tool, database)
    trial = tool.ok("ledger", "trial-balance").splitlines()
    assert trial[0].split() == ["LEDGER", "ACCOUNT", "DEBITS", "CREDITS", "NET", "POSTINGS"]
    names = [line.split()[0] for line in trial[1:-1]]
    assert names[-1] == "sum"
    assert {"customer:available", "customer:held", "provider_cost", "revenue"} <= set(names)
    name, debits, credits_, net, _ = trial[-2].split()
    assert (name, net) == ("sum", "0")
    assert debits == credits_ != "0"
    assert tool.ok("ledger", "trial-balance", "--as-of", "0").splitlines()[1].split()[1:4] == [
        "0",
        "0",
        "0",
    ]
    journal = tool.ok("ledger", "journal").splitlines()
    days = {line.split()[0] for line in journal[1:-1]}
    assert [line.split()[-2] for line in journal if " sum " in line] == ["0"] * len(days)
    (day, *_) = sorted(days)
    assert day in tool.ok("ledger", "journal", "--day", day)
    empty = tool.ok("ledger", "journal", "--from", "2001-01-01", "--to", "2001-01-31")
    assert empty.splitlines()[-1].startswith("2001-01-01 to 2001-01-31: no event of ")


def test_profit_by_whatever_is_the_same_in_all(tool: Tool, database: FreshDatabase) -> None:
    grown(tool, database)
    sums = set()
    for by in ("channel", "model", "upstream_model", "account"):
        for more in ((), ("--daily",)):
            lines = tool.ok("ledger", "profit", "--by", by, *more).splitlines()
            assert by.upper() in lines[0]
            assert len(lines) > 4
            sums.add(tuple(lines[-2].split()))
            assert lines[-1].startswith("everything up to position ")
    (total,) = sums
    assert total[0] == "sum"
    assert int(total[1]) > 100
    assert tool.ok("ledger", "profit", "--to", "2001-01-31").splitlines()[1].split()[:2] == [
        "sum",
        "0",
    ]


def test_what_is_typed_wrongly_is_refused_in_one_line(tool: Tool) -> None:
    account, nobody = tool.ok("account", "add", "Somebody"), str(uuid.uuid4())
    for action in ("balance", "statement"):
        assert "no such account" in one_line(tool, 1, "ledger", action, nobody)
        assert "not an id" in one_line(tool, 2, "ledger", action, "Somebody")
        for bad in ("yesterday", "1969-12-31T00:00:00Z", "2026-01-01T00:00:00", "9" * 19):
            assert "as_of" in one_line(tool, 2, "ledger", action, account, "--as-of", bad)
    assert "no such account" in one_line(tool, 1, "ledger", "balance", nobody, "--as-of", "1")
    statement = ("ledger", "statement", account)
    assert "before from" in one_line(
        tool, 2, *statement, "--from", "2026-02-01", "--to", "2026-01-31"
    )
    assert "from" in one_line(tool, 2, *statement, "--from", "2026-02-30")
    one_line(tool, 2, "ledger", "trial-balance", "--as-of", "5e3")
    for action in ("journal", "profit"):
        one_line(tool, 2, "ledger", action, "--from", "1969-12-31")
        one_line(tool, 2, "ledger", action, "--to", "tomorrow")
        one_line(tool, 2, "ledger", action, "--from", "2026-02-01", "--to", "2026-01-31")
    huge = ("--from", "1970-01-01", "--to", "9998-12-30")
    assert "may be asked for" in one_line(tool, 2, "ledger", "journal", *huge)
    assert "may be asked for" in one_line(tool, 2, "ledger", "profit", "--daily", *huge)
    assert "either --day" in one_line(
        tool, 2, "ledger", "journal", "--day", "2026-01-01", "--to", "2026-01-01"
    )
