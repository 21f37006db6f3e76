"""`tollgate verify FILE...`: is it what was signed? Needs no server, no database and no network."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ledger.integrity.note import MalformedNote, VerifierKey, read_keys
from ledger.integrity.verdict import CannotVerify, Verdict
from ledger.integrity.verify import first_bad_position, verify_files
from tollgate.commands.contract import FINDINGS, OK, UNSEALED, UsageRefused


def run(arguments: argparse.Namespace) -> int:
    try:
        trusted = _trusted(Path(arguments.keys))
        event = None if arguments.event is None else Path(arguments.event).read_bytes()
        verdicts = verify_files([Path(each) for each in arguments.files], trusted, event)
    except CannotVerify as refusal:
        raise UsageRefused(str(refusal)) from refusal
    except OSError as refusal:
        raise UsageRefused(f"{refusal.filename} cannot be read ({refusal.strerror})") from refusal
    if arguments.json:
        print(json.dumps(_document(verdicts), indent=1, default=str))
    else:
        _print(verdicts)
    if not all(verdict.is_good for verdict in verdicts):
        return FINDINGS
    is_proven = arguments.allow_unsealed or not any(verdict.unsealed for verdict in verdicts)
    return OK if is_proven else UNSEALED


def _trusted(path: Path) -> list[VerifierKey]:
    try:
        trusted = read_keys(path.read_text())
    except (MalformedNote, UnicodeDecodeError) as error:
        raise UsageRefused(f"{path} is not a list of verifier keys: {error}") from error
    if not trusted:
        raise UsageRefused(f"{path} names no verifier key")
    return trusted


def _print(verdicts: list[Verdict]) -> None:
    for verdict in verdicts:
        if verdict.is_good:
            print(f"{verdict.file}: good {verdict.kind}: {verdict.says}")
        if verdict.unsealed:
            print(
                f"{verdict.file}: its last {verdict.unsealed} events are under no seal: nothing "
                "proves that they are as they were written",
                file=sys.stderr,
            )
        for problem in verdict.problems:
            at = "" if problem.position is None else f" at position {problem.position}"
            print(f"{verdict.file}: {problem.check}{at}: {problem.message}", file=sys.stderr)
    first = first_bad_position(verdicts)
    if first is not None:
        print(f"first bad position: {first}", file=sys.stderr)


def _document(verdicts: list[Verdict]) -> dict[str, object]:
    return {
        "is_good": all(verdict.is_good for verdict in verdicts),
        "unsealed": sum(verdict.unsealed for verdict in verdicts),
        "first_bad_position": first_bad_position(verdicts),
        "files": [
            {
                **asdict(verdict),
                "is_good": verdict.is_good,
                "first_bad_position": verdict.first_bad_position,
                "problems": [problem._asdict() for problem in verdict.problems],
            }
            for verdict in verdicts
        ],
    }
