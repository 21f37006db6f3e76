"""One folder per installation, one owner per folder."""

import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tollgate.embedded.account import Account
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.errors import StartRefused

_NOBODY = Account("nobody", 65534, 65534)
_STRANGER = Account("stranger", 64_999, 64_999)
_HOLD_THE_LOCK = """
import pathlib, sys
from tollgate.embedded.data_directory import DataDirectory
with DataDirectory(pathlib.Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may pass through, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="tg-", dir="/tmp")).resolve()
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def test_the_folder_asked_for_wins() -> None:
    directory = DataDirectory.locate(Path("/srv/books"), {"XDG_DATA_HOME": "/xdg"})
    assert directory.root == Path("/srv/books")


def test_the_xdg_folder_is_next() -> None:
    directory = DataDirectory.locate(None, {"XDG_DATA_HOME": "/xdg", "HOME": "/home/ada"})
    assert directory.root == Path("/xdg/tollgate")


@pytest.mark.parametrize("environment", [{}, {"XDG_DATA_HOME": ""}, {"XDG_DATA_HOME": "relative"}])
def test_without_both_the_account_has_its_usual_place(environment: dict[str, str]) -> None:
    directory = DataDirectory.locate(None, environment | {"HOME": "/home/ada"})
    usual = "/var/lib/tollgate" if os.geteuid() == 0 else "/home/ada/.local/share/tollgate"
    assert directory.root == Path(usual)


def test_preparing_creates_everything_and_may_be_repeated(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "a" / "b")
    directory.prepare()
    directory.prepare()
    for folder in (directory.run, directory.valkey, directory.tokenizers, directory.secrets):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert directory.root.stat().st_mode & 0o066 == 0


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StartRefused, match=r"is not a directory: .*--data-dir"):
        DataDirectory(tmp_path / "file" / below).prepare()


def test_a_directory_that_cannot_be_written_is_refused(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o555)
    if os.geteuid() != 0:
        with pytest.raises(StartRefused, match="--data-dir"):
            DataDirectory(closed / "data").prepare()
        return
    outcome = multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(
        target=_prepare_as_nobody, args=(closed / "data", outcome)
    )
    child.start()
    said = outcome.get(timeout=30)
    child.join()
    assert "Permission denied" in said
    assert "--data-dir" in said


def test_a_directory_of_somebody_else_is_left_as_it_is(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    (theirs / "letter").write_text("")
    DataDirectory(theirs).prepare()
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o700


def test_a_closed_folder_above_is_named_and_not_changed(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    directory = DataDirectory(closed / "deep" / "data")
    directory.prepare()
    with pytest.raises(StartRefused, match=f"chmod o\\+x {closed}`"):
        directory.require_entry_for(_STRANGER)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    closed.chmod(0o711)
    if os.geteuid() == 0:
        directory.require_entry_for(_STRANGER)


def test_a_second_owner_is_refused_and_told_the_pid_of_the_first(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD_THE_LOCK, str(directory.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"locked\n"
        for attempt in (directory.lock, directory.lock_unless_ours):
            with pytest.raises(StartRefused, match=f"process {owner.pid}: "), attempt():
                pass
        owner.kill()
    with directory.lock():
        assert directory.lock_holder() == os.getpid()


def test_the_lock_ends_with_its_context(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    for _ in range(2):
        with directory.lock(), directory.lock_unless_ours(), pytest.raises(StartRefused):
            directory.lock().__enter__()


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    secret = directory.secret("session")
    assert len(bytes.fromhex(secret)) == 32
    assert directory.secret("session") == secret
    assert directory.secret("vault") != secret
    assert stat.S_IMODE((directory.secrets / "session").stat().st_mode) == 0o600
    assert sorted(path.name for path in directory.secrets.iterdir()) == ["session", "vault"]


def test_processes_that_ask_at_once_get_the_same_secret(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    with multiprocessing.get_context("fork").Pool(4) as pool:
        for round_number in range(20):
            assert len(set(pool.map(directory.secret, [f"s{round_number}"] * 4))) == 1


@pytest.mark.parametrize(("mode", "text"), [(0o644, "00" * 32), (0o600, "")])
def test_a_secret_that_is_open_or_empty_is_refused(tmp_path: Path, mode: int, text: str) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    (directory.secrets / "session").write_text(text)
    (directory.secrets / "session").chmod(mode)
    with pytest.raises(StartRefused):
        directory.secret("session")


def test_a_refusal_is_one_line() -> None:
    assert str(StartRefused("two\nlines", "say\n so")) == "two lines: say so"


def _prepare_as_nobody(path: Path, outcome: "multiprocessing.Queue[str]") -> None:
    os.setgroups([])
    os.setgid(_NOBODY.gid)
    os.setuid(_NOBODY.uid)
    try:
        DataDirectory(path).prepare()
        outcome.put("prepared")
    except StartRefused as refusal:
        outcome.put(str(refusal))
