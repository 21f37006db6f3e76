"""A variant nobody registered is dead; a registered one has its own file, or its own folder."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway.formats.registry import PROVIDER_FORMATS
from gateway.providers.registry import PROVIDERS
from ledger.export.formats.registry import FORMATS as EXPORTED
from projections.reconciliation.registry import FORMATS as RECONCILED
from projections.registry import PROJECTIONS
from tollgate.commands.contract import Command, Group
from tollgate.commands.registry import COMMANDS

ROOT = Path(__file__).parents[2]
NOT_VARIANTS = {"__init__", "contract", "registry", "values", "translator", "shared"}

FAMILIES = [
    ("gateway/formats", set(PROVIDER_FORMATS)),
    ("projections/views", {projection.name for projection in PROJECTIONS}),
    # Vendors that are nothing but data share a file.
    (
        "gateway/providers",
        {type(one).__module__.rpartition(".")[2] for one in PROVIDERS.values()},
    ),
    ("ledger/export/formats", set(EXPORTED)),
    (
        "projections/reconciliation/formats",
        {name.replace("-", "_") for name in RECONCILED},
    ),
]


@pytest.mark.parametrize(("folder", "registered"), FAMILIES, ids=[family[0] for family in FAMILIES])
def test_every_variant_is_registered_under_its_own_name(folder: str, registered: set[str]) -> None:
    files = {path.stem for path in (ROOT / folder).glob("*.py")} - NOT_VARIANTS
    folders = {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")} - NOT_VARIANTS
    assert files | folders == registered


def test_a_provider_with_a_file_of_its_own_has_its_name() -> None:
    homes = {name: type(one).__module__.rpartition(".")[2] for name, one in PROVIDERS.items()}
    strangers = {name for name, home in homes.items() if home not in (name, "compatible")}
    assert strangers == set()


def registered_functions(offered: Sequence[Command]) -> list[str]:
    """What carries out every command, under whatever words."""
    found = []
    for command in offered:
        if isinstance(command, Group):
            found += registered_functions(command.actions())
        else:
            found.append(command.function)
    return found


def written_functions() -> list[str]:
    """Every function of the commands that takes what was said and gives a number to exit with."""
    found = []
    for path in (ROOT / "tollgate/commands").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                takes = [ast.unparse(one.annotation or node) for one in node.args.args]
                gives = ast.unparse(node.returns or node)
                if (takes, gives) == (["argparse.Namespace"], "int"):
                    found.append(f"{module}:{node.name}")
    return found


def test_every_command_is_registered_once_and_has_its_function() -> None:
    assert sorted(registered_functions(COMMANDS)) == sorted(written_functions())


def test_no_two_commands_have_one_name() -> None:
    for offered in groups(COMMANDS):
        names = [command.name for command in offered]
        assert len(names) == len(set(names))


def groups(offered: Sequence[Command]) -> Iterator[Sequence[Command]]:
    """What can be said after each word that has more words after it, and what can be said first."""
    yield offered
    for command in offered:
        if isinstance(command, Group):
            yield from groups(command.actions())


@pytest.mark.parametrize("folder", [family[0] for family in FAMILIES])
def test_no_variant_knows_a_sibling_or_the_registry(folder: str) -> None:
    package = folder.replace("/", ".")
    names = {path.stem for path in (ROOT / folder).glob("*")} - NOT_VARIANTS
    for path in (ROOT / folder).rglob("*.py"):
        own = path.relative_to(ROOT / folder).parts[0].removesuffix(".py")
        if own == "registry":
            continue
        text = path.read_text()
        known = {name for name in {"registry", *names} - {own} if f"{package}.{name}" in text}
        assert not known, f"{path} knows {known}"
