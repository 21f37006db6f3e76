"""Help costs nothing: what is imported for a line of the command line, in a process of its own.

Modules are counted and not seconds: the same everywhere, whatever else the machine does.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from admin_api.credits.operations import Kind
from projections.books.profit import By
from tollgate.cli import NUMBERS
from tollgate.commands.contract import Action, Group
from tollgate.commands.registry import COMMANDS
from tollgate.importing import imported

HEAVY = {
    *("asyncio", "botocore", "cryptography", "eventsourcing", "fastapi", "google"),
    *("psycopg", "psycopg_pool", "pyarrow", "pydantic", "redis", "reportlab", "starlette"),
    *("structlog", "tiktoken", "uvicorn", "uvloop"),
}
ROOMS_BELOW = {"admin_api", "gateway", "ledger", "projections"}

_TELL_MODULES = """
import json, sys
from tollgate.cli import main
try:
    number = main(sys.argv[1:])
except SystemExit as left:
    number = left.code
print(json.dumps([number, sorted(sys.modules)]))
"""


def run(*arguments: str, program: str = _TELL_MODULES) -> subprocess.CompletedProcess[str]:
    """A program of ours in a Python of its own, without a server or a setting."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    )


def imported_for(*arguments: str) -> tuple[int, set[str]]:
    """The number that a command line ends with, and the packages that it imports."""
    number, modules = json.loads(run(*arguments).stdout.splitlines()[-1])
    return number, {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("--version", 0),
        ("--help", 0),
        ("", 2),
        ("nonsense", 2),
        ("nonsense --help", 2),
        ("--nonsense account", 2),
    ],
)
def test_what_needs_no_command_imports_none(said: str, number: int) -> None:
    ended, packages = imported_for(*said.split())
    assert ended == number
    assert packages & (HEAVY | ROOMS_BELOW | {"msgspec"}) == set()


@pytest.mark.parametrize("command", COMMANDS, ids=[command.name for command in COMMANDS])
def test_help_imports_nothing_that_a_command_runs_with(command: Action | Group) -> None:
    ended, packages = imported_for(command.name, "--help")
    assert ended == 0
    assert packages & HEAVY == set()


def test_help_of_one_action_imports_no_more_than_its_group() -> None:
    for words in (["ledger", "export"], ["ledger", "adjust", "propose"], ["account", "add"]):
        ended, packages = imported_for(*words, "--help")
        assert ended == 0
        assert packages & HEAVY == set()


def test_help_lists_a_format_whose_library_is_not_installed() -> None:
    without = "import sys; sys.modules['pyarrow'] = None\n" + _TELL_MODULES
    assert (
        "{csv,jsonl,parquet,beancount}" in run("ledger", "export", "--help", program=without).stdout
    )


def test_a_word_that_nothing_has_is_refused_in_the_words_of_its_group() -> None:
    for words in (["nonsense"], ["account", "nonsense"], ["ledger", "adjust", "nonsense"]):
        refused = run(*words)
        assert json.loads(refused.stdout)[0] == 2
        assert "invalid choice: 'nonsense'" in refused.stderr
        assert refused.stderr.startswith(f"usage: {' '.join(['tollgate', *words[:-1]])} ")


def test_refusals_are_numbered_by_the_names_their_classes_have() -> None:
    for name in NUMBERS:
        refusal = imported(name)
        assert isinstance(refusal, type)
        assert issubclass(refusal, Exception)
        assert f"{refusal.__module__}:{refusal.__qualname__}" == name


@pytest.mark.parametrize(
    ("words", "option", "meant"),
    [(("ledger", "profit"), "--by", By), (("credit", "add"), "--source", Kind)],
    ids=["profit", "credit"],
)
def test_choices_that_a_registry_spells_out_are_those_there_are(
    words: tuple[str, str], option: str, meant: object
) -> None:
    (group,) = (one for one in COMMANDS if one.name == words[0])
    assert isinstance(group, Group)
    (action,) = (one for one in group.actions() if one.name == words[1])
    assert isinstance(action, Action)
    (argument,) = (one for one in action.arguments if option in one.names)
    assert argument.options["choices"] == get_args(meant)
