"""What a command of the command line is, and the numbers it ends with.

What can be said is known from the registries alone; what carries a command out is imported when it
is carried out, so that nobody waits for help, or for what another command needs.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from tollgate.importing import imported

OK = 0
FINDINGS = 1
"""The command was carried out, and something is wrong; or it was refused by the ledger."""
USAGE = 2
"""The command line, a setting or the machine does not allow it."""
UNREACHABLE = 3
"""A server that is needed does not answer."""
UNSEALED = 4
"""Nothing is wrong with what was given, but a part of it is under no seal, so nothing proves it."""


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


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be done: `tollgate NAME` or `tollgate GROUP NAME`.

    `function` is `module:name`, of a function that takes what was said and gives the number to
    exit with.
    """

    name: str
    help: str
    function: str
    arguments: Sequence[Argument] = ()

    def run(self, said: argparse.Namespace) -> int:
        """Import what does it, and do it."""
        function = cast("Callable[[argparse.Namespace], int]", imported(self.function))
        return function(said)


@dataclass(frozen=True, slots=True)
class Group:
    """Actions under one word: `tollgate ledger fsck`, or, a word further,
    `tollgate ledger adjust approve`.

    `registry` is `module:name`, of a sequence of commands; it is imported when the word is said.
    """

    name: str
    help: str
    registry: str

    def actions(self) -> "Sequence[Command]":
        """What can be said after its word."""
        return cast("Sequence[Command]", imported(self.registry))


Command = Action | Group
