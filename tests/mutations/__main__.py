"""Breaks the money path line by line and runs the tests around each line, to see which notice.

    python -m tests.mutations                     # everything; hours, at the lowest priority
    python -m tests.mutations ledger/money.py     # one file
    python -m tests.mutations --since REVISION    # the files that were changed since
    python -m tests.mutations --resume            # go on with a run that was cut off

Works on a copy, so the tree may be edited meanwhile. What came of it is written into
`tests/mutations/results.tsv`, a line for each mutant; a mutant that survives gets a test, or a
reason in tests/README.md. The command ends with 1 where one survived that has no reason there.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

# What tests need of others is imported once, and there in every process that is forked.
import hypothesis.strategies  # noqa: F401
import msgspec  # noqa: F401
import psycopg  # noqa: F401
import pytest

from tests.mutations.mutants import Mutant, python_mutants, sql_mutants
from tests.mutations.targets import TARGETS, Target

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results.tsv")
README = ROOT / "tests" / "README.md"
BOUND_S = 180
"""A test that never ends has noticed."""
OURS = ("ledger", "projections", "gateway", "admin_api", "tollgate", "tests")
_LOOK_S, _GRACE_S = 0.02, 5.0


def main() -> int:
    """Run what was asked for; the number to exit with."""
    asked = _asked()
    os.nice(19)
    results = _read_results()
    with _copied_tree() as tree:
        for target in asked.targets:
            if not asked.is_resumed:
                results = {key: told for key, told in results.items() if key[0] != target.path}
            _run(tree, target, results)
    return _judge(results)


class _Asked(NamedTuple):
    targets: list[Target]
    is_resumed: bool


def _asked() -> _Asked:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument("files", nargs="*", help="of these alone")
    parser.add_argument("--since", metavar="REVISION", help="of what was changed since")
    parser.add_argument("--resume", action="store_true", help="keep what is known")
    said = parser.parse_args()
    paths = set(said.files)
    if said.since is not None:
        paths |= set(_git("diff", "--name-only", said.since).splitlines())
    known = {target.path for target in TARGETS}
    if unknown := set(said.files) - known:
        parser.error(f"not among the targets: {', '.join(sorted(unknown))}")
    targets = [each for each in TARGETS if each.path in paths or not (said.files or said.since)]
    return _Asked(targets, said.resume)


Key = tuple[str, str]


def _run(tree: Path, target: Target, results: dict[Key, str]) -> None:
    """Every mutant of a file that is not known yet, and whether its tests noticed."""
    path = tree / target.path
    whole = path.read_text()
    mutants = sql_mutants(whole, target.functions) if target.functions else python_mutants(whole)
    sys.dont_write_bytecode = False
    if not _passes(tree, target.tests):
        raise SystemExit(f"the tests of {target.path} fail as it is")
    # Sources of one size and one second are one to the cache: nothing of this file is kept there.
    sys.dont_write_bytecode = True
    for cached in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        cached.unlink()
    for number, (name, mutant) in enumerate(_named(mutants).items(), 1):
        if (target.path, name) in results:
            continue
        path.write_text(mutant.applied(whole))
        told = "survived" if _passes(tree, target.tests) else "killed"
        results[target.path, name] = told
        _write_results(results)
        print(f"{number}/{len(mutants)} {told} {target.path}:{name}", flush=True)
    path.write_text(whole)


def _named(mutants: list[Mutant]) -> dict[str, Mutant]:
    """What each is called: another one of the same line and words gets a number."""
    named: dict[str, Mutant] = {}
    for mutant in mutants:
        name, number = str(mutant), 1
        while name in named:
            number += 1
            name = f"{mutant} ({number})"
        named[name] = mutant
    return named


def _passes(tree: Path, tests: tuple[str, ...]) -> bool:
    """Whether no test fails, and all of them end."""
    run = os.fork()
    if not run:
        _test(tree, tests)
    ends_s = time.monotonic() + BOUND_S
    while time.monotonic() < ends_s:
        ended, status = os.waitpid(run, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(_LOOK_S)
    os.killpg(run, signal.SIGTERM)
    time.sleep(_GRACE_S)
    os.killpg(run, signal.SIGKILL)
    os.waitpid(run, 0)
    return False


def _test(tree: Path, tests: tuple[str, ...]) -> NoReturn:
    """Run tests in this process, which was forked for it, with the modules of the copied tree."""
    os.setsid()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    for name in list(sys.modules):
        if name.partition(".")[0] in OURS:
            del sys.modules[name]
    known = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
    try:
        code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-W", known, *tests]))
    except BaseException:  # noqa: BLE001 - whatever it is, it was noticed
        code = 1
    os._exit(code)


@contextlib.contextmanager
def _copied_tree() -> Iterator[Path]:
    """What git knows of this tree, as it stands now, in a place of its own."""
    folder = Path(tempfile.mkdtemp(prefix="tollgate-mutations-"))
    try:
        for name in _git("ls-files", "--cached", "--others", "--exclude-standard").splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def _read_results() -> dict[Key, str]:
    if not RESULTS.exists():
        return {}
    lines = [line.split("\t") for line in RESULTS.read_text().splitlines()]
    return {(path, mutant): told for path, mutant, told in lines}


def _write_results(results: dict[Key, str]) -> None:
    lines = [f"{path}\t{mutant}\t{told}\n" for (path, mutant), told in results.items()]
    RESULTS.write_text("".join(lines))


def _judge(results: dict[Key, str]) -> int:
    """A line for each file, and the survivors without a reason."""
    reasons = README.read_text()
    for target in TARGETS:
        told = [each for (path, _), each in results.items() if path == target.path]
        if told:
            print(f"{target.path}: {told.count('killed')} of {len(told)} killed")
    nameless = [
        f"{path}:{mutant}"
        for (path, mutant), told in results.items()
        if told == "survived" and f"`{Path(path).name}:{mutant}`" not in reasons
    ]
    for each in nameless:
        print(f"survived, and no reason is given: {each}")
    return 1 if nameless else 0


if __name__ == "__main__":
    sys.exit(main())
