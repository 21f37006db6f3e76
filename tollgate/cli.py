"""Reads the command line, runs the command, and turns every refusal into one line and a number."""

import argparse
import importlib.metadata
import sys
from collections.abc import Sequence

import psycopg

from admin_api.errors import DeskError, InvalidInput
from ledger.errors import InvalidAmount, LedgerError, StoreUnavailable
from tollgate import log
from tollgate.commands.contract import FINDINGS, UNREACHABLE, USAGE, Group, Modules, UsageRefused
from tollgate.commands.registry import COMMANDS
from tollgate.embedded.errors import StartRefused
from tollgate.errors import CannotReach
from tollgate.setting_values import SettingRefused

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the number to exit with (tollgate/commands/contract.py)."""
    said = sys.argv[1:] if arguments is None else list(arguments)
    chosen = _parser(said).parse_args(said)
    log.configure(process="tollgate")
    try:
        code: int = chosen.run(chosen)
    except (SettingRefused, StartRefused, UsageRefused, InvalidInput, InvalidAmount) as refusal:
        return _say(refusal, USAGE)
    except (CannotReach, StoreUnavailable, psycopg.OperationalError) as error:
        return _say(error, UNREACHABLE)
    except (LedgerError, DeskError) as refusal:
        return _say(refusal, FINDINGS)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep the interpreter from trying to flush it.
        sys.stdout = None
        return FINDINGS
    return code


def _parser(said: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tollgate", description="An LLM gateway that keeps the books.", allow_abbrev=False
    )
    version = importlib.metadata.version("tollgate")
    parser.add_argument("--version", action="version", version=f"tollgate {version}")
    words = parser.add_subparsers(metavar="COMMAND", required=True)
    _add(words, COMMANDS, said)
    return parser


def _add(
    words: "argparse._SubParsersAction[argparse.ArgumentParser]",
    offered: Modules | Group,
    said: Sequence[str],
) -> None:
    """What is offered after the words before, as far as what was said leaves it open."""
    for command in offered.meant_by(said[0] if said else None):
        parser = words.add_parser(
            command.name, help=command.help, description=command.help, allow_abbrev=False
        )
        if isinstance(command, Group):
            actions = parser.add_subparsers(metavar="ACTION", required=True)
            _add(actions, command, said[1:])
            continue
        for one in command.arguments:
            parser.add_argument(*one.names, **one.options)  # type: ignore[arg-type]
        parser.set_defaults(run=command.run)


def _say(refusal: Exception, code: int) -> int:
    line = " ".join(str(refusal).split())
    print(f"tollgate: {line}", file=sys.stderr)
    return code
