"""The signer: nothing smaller, nothing else, and nothing forgotten, whatever happens around it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from ledger.errors import SigningRefused
from ledger.integrity import reading
from ledger.integrity.checkpoint import Checkpoint, parse_checkpoint
from ledger.integrity.fsck import check_integrity
from ledger.integrity.merkle import consistency_proof, root
from ledger.integrity.note import VerifierKey, decode64, parse_note, verify_note
from ledger.integrity.sealing import Sealer
from ledger.integrity.signer import LastSigned, Signer, open_signer, read_last
from ledger.integrity.signing import (
    AnySigner,
    Ask,
    NearestSigner,
    Said,
    SignerFolder,
    SignerProcess,
)
from ledger.streams.seal import CheckpointSealed
from tests.ledger.integrity.sealed_logs import SealedLog
from tests.ledger.integrity.trees import in_memory, leaves
from tests.running import until
from tollgate.processes import assignment
from tollgate.processes.assignment import Assignment

ORIGIN = "tollgate.invalid/log/1"
OURS, THEIRS = in_memory(leaves(100)), in_memory(leaves(100, "other"))


def at(size: int, tree: object = None, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin, size, root(size, OURS if tree is None else THEIRS))


def grown(old: int, new: int) -> tuple[bytes, ...]:
    return consistency_proof(old, new, OURS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "signer"


@pytest.fixture
def signer(folder: Path) -> Iterator[Signer]:
    with open_signer(folder) as one:
        yield one


def test_it_signs_what_continues_what_it_signed(signer: Signer, folder: Path) -> None:
    assert signer.last(ORIGIN).size == 0
    for old, new in ((0, 1), (1, 8), (8, 9), (9, 100)):
        signed = signer.sign(at(new), grown(old, new))
        assert parse_checkpoint(signed.note) == at(new)
        key = VerifierKey.parse(signed.verifier)
        assert verify_note(parse_note(signed.note), [key]) == key
        assert read_last(folder) == signed == signer.last(ORIGIN)
    assert signer.sign(at(100), ()) == signed


@pytest.mark.parametrize(
    ("asked", "proof", "reason"),
    [
        (at(39), (), "cut off"),
        (at(0), (), "cut off"),
        (at(40, THEIRS), (), "rewritten"),
        (at(60, THEIRS), grown(40, 60), "rewritten"),
        (at(60), (), "rewritten"),
        (at(60), grown(39, 60), "rewritten"),
        (at(60), grown(40, 60)[:-1], "rewritten"),
        (at(60, origin="tollgate.invalid/log/2"), grown(40, 60), "this one is"),
    ],
)
def test_it_refuses_what_is_smaller_or_not_proven_or_of_another_log(
    signer: Signer, folder: Path, asked: Checkpoint, proof: tuple[bytes, ...], reason: str
) -> None:
    signed = signer.sign(at(40), ())
    for _ in range(2):
        with pytest.raises(SigningRefused, match=reason):
            signer.sign(asked, proof)
    assert read_last(folder) == signed
    assert signer.sign(at(60), grown(40, 60)).size == 60


def test_it_remembers_over_every_restart(folder: Path) -> None:
    with open_signer(folder) as first:
        signed = first.sign(at(40), ())
    # A crash in the middle of writing leaves a draft, which nobody reads.
    (folder / ".last.json.1.draft").write_text('{"size": 0}')
    with open_signer(folder) as second:
        assert second.last(ORIGIN) == signed
        with pytest.raises(SigningRefused):
            second.sign(at(30), ())
        assert second.sign(at(41), grown(40, 41)).verifier == signed.verifier


def test_the_memory_is_on_the_disk_before_the_signature_leaves(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        order.append("sync")
        real_sync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        order.append("replace")
        return real_replace(path, target)

    with open_signer(folder) as one:
        monkeypatch.setattr(os, "fsync", sync)
        monkeypatch.setattr(Path, "replace", replace)
        one.sign(at(40), ())
    assert order == ["sync", "replace", "sync"]  # the file, its name, the folder


def test_a_disk_that_is_full_keeps_the_signature_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_signer(folder) as one:
        one.sign(at(40), ())

        def full(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space"):
                one.sign(at(60), grown(40, 60))
        assert one.last(ORIGIN).size == 40
        assert one.sign(at(50), grown(40, 50)).size == 50


def test_a_key_without_memory_and_a_memory_without_key_sign_nothing(folder: Path) -> None:
    with open_signer(folder) as one:
        one.sign(at(40), ())
    memory = (folder / "last.json").read_bytes()
    (folder / "last.json").unlink()
    with pytest.raises(SigningRefused, match=r"memory .* is gone"), open_signer(folder):
        pass
    (folder / "last.json").write_bytes(memory)
    (folder / "key").unlink()
    with pytest.raises(SigningRefused, match=r"key .* is gone"), open_signer(folder):
        pass


def test_what_others_may_read_or_nobody_can_is_refused(folder: Path) -> None:
    with open_signer(folder) as one:
        one.sign(at(40), ())
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    (folder / "key").chmod(0o644)
    with open_signer(folder) as one, pytest.raises(SigningRefused, match="open to other users"):
        one.sign(at(60), grown(40, 60))
    (folder / "key").chmod(0o600)
    (folder / "key").write_text("not a key")
    with open_signer(folder) as one, pytest.raises(SigningRefused, match="cannot be read"):
        one.sign(at(60), grown(40, 60))
    (folder / "last.json").write_text('{"format": "another"}')
    with pytest.raises(SigningRefused, match="another form"), open_signer(folder):
        pass


def test_only_one_has_the_folder(signer: Signer, folder: Path) -> None:
    assert signer.last(ORIGIN).size == 0
    with pytest.raises(SigningRefused, match="another process"), open_signer(folder):
        pass


def test_a_rotation_that_was_interrupted_is_finished(folder: Path) -> None:
    with open_signer(folder) as one:
        first = one.sign(at(40), ())
        new = one.prepare_rotation()
        with pytest.raises(SigningRefused, match="not the key"):
            one.rotate(first.verifier)
    # Killed between the memory and the key's new name.
    last = msgspec.structs.replace(first, note="", verifier=new.verifier)
    (folder / "last.json").write_bytes(msgspec.json.encode(last))
    with open_signer(folder) as one:
        signed = one.sign(at(40), ())
    assert signed.verifier == new.verifier
    assert not (folder / "next-key").exists()
    verify_note(parse_note(signed.note), [VerifierKey.parse(new.verifier)])


def test_nothing_is_rotated_before_anything_was_signed(signer: Signer) -> None:
    with pytest.raises(SigningRefused, match="nothing was signed yet"):
        signer.prepare_rotation()


# ---------------------------------------------------------------------- around a real log


class Crashing(AnySigner):
    """A signer whose answer is lost after it was signed: K19."""

    def __init__(self, folder: Path) -> None:
        self._real = SignerFolder(folder)

    async def ask(self, question: Ask) -> Said:
        said = await self._real.ask(question)
        if type(question).__name__ == "AskSignature":
            raise SigningRefused("the signer is gone")
        return said


def test_a_crash_between_the_signature_and_the_event_leaves_one_root_a_size(
    sealed_log: SealedLog,
) -> None:
    sealed_log.log.grow(20, batch_groups=10)
    head = sealed_log.head
    with pytest.raises(SigningRefused, match="is gone"):
        sealed_log.seal(Crashing(sealed_log.folder))
    remembered = read_last(sealed_log.folder)
    assert remembered is not None
    assert remembered.size == sealed_log.head == head
    assert list(check_integrity(sealed_log.database.app_dsn, sealed_log.folder)) == []
    again = sealed_log.seal()  # the same size: the very same note
    assert (again.sealed.size, again.sealed.note) == (remembered.size, remembered.note)
    sealed_log.log.grow(20, batch_groups=10)
    with pytest.raises(SigningRefused):
        sealed_log.seal(Crashing(sealed_log.folder))
    sealed_log.log.grow(20, batch_groups=10)
    later = sealed_log.seal()  # a larger one, which continues what was signed and lost
    assert later.sealed.size > (read_last(sealed_log.folder) or LastSigned()).size - 1
    assert list(check_integrity(sealed_log.database.app_dsn, sealed_log.folder)) == []
    sizes = sealed_log.connection.execute(
        "select state from ledger.event where topic = %s", (CheckpointSealed.TOPIC,)
    ).fetchall()
    found = [msgspec.json.decode(row[0])["size"] for row in sizes]
    assert len(found) == len(set(found))


def test_a_second_node_seals_after_it_was_introduced_and_only_what_continues(
    sealed_log: SealedLog,
) -> None:
    other = SignerFolder(sealed_log.folder.with_name("other-node"))
    sealed_log.log.grow(20, batch_groups=10)
    with pytest.raises(SigningRefused, match="introduce"):
        sealed_log.seal(other)

    async def take_part(sealer: Sealer) -> LastSigned:
        async with sealer.pool.connection() as connection:
            last = await reading.require_sealed(connection)
        return await sealer.signer.start_from(last.sealed.note, last.sealed.verifier)

    started = sealed_log.with_sealer(take_part, other)
    assert started.size > 0
    with pytest.raises(SigningRefused, match="a memory of its own"):
        sealed_log.with_sealer(take_part, other)


def test_a_start_from_a_note_that_nobody_signed_is_refused(signer: Signer) -> None:
    stranger = VerifierKey(ORIGIN, bytes(32))
    with pytest.raises(SigningRefused, match="cannot be believed"):
        signer.start_from("no note", str(stranger))


# ---------------------------------------------------------------------- as a process


def takes_calls(path: Path) -> bool:
    """Whether somebody listens: the socket is there a moment before."""
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except OSError:
            return False
        return True


@contextmanager
def process(folder: Path) -> Iterator[Path]:
    """The signer as the supervisor starts it; gives its socket."""
    path = folder.with_name("signer.sock")
    given = Assignment(
        role="signer",
        number=0,
        app_dsn="",
        redis_url="",
        crypto_secret="",
        listening_fd=None,
        trusted_proxies=(),
        request_body_max_bytes=0,
        streaming_timeout_s=0,
        relay_timeout_s=1,
        workers=0,
        signer_folder=str(folder),
        signer_socket=str(path),
    )
    reading_end = assignment.send(given)
    command = [sys.executable, "-m", "tollgate.processes.signer", "signer", str(reading_end)]
    running = subprocess.Popen(command, pass_fds=[reading_end], stderr=subprocess.DEVNULL)
    os.close(reading_end)
    try:
        until(lambda: takes_calls(path))
        yield path
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
        assert not path.exists()


def test_the_process_signs_refuses_and_keeps_the_folder_to_itself(folder: Path) -> None:
    async def talk(path: Path) -> None:
        asked = SignerProcess(path)
        signed = await asked.sign(at(40), ())
        assert signed == read_last(folder)
        with pytest.raises(SigningRefused, match="cut off"):
            await asked.sign(at(39), ())
        assert await asked.sign(at(41), grown(40, 41)) == await asked.last(ORIGIN)
        with pytest.raises(SigningRefused, match="another process"):
            await SignerFolder(folder).last(ORIGIN)
        assert (await NearestSigner(path, folder).last(ORIGIN)).size == 41
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"type": "nonsense"}\n')
        assert b"not a question" in await reader.readuntil(b"\n")
        writer.close()

    with process(folder) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        asyncio.run(talk(path))
    # And where no process runs, whoever may read the folder asks it directly.
    assert asyncio.run(NearestSigner(path, folder).last(ORIGIN)).size == 41
    with pytest.raises(SigningRefused, match="does not answer"):
        asyncio.run(SignerProcess(path).last(ORIGIN))


def test_a_process_whose_folder_is_broken_says_why(folder: Path) -> None:
    with open_signer(folder) as one:
        one.sign(at(40), ())
    (folder / "key").unlink()
    with process(folder) as path, pytest.raises(SigningRefused, match=r"key .* is gone"):
        asyncio.run(SignerProcess(path).last(ORIGIN))


def test_root_texts_are_those_of_checkpoints(signer: Signer) -> None:
    signed = signer.sign(at(40), ())
    assert decode64(signed.note.split("\n")[2]) == at(40).root
