"""The real command-line tools against the running gateway: each reads a file by a tool of its own,
as a model behind a provider of another format tells it to, and prints the usage that is billed."""

import json
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.usage import Usage
from tests.conformance.command_lines import COMMAND_LINES, Counts, Place
from tests.conformance.reached import MODELS, Reached

PAIRS = [
    (tool, model)
    for tool, (_, _, own) in COMMAND_LINES.items()
    for model, format_name in MODELS.items()
    if format_name != own
]


@pytest.fixture
def home() -> Iterator[Path]:
    """A home whose path is short: some tools make sockets below it."""
    with tempfile.TemporaryDirectory(prefix="tg-home-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@pytest.mark.parametrize(("tool", "model"), PAIRS)
def test_a_turn_with_a_call_of_a_tool(
    everywhere: Reached,
    node: None,  # noqa: ARG001 - it is installed
    home: Path,
    tool: str,
    model: str,
) -> None:
    run, calling, _ = COMMAND_LINES[tool]
    word = secrets.token_hex(8)
    (home / "work").mkdir()
    (home / "work" / "note.txt").write_text(f"the word is {word}\n")
    charges_before = len(everywhere.stories())
    exchanges_before = len(everywhere.provider.exchanges)
    place = Place(everywhere.gateway.base_url, everywhere.payer.key, model, home)

    try:
        turn = run(place, "CALL " + calling % (home / "work" / "note.txt"))
    finally:
        assert everywhere.take_refused() == []
    assert word in turn.text
    exchanges = everywhere.provider.exchanges[exchanges_before:]
    assert {exchange.format_name for exchange in exchanges} == {MODELS[model]}
    (result,) = exchanges[-1].asked.results
    assert word in result.text
    billed = [story.settled.usage for story in everywhere.stories()[charges_before:]]
    assert len(billed) == len(exchanges) >= 2
    assert turn.counts == summed(billed)


PATCH = '*** Begin Patch\n*** Add File: made.txt\n+it is "made"\n*** End Patch'


@pytest.mark.parametrize("model", [name for name in MODELS if name != "over-openai_responses"])
def test_c16_codex_patches_a_file(
    everywhere: Reached,
    node: None,  # noqa: ARG001 - it is installed
    home: Path,
    model: str,
) -> None:
    run, _, _ = COMMAND_LINES["codex"]
    place = Place(everywhere.gateway.base_url, everywhere.payer.key, model, home)
    try:
        run(place, "CALL apply_patch " + json.dumps({"input": PATCH}))
    finally:
        assert everywhere.take_refused() == []
    assert (home / "made.txt").read_text() == 'it is "made"\n'


def summed(billed: list[Usage]) -> Counts:
    """What was billed for all calls of a turn."""
    return Counts(
        given=sum(one.input + one.cache_read for one in billed),
        cached=sum(one.cache_read for one in billed),
        made=sum(one.output + one.reasoning for one in billed),
        thought=sum(one.reasoning for one in billed),
    )
