"""What the commands share that do at the desk what the API does."""

import argparse
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar
from uuid import UUID

from admin_api.desk import Desk
from tollgate.commands.contract import UsageRefused
from tollgate.installation import Installation, at_desk, open_installation
from tollgate.settings import Settings

ACTOR = "command-line"

Result = TypeVar("Result")


def opened(
    arguments: argparse.Namespace, *, may_create: bool = False
) -> "contextlib.AbstractContextManager[Installation]":
    """The installation that the environment and `--data-dir` name.

    `may_create`: for what one may begin an installation with.
    """
    return open_installation(Settings.from_environment(arguments), may_create=may_create)


def perform(
    arguments: argparse.Namespace,
    work: Callable[[Desk], Awaitable[Result]],
    *,
    may_create: bool = False,
) -> Result:
    """Do some work at the desk of the installation that was named; `may_create` as for `opened`."""
    with opened(arguments, may_create=may_create) as installation:
        return at_desk(installation, work)


def identifier(text: str) -> UUID:
    """An id as it is printed. Raises UsageRefused."""
    try:
        return UUID(text)
    except ValueError as refusal:
        raise UsageRefused(f"{text[:60]!r} is not an id: copy one from a list") from refusal


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """`name=value` each. Raises UsageRefused."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageRefused(f"{text[:60]!r} is not of the form name=value")
        found[name] = value
    return found


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their widest cell."""
    cells = [[str(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(padded).rstrip())
