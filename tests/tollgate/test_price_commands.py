"""`tollgate price`: books, the catalogue and ratios at the command line."""

import json

import pytest

from admin_api.prices.operations.price_inputs import read_price
from ledger.pricing import LongContext, Price, Schedule
from tests.tollgate.test_cli import Tool, tool
from tests.tollgate.test_ledger_reports import one_line
from tollgate.commands.price.books import read_rates, written_rates

__all__ = ["tool"]

RATES = (
    "input=3", "output=15", "above-200000.input=6", "flex.input=1.5",
    "flex.output=7.5", "flex.above-5.per_call=0.25",
)  # fmt: skip
PRICE = Price(
    rates={"input": 3 * 10**9, "output": 15 * 10**9},
    long_context=(LongContext(above_tokens=200_000, rates={"input": 6 * 10**9}),),
    services={
        "flex": Schedule(
            rates={"input": 15 * 10**8, "output": 75 * 10**8},
            long_context=(LongContext(above_tokens=5, rates={"calls": 25 * 10**7}),),
        )
    },
)


def test_a_price_is_written_as_it_is_read() -> None:
    assert read_price(read_rates(RATES)) == PRICE
    assert written_rates(PRICE) == " ".join(RATES)


def test_a_service_without_the_output_that_another_sells_is_refused(tool: Tool) -> None:
    """It would be given away."""
    assert tool.run("price", "set", "m", "input=3", "output=15", "flex.input=1") == 2
    assert "services.flex.output" in tool.complained
    assert tool.run("price", "set", "m", "input=3", "flex.input=1", "flex.output=2") == 2
    tool.ok("price", "set", "m", "input=3", "output=15", "flex.input=1", "flex.output=0")
    assert tool.run("price", "set", "embedding", "input=3") == 0
    assert "output has no price" in tool.complained


def test_prices_costs_and_drafts_are_set_and_listed_each_in_its_book(tool: Tool) -> None:
    assert tool.ok("price", "set", "m", *RATES, "--reason", "the list of May") == "version 1"
    assert " ".join(RATES) in tool.ok("price", "list")
    tool.furnish()
    channel = tool.ok("channel", "list").splitlines()[1].split()[0]
    assert tool.ok("price", "set", "up", "input=1", "--cost") == "version 1"
    assert tool.ok("price", "set", "up", "input=2", "--cost", "--channel", channel) == "version 1"
    assert "input=1" in tool.ok("price", "list", "--cost")
    assert "input=2" in tool.ok("price", "list", "--cost", "--channel", channel)
    assert "up" not in tool.ok("price", "list")


def test_a_draft_is_compared_and_published(tool: Tool) -> None:
    tool.ok("price", "set", "m", "input=1", "output=3")
    tool.ok("price", "set", "m", "input=2", "output=3", "--book", "next")
    tool.ok("price", "set", "n", "input=5", "--book", "next")
    told = tool.ok("price", "diff", "next")
    assert "input 1 -> 2 (100%)" in told
    assert "input none -> 5" in told
    assert tool.ok("price", "publish", "next", "--reason", "r") == "m: version 2\nn: version 1"
    assert "input=2 output=3" in tool.ok("price", "list")
    assert "nothing in the draft differs" in one_line(
        tool, 1, "price", "publish", "next", "--reason", "r"
    )


def test_the_catalogue_is_listed_and_imported_without_a_network(tool: Tool) -> None:
    assert tool.run("price", "import-catalogue", "anthropic:claude-sonnet-4-5", "--dry-run") == 0
    assert "1 would be set" in tool.said
    assert "claude" not in tool.ok("price", "list")
    assert tool.run("price", "import-catalogue", "anthropic:claude-sonnet-4-5") == 0
    assert tool.said.strip().endswith("1 set")
    assert "above-200000.input=6" in tool.ok("price", "list")
    assert tool.run("price", "import-catalogue", "deepseek:deepseek-reasoner") == 1
    assert "time of day" in tool.said
    assert tool.said.strip().endswith("0 set, 1 left out, as told above")


