"""A16 at the command line: a large credit says what happened, and which command approves it."""

import pytest

from admin_api.adjustments import hands
from tests.tollgate.test_adjusting import as_
from tests.tollgate.test_cli import Tool, tool
from tests.tollgate.test_ledger_reports import one_line

__all__ = ["tool"]

LARGE = ("250", "--source", "payment", "--method", "bank", "--reference", "INV-9")


def test_a16_a_large_credit_says_which_command_approves_it(tool: Tool) -> None:
    account = tool.ok("account", "add", "Somebody")
    assert tool.ok("credit", "add", account, "100", "--source", "manual").startswith("position ")
    tool.type("")
    assert "token is needed" in one_line(tool, 2, "credit", "add", account, *LARGE)
    root = tool.ok("token", "reset")
    tool.type(f"{root}\n")
    said = tool.ok("credit", "add", account, *LARGE).splitlines()
    adjustment = said[0].split()[2].rstrip(":")
    assert said[0] == f"proposed as {adjustment}: nothing is credited yet"
    assert "250 USD are more than one credits alone on a day" in said[1]
    assert said[1].endswith(f"tollgate ledger adjust approve {adjustment}")
    assert "posted     100 USD" in tool.ok("ledger", "balance", account)
    shown = tool.ok("ledger", "adjust", "show", adjustment)
    assert "250 USD to the customer" in shown

    eve = tool.ok("operator", "add", "Eve", "--role", "finance").split()[-1]
    tool.type(f"{eve}\n")
    refused = one_line(tool, 1, "ledger", "adjust", "approve", adjustment)
    assert "less than a day before" in refused
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hands, "LEAST_AGE", hands.LEAST_AGE * 0)
        assert "posted" in as_(tool, eve, "adjust", "approve", adjustment).splitlines()[0]
    assert "posted     350 USD" in tool.ok("ledger", "balance", account)
    assert "top_up:bank INV-9" in tool.ok("ledger", "statement", account)

    told = tool.ok("ledger", "oversight")
    assert "a house of several operators; one alone credits up to 100 USD" in told
    assert "1 credits above what one operator could grant alone" in told
    assert adjustment in told
    assert "1 approvals within one hand" in told  # that day, Eve was new
    assert "0 changes of what one operator may do" in told
    assert '"one_operator": false' in tool.ok("ledger", "oversight", "--json")


def test_a16_a_house_of_one_operator_credits_alone_and_has_said_so(tool: Tool) -> None:
    account = tool.ok("account", "add", "Somebody")
    setting = ("setting", "set", "approvals.one_operator", "yes")
    assert "reason" in one_line(tool, 2, *setting)
    tool.ok(*setting, "--reason", "one_operator")
    assert tool.ok("credit", "add", account, *LARGE).startswith("position ")
    told = tool.ok("ledger", "oversight")
    assert "a house of one operator" in told
    assert "nobody else has" in told
    assert "command-line" in told
    assert "one_operator" in told


def test_m3_pieces_of_a_large_credit_ask_for_a_token_as_well(tool: Tool) -> None:
    account = tool.ok("account", "add", "Somebody")
    small = ("credit", "add", account, "60", "--source", "manual")
    first = tool.ok(*small, "--idempotency-key", "first")
    tool.type("")
    assert "token is needed" in one_line(tool, 2, *small)
    assert tool.ok(*small, "--idempotency-key", "first") == first
    root = tool.ok("token", "reset")
    tool.type(f"{root}\n")
    assert "nothing is credited yet" in tool.ok(*small)
    assert "posted     60 USD" in tool.ok("ledger", "balance", account)
    assert "0 days on which one gave an account more" in tool.ok("ledger", "oversight")


def test_m4_a_larger_overdraft_and_its_reason_at_the_command_line(tool: Tool) -> None:
    account = tool.ok("account", "add", "Somebody")
    raise_it = ("account", "change", account, "--overdraft", "500")
    assert "reason" in one_line(tool, 2, *raise_it)
    assert "must be a code" in one_line(tool, 2, *raise_it, "--reason", "Because I say so")
    assert "overdraft  500 USD" in tool.ok(*raise_it, "--reason", "contract")
    told = tool.ok("ledger", "oversight")
    assert "1 overdrafts that were raised, and multipliers that were lowered" in told
    assert "contract" in told
