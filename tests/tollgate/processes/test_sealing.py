"""A running program seals its log; commands prove and verify, with the server or without it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.integrity.checkpoint import parse_checkpoint
from ledger.integrity.signer import read_last
from tests.running import ROOT, Served, served, until
from tests.servers import make_data_directory
from tests.tollgate.serving import clean_environment
from tollgate.cli import main
from tollgate.embedded.data_directory import DataDirectory


@pytest.fixture(scope="module")
def program() -> Iterator[Served]:
    with served() as running:
        yield running


def verify(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """`tollgate verify` where there is no database, no data directory and no network."""
    command = [sys.executable, "-m", "tollgate", "verify", *map(str, arguments)]
    environment = clean_environment(SQL_DSN="postgresql://nobody@127.0.0.1:1/none")
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


def public(program: Served, path: str) -> str:
    with urllib.request.urlopen(f"{program.base_url}/api/v1{path}", timeout=10) as answer:
        return str(answer.read().decode())


def test_checkpoints_receipts_and_the_whole_log_prove_themselves_offline(
    program: Served, tmp_path: Path
) -> None:
    books = program.books
    payer = books.payer(5)
    old = tmp_path / "old"
    assert program.tool("ledger", "checkpoint", "--out", str(old)).returncode == 0
    books.payer(7)
    shown = program.tool("ledger", "checkpoint")
    assert parse_checkpoint(shown.stdout).size > parse_checkpoint(old.read_text()).size
    new = tmp_path / "new"
    new.write_text(public(program, "/ledger/checkpoint"))
    assert new.read_text() == shown.stdout
    keys = tmp_path / "keys"
    keys.write_text(public(program, "/ledger/keys"))
    assert program.tool("ledger", "signing-key", "list").stdout == keys.read_text()

    sizes = [str(parse_checkpoint(each.read_text()).size) for each in (old, new)]
    growth, receipt, account = tmp_path / "growth", tmp_path / "one.tlog-proof", tmp_path / "a"
    assert (
        program.tool("ledger", "prove", "--consistency", *sizes, "--out", str(growth)).returncode
        == 0
    )
    assert growth.read_text() == public(
        program, f"/ledger/consistency?from={sizes[0]}&to={sizes[1]}"
    )
    assert program.tool("ledger", "prove", "3", "--out", str(receipt)).returncode == 0
    assert (
        program.tool(
            "ledger", "prove", "--account", str(payer.account_id), "--out", str(account)
        ).returncode
        == 0
    )
    log = tmp_path / "log.jsonl"
    exported = program.tool(
        "ledger", "export", "--format", "jsonl", "--what", "events", "--out", str(log)
    )
    assert exported.returncode == 0, exported.stderr
    manifest = json.loads((tmp_path / "log.jsonl.manifest.json").read_text())
    assert manifest["checkpoint"] == new.read_text()

    done = verify(receipt, account, old, new, growth, log, "--keys", keys)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:4], *lines[5:]]))
    done = verify(log, "--keys", keys, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["is_good"], told["first_bad_position"]) == (False, 5)
    assert verify(log, "--keys", keys).stderr.splitlines()[-1] == "first bad position: 5"


def test_what_cannot_be_verified_is_one_line_and_exit_code_2(
    program: Served, tmp_path: Path
) -> None:
    keys, what = tmp_path / "keys", tmp_path / "what"
    keys.write_text(public(program, "/ledger/keys"))
    what.write_text("hello\n")
    empty = tmp_path / "empty"
    empty.write_text("# nobody\n")
    for arguments in (
        (what, "--keys", keys),
        (tmp_path / "nowhere", "--keys", keys),
        (what, "--keys", tmp_path / "nowhere"),
        (what, "--keys", what),
        (what, "--keys", empty),
        (tmp_path, "--keys", keys),
        (what,),
    ):
        done = verify(*arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr
    for arguments_ in (("prove",), ("prove", "1", "--account", "x"), ("prove", "--account", "x"),
                       ("prove", "--consistency", "2", "1")):  # fmt: skip
        assert program.tool("ledger", *arguments_).returncode == 2
    assert program.tool("ledger", "prove", "99999999").returncode == 1
    assert program.tool("ledger", "prove", "nonsense").returncode == 1


def test_a_new_key_takes_over_and_the_log_stays_whole(program: Served, tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.write_text(public(program, "/ledger/keys"))
    rotated = program.tool("ledger", "signing-key", "rotate")
    assert rotated.returncode == 0, rotated.stderr
    keys = tmp_path / "keys"
    keys.write_text(public(program, "/ledger/keys"))
    assert rotated.stdout.strip() in keys.read_text().splitlines()
    program.books.payer(1)
    new = tmp_path / "new"
    assert program.tool("ledger", "checkpoint", "--out", str(new)).returncode == 0
    assert verify(new, "--keys", keys).returncode == 0
    assert verify(new, "--keys", before).returncode == 1
    log = tmp_path / "log"
    export = ("ledger", "export", "--format", "jsonl", "--what", "events", "--out", str(log))
    assert program.tool(*export).returncode == 0
    assert verify(log, "--keys", before).returncode == 0  # the old key vouches for the new one
    program.check_books()
    refused = program.tool("ledger", "signing-key", "introduce")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


def test_the_signer_is_replaced_when_it_dies_and_nothing_is_forgotten(program: Served) -> None:
    program.books.payer(1)
    first = parse_checkpoint(program.tool("ledger", "checkpoint").stdout)
    signer = next(child.pid for child in program._children() if child.name == "signer")
    os.kill(signer, signal.SIGKILL)
    program.books.payer(1)
    until(
        lambda: next(c.pid for c in program._children() if c.name == "signer") != signer,
        what="the signer's replacement",
    )
    until(lambda: program.tool("ledger", "checkpoint").returncode == 0)
    last = read_last(program.data.signer)
    assert last is not None
    assert last.size > first.size


def test_the_end_of_the_log_is_sealed_at_shutdown_and_fsck_is_clean_after(
    program: Served,
) -> None:
    program.books.payer(1)
    program.stop()
    program.start()
    with psycopg.connect(program.app_dsn) as connection:
        row = connection.execute(
            "select state from ledger.event where topic = 'seal.CheckpointSealed.v1' "
            "order by position desc limit 1"
        ).fetchone()
        unsealed = connection.execute(
            "select count(*) from ledger.event where position > %s "
            "and topic <> 'seal.CheckpointSealed.v1'",
            (json.loads(row[0])["size"] if row else 0,),
        ).fetchone()
    assert unsealed == (0,)
    program.check_books()


def test_an_older_copy_of_the_database_is_told_by_fsck_and_never_signed(
    program: Served, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    assert program.tool("backup", str(backup)).returncode == 0
    program.books.payer(2)
    assert program.tool("ledger", "checkpoint").returncode == 0
    other = make_data_directory()
    shutil.copytree(program.data.signer, other.signer)
    secret = program.data.secrets / "crypto_secret"
    other.secrets.mkdir(exist_ok=True)
    shutil.copy(secret, other.secrets / "crypto_secret")
    last = read_last(other.signer)
    assert last is not None
    try:
        done = tool(other, "restore", str(backup))
        assert done.returncode == 1
        assert "signer at position" in done.stdout
        assert f"signed {last.size} events" in done.stdout
        # The restore itself is new there, and what is new is refused.
        refused = tool(other, "ledger", "checkpoint")
        assert refused.returncode == 1
        assert "older copy was restored" in refused.stderr
        # The way on: another key, which nobody trusts who is not told of it.
        shutil.move(other.signer, other.root / "signer-of-before")
        assert tool(other, "ledger", "signing-key", "introduce").returncode == 0
        assert tool(other, "ledger", "checkpoint").returncode == 0
        assert tool(other, "ledger", "fsck").returncode == 0
    finally:
        shutil.rmtree(other.root.parent, ignore_errors=True)


def tool(directory: DataDirectory, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tollgate", *arguments, "--data-dir", str(directory.root)]
    return subprocess.run(
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=120
    )


def test_verify_is_a_command_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["verify"])
    assert ended.value.code == 2
    assert "FILE" in capsys.readouterr().err