def test_an_import_that_leaves_something_out_says_so_and_is_done(tool: Tool) -> None:
    some = ("price", "import-catalogue", "deepseek:deepseek-reasoner", "openai:gpt-4o")
    assert tool.ok(*some, "--dry-run").endswith("1 would be set, 1 left out, as told above")
    assert tool.ok(*some).endswith("1 set, 1 left out, as told above")
    assert tool.ok(*some).endswith("0 set, 1 left out, as told above")
    file = tool.folder.parent / "options.json"
    file.write_text('{"ModelRatio": {"a": 0.3333333333333333333, "b": 1}}')
    assert tool.ok("price", "import-ratios", str(file)).endswith("1 set, 1 left out, as told above")


@pytest.mark.parametrize(
    ("asked", "priced"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("o3-high", "o3-2025-04-16"),
    ],
)
def test_d13_a_cost_price_under_a_name_that_no_call_asks_for_is_told(
    tool: Tool, asked: str, priced: str
) -> None:
    tool.type("k\n")
    tool.ok("channel", "add", "C", "--type", "openai", "--model", f"sold={asked}", "--keys")
    for model in ("sold", "another"):
        tool.ok("price", "set", model, "input=2", "output=8")
    tool.ok("price", "set", priced, "input=1", "output=4", "--cost")
    tool.ok("price", "set", "nobody-asks-for-it-2024-08-06", "input=1", "output=4", "--cost")
    assert tool.run("doctor") == 1
    name = asked.removesuffix("-high")
    assert tool.said == (
        f"what {name!r} costs us is not known: the cost price is that of {priced!r}, and calls "
        f"are asked for {name!r}: set it under that name, `tollgate price set {name} input=... "
        "--cost`\n"
    )
    tool.ok("price", "set", name, "input=1", "output=4", "--cost")
    assert tool.ok("doctor") == "nothing is wrong"


def test_ratios_go_in_and_come_out(tool: Tool) -> None:
    tool.folder.parent.mkdir(exist_ok=True)
    file = tool.folder.parent / "options.json"
    file.write_text('{"ModelRatio": {"a": 1.25, "b": 0.075}, "CompletionRatio": {"a": 4}}')
    tool.ok("price", "import-ratios", str(file))
    assert "input=2.5 output=10" in tool.ok("price", "list")
    tables = json.loads(tool.ok("price", "ratios"))
    assert tables["ModelRatio"] == {"a": "1.25", "b": "0.075"}
    file.write_text(json.dumps(tables))
    assert tool.ok("price", "import-ratios", str(file)).endswith("0 set")
    file.write_text('{"ModelRatio": {"a": 0.3333333333333333333}}')
    assert tool.run("price", "import-ratios", str(file), "--book", "d") == 1
    assert "no whole number of nanodollars" in tool.complained


def test_what_cannot_be_done_is_one_line_and_a_number(tool: Tool) -> None:
    for arguments, said in (
        (("set", "m", "inputs=1"), "no such rate"),
        (("set", "m", "above-x.input=1"), "no such rate"),
        (("set", "m", "output=1"), "input: is required"),
        (("set", "m", "input=1", "--channel", "x"), "--channel goes with --cost"),
        (("set", "m", "input=1", "--cost", "--book", "d"), "leave --book out"),
        (("set", "m", "input=1", "--book", "a/b"), "book: must be"),
        (("import-ratios", "/nowhere.json"), "cannot be read"),
        (("import-catalogue",), "name models, or a provider"),
        (("diff", "sale"), "not a draft"),
    ):
        assert said in one_line(tool, 2, "price", *arguments)
    assert "no such draft" in one_line(tool, 1, "price", "diff", "none")
    assert "has no" in one_line(tool, 1, "price", "import-catalogue", "openai:none")
