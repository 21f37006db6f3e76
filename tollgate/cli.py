"""Reads the command line, runs the command, and turns every refusal into one line and a number.

Nothing is imported but what tells what can be said; a command imports what it needs when it runs.
"""

import argparse
import importlib.metadata
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from tollgate.commands.contract import (
    FINDINGS,
    UNREACHABLE,
    USAGE,
    Command,
    Group,
)
from tollgate.commands.registry import COMMANDS
from tollgate.importing import imported

NUMBERS: Mapping[str, int] = {
    "tollgate.commands.contract:UsageRefused": USAGE,
    "tollgate.setting_values:SettingRefused": USAGE,
    "tollgate.embedded.errors:StartRefused": USAGE,
    "admin_api.errors:InvalidInput": USAGE,
    "ledger.errors:InvalidAmount": USAGE,
    "tollgate.errors:CannotReach": UNREACHABLE,
    "ledger.errors:StoreUnavailable": UNREACHABLE,
    "psycopg:OperationalError": UNREACHABLE,
    "ledger.errors:LedgerError": FINDINGS,
    "admin_api.errors:DeskError": FINDINGS,
}
"""What each refusal ends with: the nearest class that is here counts. By name, for who raised one
has imported it, and nobody else needs it."""

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the number to exit with (tollgate/commands/contract.py)."""
    said = sys.argv[1:] if arguments is None else list(arguments)
    chosen = _parser(said).parse_args(said)
    try:
        configure_log = cast("Callable[..., None]", imported("tollgate.log:configure"))
        configure_log(process="tollgate")
        code: int = chosen.run(chosen)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep the interpreter from trying to flush it.
        sys.stdout = None
        return FINDINGS
    except Exception as refusal:
        number = _number(type(refusal))
        if number is None:
            raise
        line = " ".join(str(refusal).split())
        print(f"tollgate: {line}", file=sys.stderr)
        return number
    return code


def _number(refusal: type[Exception]) -> int | None:
    names = (f"{each.__module__}:{each.__qualname__}" for each in refusal.__mro__)
    return next((NUMBERS[name] for name in names if name in NUMBERS), None)


def _parser(said: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tollgate", description="An LLM gateway that keeps the books.", allow_abbrev=False
    )
    version = importlib.metadata.version("tollgate")
    parser.add_argument("--version", action="version", version=f"tollgate {version}")
    _add(parser, COMMANDS, "COMMAND", said)
    return parser


def _add(
    parser: argparse.ArgumentParser, offered: Sequence[Command], metavar: str, said: Sequence[str]
) -> None:
    """What is offered after the words before; whole where it is said, else its line of help."""
    words = parser.add_subparsers(metavar=metavar, required=True)
    place = next((place for place, word in enumerate(said) if not word.startswith("-")), len(said))
    for command in offered:
        one = words.add_parser(
            command.name, help=command.help, description=command.help, allow_abbrev=False
        )
        if command.name not in said[place : place + 1]:
            continue
        if isinstance(command, Group):
            _add(one, command.actions(), "ACTION", said[place + 1 :])
            continue
        for each in command.arguments:
            one.add_argument(*each.names, **each.options)  # type: ignore[arg-type]
        one.set_defaults(run=command.run)
