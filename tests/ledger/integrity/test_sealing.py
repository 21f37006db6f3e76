"""Sealing on real Postgres: true roots, proofs from stored tiles, one seal a size, none endless."""

import ast
import asyncio
import random
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from ledger.codec import decode
from ledger.errors import NotFound, NotSealedYet, SigningRefused
from ledger.integrity import merkle, reading
from ledger.integrity.checkpoint import parse_checkpoint
from ledger.integrity.entry import parse_entry
from ledger.integrity.merkle import Frontier, verify_consistency, verify_inclusion
from ledger.integrity.note import VerifierKey, decode64, parse_note, verify_note
from ledger.integrity.proof import Receipt
from ledger.integrity.reading import SealedAt
from ledger.integrity.sealing import Sealer, extend_tiles
from ledger.integrity.signing import SignerFolder
from ledger.integrity.tiles import WIDTH, Tile
from ledger.streams.seal import CheckpointSealed
from tests.builders import LawfulLog
from tests.ledger.integrity.sealed_logs import SealedLog
from tests.ledger.integrity.trees import in_memory
from tests.running import ROOT
from tests.servers import FreshDatabase


def seals(log: SealedLog) -> list[SealedAt]:
    rows = log.connection.execute(
        "select position, topic, state from ledger.event where topic = %s order by position",
        (CheckpointSealed.TOPIC,),
    ).fetchall()
    return [SealedAt(row[0], decode(row[1], row[2])) for row in rows]  # type: ignore[arg-type]


def test_every_seal_has_the_root_of_the_events_before_it_and_its_signature(
    sealed_log: SealedLog,
) -> None:
    frontier, roots = Frontier(), [Frontier().root()]
    for leaf in sealed_log.leaves():
        frontier.append(leaf)
        roots.append(frontier.root())
    found = seals(sealed_log)
    assert len(found) == 3
    for position, sealed in found:
        assert sealed.size < position
        assert decode64(sealed.root) == roots[sealed.size]
        checkpoint = parse_checkpoint(sealed.note)
        assert (checkpoint.size, checkpoint.root) == (sealed.size, roots[sealed.size])
        verify_note(parse_note(sealed.note), [VerifierKey.parse(sealed.verifier)])
    introduced = sealed_log.read(reading.read_introduced)
    assert [event.verifier for _, event in introduced] == [found[0].sealed.verifier]


