"""A variant nobody registered is dead; a registered one has its own file, or its own folder."""

import re
from pathlib import Path

import pytest

from gateway.formats.registry import PROVIDER_FORMATS
from gateway.providers.registry import PROVIDERS
from ledger.export.formats.registry import FORMATS as EXPORTED
from projections.reconciliation.registry import FORMATS as RECONCILED
from projections.registry import PROJECTIONS
from tollgate.commands.contract import Command, Group, Modules
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


def listed(offered: Modules | Group) -> list[tuple[str, Command]]:
    """Every command that is imported by a name, with the word that is said for it."""
    if not isinstance(offered, Modules):
        within = offered.actions
        return listed(within) if isinstance(within, Modules) else []
    found = [(word, command) for word in offered.names for command in offered.meant_by(word)]
    deeper = [one for _, command in found if isinstance(command, Group) for one in listed(command)]
    return [*found, *deeper]


def test_a_command_is_listed_under_its_own_word_and_has_its_own_module() -> None:
    commands = listed(COMMANDS)
    assert [word for word, _ in commands] == [command.name for _, command in commands]
    files = (ROOT / "tollgate/commands").rglob("*.py")
    written = {path for path in files if re.search(r"^COMMAND = ", path.read_text(), re.MULTILINE)}
    assert len(written) == len(commands) == len({id(command) for _, command in commands})


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
