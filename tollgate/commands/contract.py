"""What a command of the command line is, and the numbers it ends with."""

import argparse
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

OK = 0
FINDINGS = 1
"""The command was carried out, and something is wrong; or it was refused by the ledger."""
USAGE = 2
"""The command line, a setting or the machine does not allow it."""
UNREACHABLE = 3
"""A server that is needed does not answer."""

Run = Callable[[argparse.Namespace], int]


class UsageRefused(Exception):
    """The command cannot be carried out as it was given; says what to do instead."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of `argparse.ArgumentParser.add_argument`."""

    names: tuple[str, ...]
    options: dict[str, object]


def argument(*names: str, **options: object) -> Argument:
    """An argument, given as to `add_argument`."""
    return Argument(names, options)


DATA_DIR = argument(
    "--data-dir", metavar="PATH", help="the installation's folder (default: the account's own)"
)


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be done: `tollgate NAME` or `tollgate GROUP NAME`."""

    name: str
    help: str
    run: Run
    arguments: Sequence[Argument] = ()


@dataclass(frozen=True, slots=True)
class Modules:
    """Commands, each the `COMMAND` of a module in `package`; by the word that is said for it.

    A module is imported when its word is said, so that nobody waits for what others need.
    """

    package: str
    names: Mapping[str, str]

    def meant_by(self, word: str | None) -> "Sequence[Command]":
        """The command of that word; all of them where there is none, for whoever is to choose."""
        meant = self.names.get(word or "")
        names = self.names.values() if meant is None else [meant]
        modules = [importlib.import_module(f"{self.package}.{name}") for name in names]
        return [cast("Command", module.COMMAND) for module in modules]


@dataclass(frozen=True, slots=True)
class Group:
    """Actions under one word: `tollgate ledger fsck`, or, a word further,
    `tollgate ledger adjust approve`.
    """

    name: str
    help: str
    actions: "Sequence[Command] | Modules"

    def meant_by(self, word: str | None) -> "Sequence[Command]":
        """As `Modules.meant_by`."""
        return self.actions.meant_by(word) if isinstance(self.actions, Modules) else self.actions


Command = Action | Group