def test_the_tiles_are_the_tree(sealed_log: SealedLog) -> None:
    sealed_log.log.grow(70_000 - sealed_log.head, batch_groups=500)
    last = sealed_log.seal()
    hash_of = in_memory(sealed_log.leaves())
    rows = sealed_log.connection.execute(
        "select level, number, hashes, root from ledger.tile order by 1, 2"
    ).fetchall()
    assert [row[:2] for row in rows] == [
        *((0, number) for number in range(last.sealed.size // WIDTH)),
        (1, 0),
    ]
    for level, number, hashes, root in rows:
        expected = [hash_of((8 * level, number * WIDTH + place)) for place in range(WIDTH)]
        assert hashes == b"".join(expected)
        assert root == hash_of((8 * level + 8, number))
    # Proofs that need tiles of both levels, full and partial.
    size = last.sealed.size
    for position in (1, 256, 257, 65_536, 65_537, size // 2, size - 1, size):
        receipt = sealed_log.read(lambda c, p=position: receipt_of(c, p))  # type: ignore[misc]
        leaf = parse_entry(receipt.extra or b"").leaf()
        verify_inclusion(leaf, position - 1, size, receipt.hashes, decode64(last.sealed.root))
    partial = sealed_log.read(lambda c: reading.read_tile(c, Tile(1, 1, size // WIDTH - WIDTH)))
    assert partial == b"".join(hash_of((8, WIDTH + n)) for n in range(size // WIDTH - WIDTH))


def test_proofs_between_all_the_seals_and_for_events_of_every_age(sealed_log: SealedLog) -> None:
    found = [sealed for _, sealed in seals(sealed_log)]
    for old in found:
        for new in found:
            if old.size <= new.size:
                proof = sealed_log.read(
                    lambda c, o=old, n=new: reading.read_consistency(c, o.size, n.size)  # type: ignore[misc]
                )
                verify_consistency(
                    (old.size, decode64(old.root)), (new.size, decode64(new.root)), proof.hashes
                )
    leaves = sealed_log.leaves()
    for position in random.Random(4).sample(range(1, found[-1].size + 1), 40):
        for sealed in found:
            if position <= sealed.size:
                path = sealed_log.read(
                    lambda c, p=position, s=sealed.size: reading.read_inclusion(c, p, s)  # type: ignore[misc]
                )
                root = decode64(sealed.root)
                verify_inclusion(leaves[position - 1], position - 1, sealed.size, path, root)


def test_nothing_is_sealed_over_a_seal_alone(sealed_log: SealedLog) -> None:
    last, head = seals(sealed_log)[-1], sealed_log.head
    for _ in range(3):
        assert sealed_log.seal() == last
    assert sealed_log.head == head
    assert sealed_log.with_sealer(lambda sealer: sealer.seal_if_due()) is None


def test_an_empty_log_has_nothing_to_seal(ledger_database: FreshDatabase, tmp_path: Path) -> None:
    with psycopg.connect(ledger_database.app_dsn, autocommit=True) as connection:
        grown = LawfulLog(connection, is_sealed=False)
        log = SealedLog(ledger_database, connection, grown, tmp_path / "signer")
        assert log.with_sealer(lambda sealer: sealer.seal()) is None
        assert log.with_sealer(lambda sealer: sealer.seal_if_due()) is None
        with pytest.raises(NotSealedYet):
            log.read(reading.require_sealed)
        assert log.head == 0


def test_a_seal_is_due_after_so_many_events_or_so_long(
    sealed_log: SealedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(seals(sealed_log))
    sealed_log.log.grow(60, batch_groups=30)
    assert sealed_log.with_sealer(lambda sealer: sealer.seal_if_due()) is None
    monkeypatch.setattr("ledger.integrity.sealing.EVERY_EVENTS", 50)
    assert sealed_log.with_sealer(lambda sealer: sealer.seal_if_due()) is not None
    assert sealed_log.with_sealer(lambda sealer: sealer.seal_if_due()) is None
    sealed_log.log.grow(1, batch_groups=2)
    assert sealed_log.with_sealer(lambda sealer: sealer.seal_if_due()) is None
    monkeypatch.setattr("ledger.integrity.sealing.EVERY_S", 0)
    assert sealed_log.with_sealer(lambda sealer: sealer.seal_if_due()) is not None
    assert len(seals(sealed_log)) == before + 2


def test_two_sealers_at_once_make_one_seal_a_size(sealed_log: SealedLog) -> None:
    sealed_log.log.grow(50, batch_groups=30)

    async def race(sealer: Sealer) -> list[SealedAt | None]:
        return list(await asyncio.gather(*(sealer.seal() for _ in range(3))))

    answers = sealed_log.with_sealer(race)
    assert len({answer.position for answer in answers if answer is not None}) == 1
    sizes = [sealed.size for _, sealed in seals(sealed_log)]
    assert sizes == sorted(set(sizes))


def test_a_node_whose_key_the_log_does_not_know_seals_nothing(sealed_log: SealedLog) -> None:
    stranger = SignerFolder(sealed_log.folder.with_name("stranger"))
    sealed_log.log.grow(10, batch_groups=10)
    head = sealed_log.head
    with pytest.raises(SigningRefused, match="signing-key introduce"):
        sealed_log.seal(stranger)
    assert sealed_log.head == head


def test_what_is_not_sealed_or_not_there_has_no_receipt(sealed_log: SealedLog) -> None:
    last = seals(sealed_log)[-1]
    with pytest.raises(NotSealedYet):
        sealed_log.read(lambda c: receipt_of(c, last.position))
    with pytest.raises(NotFound):
        sealed_log.read(lambda c: receipt_of(c, last.position + 1))


def test_tiles_are_made_by_several_at_once_without_harm(sealed_log: SealedLog) -> None:
    sealed_log.log.grow(3_000, batch_groups=200)

    async def race(sealer: Sealer) -> int:
        made = await asyncio.gather(*(extend_tiles(sealer.pool, sealed_log.head) for _ in range(3)))
        return sum(made)

    before = sealed_log.head // WIDTH - len(tiles(sealed_log))
    assert sealed_log.with_sealer(race) == before
    root = sealed_log.read(lambda c: reading.read_root(c, sealed_log.head))
    assert root == merkle.root(sealed_log.head, in_memory(sealed_log.leaves()))


def tiles(log: SealedLog) -> list[tuple[int, int]]:
    return log.connection.execute("select level, number from ledger.tile").fetchall()


async def receipt_of(connection: psycopg.AsyncConnection, position: int) -> Receipt:
    entry = await reading.require_entry(connection, position)
    return await reading.read_receipt(connection, entry)


def test_tiles_are_made_by_one_function_and_changed_by_nobody(sealed_log: SealedLog) -> None:
    database = sealed_log.database
    hashes, root = bytes(32 * WIDTH), bytes(32)
    with psycopg.connect(database.app_dsn, autocommit=True) as app:
        for statement in (
            "insert into ledger.tile values (0, 99, %s, %s)",
            "update ledger.tile set hashes = %s, root = %s",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement.encode(), (hashes, root))
        for statement in ("delete from ledger.tile", "truncate ledger.tile"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement.encode())
        with pytest.raises(psycopg.errors.RaiseException, match="does not have"):
            app.execute("select ledger.extend_tiles(%s, 10)", (sealed_log.head + 1,))
    with psycopg.connect(database.owner_dsn, autocommit=True) as owner:
        for statement in (
            "update ledger.tile set root = root",
            "delete from ledger.tile",
            "truncate ledger.tile",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                owner.execute(statement.encode())


def test_proofs_and_signatures_need_the_standard_library_and_ed25519_alone() -> None:
    """Whoever wants to read what verifies a receipt has a few files to read."""
    modules = ("merkle", "tiles", "note", "checkpoint", "proof", "entry")
    code = (
        "import sys, "
        + ", ".join(f"ledger.integrity.{each}" for each in modules)
        + "; print({name.partition('.')[0] for name in sys.modules}"
        " - set(sys.stdlib_module_names) - {'ledger', 'cryptography'})"
    )
    done = subprocess.run([sys.executable, "-I", "-c", f"sys_path = {str(ROOT)!r}; import sys; "
        f"sys.path.insert(0, sys_path); {code}"], capture_output=True, text=True)  # fmt: skip
    left = {
        each for each in ast.literal_eval(done.stdout) if not each.startswith(("_", "sitecustom"))
    }
    assert left <= {"__main__", "cffi"}, left
