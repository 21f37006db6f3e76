"""`tollgate ledger adjust` and `reprice`: two people at the command line, by their tokens."""

import argparse
import json

import psycopg
import pytest

from admin_api.operators.operations import register_operator
from tests.builders import LawfulLog
from tests.servers import FreshDatabase
from tests.tollgate.test_cli import Tool, tool
from tests.tollgate.test_ledger_reports import one_line
from tollgate.commands.at_the_desk import perform

__all__ = ["tool"]

WHY = ("--code", "goodwill", "--reason", "said sorry")


def operator(tool: Tool) -> str:
    """The token of a fresh operator, who may approve at once: the house says it has but one."""
    tool.ok("setting", "set", "approvals.one_operator", "yes", "--reason", "one_operator")
    named = argparse.Namespace(data_dir=str(tool.folder))
    return perform(
        named, lambda desk: register_operator(desk, name="Eve", role="finance", actor="test")
    ).token


def as_(tool: Tool, token: str, *arguments: str) -> str:
    tool.type(f"{token}\n")
    return tool.ok("ledger", *arguments)


def refused(tool: Tool, token: str, *arguments: str) -> str:
    tool.type(f"{token}\n")
    return one_line(tool, 1, "ledger", *arguments)


def test_two_operators_adjust_a_balance_and_one_cannot(tool: Tool) -> None:
    account = tool.ok("account", "add", "Somebody")
    root, second = tool.ok("token", "reset"), operator(tool)
    adjustment = as_(tool, root, "adjust", "propose", account, "credit", "2.5", *WHY)
    assert "cannot approve it" in refused(tool, root, "adjust", "approve", adjustment)
    assert "nobody has this token" in refused(tool, "x", "adjust", "approve", adjustment)
    tool.type("")
    assert "token is needed" in one_line(tool, 2, "ledger", "adjust", "approve", adjustment)
    assert "posted     0 USD" in tool.ok("ledger", "balance", account)
    told = as_(tool, second, "adjust", "approve", adjustment)
    assert "posted" in told.splitlines()[0]
    assert "reason     goodwill: said sorry" in told
    assert tool.ok("ledger", "adjust", "show", adjustment) == told
    assert "posted     2.5 USD" in tool.ok("ledger", "balance", account)
    position = told.splitlines()[-1].split()[-1]
    back = as_(tool, second, "adjust", "reverse", position, *WHY)
    assert "is about to be" in refused(tool, root, "adjust", "reverse", position, *WHY)
    as_(tool, root, "adjust", "approve", back)
    assert "posted     0 USD" in tool.ok("ledger", "balance", account)
    third = as_(tool, root, "adjust", "propose", account, "debit", "1", *WHY)
    told = as_(tool, second, "adjust", "reject", third, "--reason", "no")
    assert "rejected   no" in told
    listed = tool.ok("ledger", "adjust", "list").splitlines()
    assert [line.split()[:3] for line in listed[1:]] == [
        [third, "manual", "rejected"],
        [back, "reversal", "posted"],
        [adjustment, "manual", "posted"],
    ]
    assert tool.ok("ledger", "adjust", "list", "--state", "posted").count("\n") == 2
    assert "the books are clean" in tool.ok("ledger", "fsck")


def test_the_same_key_proposes_once(tool: Tool) -> None:
    account, root = tool.ok("account", "add", "Somebody"), tool.ok("token", "reset")
    key = ("--idempotency-key", "once")
    first = as_(tool, root, "adjust", "propose", account, "credit", "1", *WHY, *key)
    assert as_(tool, root, "adjust", "propose", account, "credit", "1.0", *WHY, *key) == first
    other = ("adjust", "propose", account, "debit", "1", *WHY, *key)
    assert "another request" in refused(tool, root, *other)


def test_a_what_if_and_the_correction_made_of_it(tool: Tool, database: FreshDatabase) -> None:
    root, second = tool.ok("token", "reset"), operator(tool)
    with psycopg.connect(database.app_dsn, autocommit=True) as connection:
        LawfulLog(connection, seed=3, accounts=3).grow(400)
    question = ("reprice", "--price", "small", "input=0.1", "output=0.3", "--model", "small")
    told = tool.ok("ledger", *question)
    assert "nothing was written" in told
    answer = json.loads(tool.ok("ledger", *question, "--json"))
    assert answer["proposed"] is None
    assert {each["model"] for each in answer["models"]} == {"small"}
    sums = told[told.index("\nsum") :].split()[1:7]
    total = answer["total"]
    assert sums == [
        *(str(total[name]) for name in ("calls", "raised_calls", "lowered_calls")),
        *(total[name] for name in ("before", "after", "difference")),
    ]
    proposal = (*question, "--propose", "customer")
    assert "needs --code" in one_line(tool, 2, "ledger", *proposal)
    adjustment = as_(tool, root, *proposal, *WHY, "--json")
    adjustment = json.loads(adjustment)["proposed"]
    assert "cannot approve it" in refused(tool, root, "adjust", "approve", adjustment)
    approved = as_(tool, second, "adjust", "approve", adjustment)
    assert approved.splitlines()[0] == f"correction {adjustment}: posted"
    after = json.loads(tool.ok("ledger", *question, "--json"))["total"]
    assert after["lowered_calls"] == 0
    assert after["raised_calls"] == total["raised_calls"]
    correction = answer["corrections"]["customer"]
    assert f"({correction['difference']})" in approved
    assert correction["difference"] == total["lowered"]
    assert "the books are clean" in tool.ok("ledger", "fsck")


def test_d14_prices_are_those_at_the_end_of_a_day(tool: Tool) -> None:
    tool.furnish()
    tool.ok("setting", "set", "book.time_zone", "Europe/Berlin")
    asked = ("ledger", "reprice", "--book", "sale", "--prices-as-of", "2098-10-26")
    assert "prices of 2098-10-26T22:59:59.999999Z" in tool.ok(*asked).splitlines()
    assert "as_of" in one_line(tool, 2, *asked[:-1], "2026-02-30")


def test_bad_questions_are_one_line(tool: Tool) -> None:
    tool.ok("account", "add", "Somebody")
    assert "no price was ever set" in one_line(tool, 1, "ledger", "reprice", "--book", "sale")
    assert "name a book" in one_line(tool, 2, "ledger", "reprice")
    assert "there is no rate" in one_line(tool, 2, "ledger", "reprice", "--price", "m", "x=1")
    late = ("--multiplier", "default=1", "--from", "999999")
    assert "a position of the log" in one_line(tool, 2, "ledger", "reprice", *late)
    with pytest.raises(SystemExit):
        tool.run("ledger", "adjust")
