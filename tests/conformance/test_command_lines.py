"""The real command-line tools against the running gateway: each reads files, looks at a picture and
changes a file by tools of its own, as a model behind a provider of another format tells it to, and
prints the usage that is billed.
"""

import base64
import json
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.usage import Usage
from tests.conformance.command_lines import COMMAND_LINES, Counts, Place
from tests.conformance.reached import MODELS, THINKING_MODEL, Reached
from tests.obedient.contract import picture
from tests.obedient.provider import PNG, Exchange

PICTURE = picture("image/png", PNG)
"""As a provider names what it is shown."""


@dataclass(frozen=True)
class TaskFiles:
    """Two to be read, the second of which is changed afterwards, and a picture."""

    read: tuple[Path, Path]
    words: tuple[str, str]
    picture: Path

    @classmethod
    def made_in(cls, folder: Path) -> "TaskFiles":
        folder.mkdir()
        words = secrets.token_hex(8), secrets.token_hex(8)
        read = folder / "a.txt", folder / "b.txt"
        for path, word in zip(read, words, strict=True):
            path.write_text(f"the word is {word}\n")
        made = cls(read, words, folder / "c.png")
        made.picture.write_bytes(base64.b64decode(PNG))
        return made


def _steps(*steps: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [
        f"STEP {number} {name} {json.dumps(arguments)}"
        for number, calls in enumerate(steps, 1)
        for name, arguments in calls
    ]


def _claude(files: TaskFiles) -> list[str]:
    edit = {"file_path": str(files.read[1]), "old_string": "word", "new_string": "end"}
    return _steps(
        [("Read", {"file_path": str(path)}) for path in files.read],
        [("Read", {"file_path": str(files.picture)})],
        [("Edit", edit)],
    )


def _codex(files: TaskFiles) -> list[str]:
    word = files.words[1]
    lines = f"-the word is {word}\n+the end is {word}"
    change = f"*** Update File: {files.read[1]}\n@@\n{lines}"
    patch = f"*** Begin Patch\n{change}\n*** End Patch"
    return _steps(
        [("exec_command", {"cmd": f"cat {path}"}) for path in files.read],
        [("view_image", {"path": str(files.picture)})],
        [("apply_patch", {"input": patch})],
    )


def _gemini(files: TaskFiles) -> list[str]:
    told = {"instruction": "End it.", "old_string": "word", "new_string": "end"}
    return _steps(
        [("read_file", {"file_path": str(path)}) for path in files.read],
        [("read_file", {"file_path": str(files.picture)})],
        [("replace", {"file_path": str(files.read[1]), **told})],
    )


TASKS: dict[str, Callable[[TaskFiles], list[str]]] = {
    "claude": _claude,
    "codex": _codex,
    "gemini": _gemini,
}

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


@pytest.mark.parametrize(
    ("tool", "model"), [*PAIRS, *((tool, THINKING_MODEL) for tool in COMMAND_LINES)]
)
def test_a_task_of_four_calls(
    everywhere: Reached,
    node: None,  # noqa: ARG001 - it is installed
    home: Path,
    tool: str,
    model: str,
) -> None:
    """Two files are read at once, a picture is looked at, one of the files is changed, and said so;
    the model thinks before each call, and is sent all that it thought.
    """
    run, _, _ = COMMAND_LINES[tool]
    files = TaskFiles.made_in(home / "work")
    exchanges_before = len(everywhere.provider.exchanges)
    charges_before = len(everywhere.stories())
    place = Place(everywhere.gateway.base_url, everywhere.payer.key, model, home)

    try:
        turn = run(place, "\n".join(TASKS[tool](files)))
    finally:
        assert everywhere.take_refused() == []
    exchanges = everywhere.provider.exchanges[exchanges_before:]
    task = [one for one in exchanges if any("STEP 1" in text for text in one.asked.texts)]
    assert [len(one.said.calls) for one in task] == [2, 1, 1, 0]
    both, looked, changed = (one.asked.results for one in task[1:])
    told = {result.call_id: result.text for result in both}
    for call, word in zip(task[0].said.calls, files.words, strict=True):
        assert word in told[call.id]  # whichever was read sooner
    seen = [*looked[-1].pictures, *task[2].asked.pictures]
    assert any(PICTURE in each for each in seen), seen
    assert len(changed) == 4
    assert files.read[1].read_text() == f"the end is {files.words[1]}\n"
    assert turn.text.startswith("they say: ")
    billed = [story.settled.usage for story in everywhere.stories()[charges_before:]]
    assert sorted(one.input for one in billed) == [one.said.figures.fresh for one in exchanges]
    assert turn.counts == summed(billed)
    for number, one in enumerate(task):
        _assert_thinking(one, task[:number])


def _assert_thinking(one: Exchange, before: Sequence[Exchange]) -> None:
    """It was asked to think, where it does not in any case, and sent what it had thought before;
    OpenAI's Chat takes no thoughts.
    """
    document = one.asked.document
    match one.format_name:
        case "anthropic_messages":
            assert document["thinking"]["type"] in ("enabled", "adaptive")
        case "openai_responses":
            assert document["reasoning"]["effort"] not in ("none", "minimal")
        case "gemini":
            thinking = document["generationConfig"]["thinkingConfig"]
            assert thinking.get("thinkingBudget", 1) != 0
        case "openai_chat":
            assert document["reasoning_effort"] not in ("none", "minimal")
            assert one.asked.thoughts == []
            return
        case _:
            assert one.asked.thoughts == [each.said.thought for each in before]
            return
    signed = [int(re.sub(r"^\D+", "", thought)) for thought in one.asked.thoughts]
    assert signed == [each.said.number for each in before]


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
