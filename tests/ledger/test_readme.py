"""What the ledger's README says is so: its table of streams, and the charge computed by hand."""

import json
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

import ledger
from ledger.codec import decode, encode
from ledger.money import format_usd
from ledger.pricing import charge_nanos
from ledger.streams.charge.events import UsageSettled
from ledger.streams.contract import Stream
from ledger.streams.registry import STREAMS

README = (Path(next(iter(ledger.__path__))) / "README.md").read_text()


def example() -> UsageSettled:
    found = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    assert found is not None
    event = decode(UsageSettled.TOPIC, found[1].encode())
    assert isinstance(event, UsageSettled)
    assert json.loads(encode(event)) == json.loads(found[1])
    return event


def rows() -> Iterator[tuple[str, str, Decimal]]:
    """The worked example's table: name, expression, figure."""
    table = README.split("| line | units x price / per |")[1]
    row = r"^\| ([^|]+) \|([^|]*)\| ([\d.]+) \|$"
    for name, expression, figure in re.findall(row, table, re.MULTILINE):
        yield name.strip(), expression.strip(), Decimal(figure)


def test_the_example_follows_the_recipe() -> None:
    event, figures = example(), {name: figure for name, _, figure in rows()}
    total = Decimal(0)
    for line in event.lines:
        assert line.units == getattr(event.usage, line.kind)
        exact = Decimal(line.units * line.price_nanos) / line.per_units
        assert figures[line.kind] == exact
        total += exact
    assert figures["sum"] == total
    multiplier = event.terms.multiplier
    total = total * multiplier.numerator / multiplier.denominator
    assert figures["x 4 / 5"] == total
    rounded = total.quantize(Decimal(1), ROUND_HALF_UP)
    assert figures["rounded once"] == rounded == event.charged_nanos + event.shortfall_nanos
    assert event.charged_nanos <= event.released_nanos


def test_the_examples_expressions_name_the_lines_figures() -> None:
    written = {name: expression for name, expression, _ in rows()}
    for line in example().lines:
        assert written[line.kind] == f"{line.units} x {line.price_nanos} / {line.per_units}"


def test_the_code_computes_what_the_hand_computes() -> None:
    event = example()
    assert charge_nanos(event.lines, event.terms.multiplier) == event.charged_nanos
    usd = format_usd(event.charged_nanos)
    assert f"{event.charged_nanos} nanodollars are charged: {usd} USD" in README


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_the_table_names_every_stream_and_all_its_events(stream: Stream) -> None:
    table = README.split("## What `fsck` checks")[0]
    (row,) = re.findall(rf"^\| `{stream.name}` \|.*$", table, re.MULTILINE)
    named = {word for word in re.findall(r"`(\w+)`", row) if word != stream.name}
    assert named == {event.__name__ for event in stream.events}


def test_the_recipe_has_ten_lines() -> None:
    recipe = README.split("## Recompute a charge by hand")[1].split("A worked example")[0]
    assert [int(n) for n in re.findall(r"^(\d+)\. ", recipe, re.MULTILINE)] == list(range(1, 11))
