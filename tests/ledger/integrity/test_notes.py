"""Notes, checkpoints, proofs, entries and tile paths: written, read back, and refused when bent."""

from uuid import UUID

import pytest

from ledger.integrity.checkpoint import Checkpoint, parse_checkpoint
from ledger.integrity.entry import Entry, MalformedEntry, parse_entry
from ledger.integrity.note import (
    MalformedNote,
    NoteRefused,
    SigningKey,
    VerifierKey,
    parse_note,
    read_keys,
    verify_note,
)
from ledger.integrity.proof import (
    ConsistencyProof,
    MalformedProof,
    Receipt,
    parse_consistency,
    parse_receipt,
)
from ledger.integrity.tiles import MalformedTilePath, Tile, parse_tile_path, tile_path
from ledger.leaf import leaf

# The example of https://c2sp.org/signed-note, made by somebody else's program.
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2"
    "ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
KEY = SigningKey("tollgate.invalid/log/1", bytes(range(32)))
OTHER = SigningKey("tollgate.invalid/log/1", bytes(32))
POINT = Checkpoint("tollgate.invalid/log/1", 20, bytes(range(32)))


def test_the_example_of_the_specification_is_good() -> None:
    key = VerifierKey.parse(EXAMPLE_KEY)
    assert str(key) == EXAMPLE_KEY
    note = parse_note(EXAMPLE)
    assert note.text == "This is an example message.\n"
    assert verify_note(note, [key]) == key
    with pytest.raises(NoteRefused, match="no trusted key"):
        verify_note(note, [KEY.verifier])
    with pytest.raises(NoteRefused, match="is wrong"):
        verify_note(parse_note(EXAMPLE.replace("example m", "eximple m")), [key])


def test_a_key_signs_the_same_text_the_same_way_for_ever() -> None:
    signed = KEY.sign(POINT.text())
    assert signed == KEY.sign(POINT.text())
    assert signed == (
        "tollgate.invalid/log/1\n20\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n"
        + signed.partition("\n\n")[2]
    )
    assert parse_checkpoint(signed) == POINT
    assert verify_note(parse_note(signed), [OTHER.verifier, KEY.verifier]) == KEY.verifier


def test_unknown_signatures_are_ignored_and_a_wrong_one_of_a_known_key_is_not() -> None:
    signed, cosigned = KEY.sign(POINT.text()), OTHER.sign(POINT.text()).rpartition("\n\n")[2]
    both = parse_note(signed + cosigned)
    assert len(both.signatures) == 2
    assert verify_note(both, [KEY.verifier]) == KEY.verifier
    assert verify_note(both, [OTHER.verifier]) == OTHER.verifier
    forged = parse_note(signed + OTHER.sign("something else\n").rpartition("\n\n")[2])
    assert verify_note(forged, [KEY.verifier]) == KEY.verifier
    with pytest.raises(NoteRefused, match="is wrong"):
        verify_note(forged, [KEY.verifier, OTHER.verifier])


@pytest.mark.parametrize(
    "bent",
    [
        "",
        "no signature\n",
        "text\n\nnot a signature line\n",
        EXAMPLE[:-1],
        EXAMPLE.replace("— ", "- "),
        EXAMPLE.replace("example.com/foo ", "example.com/f+o "),
        EXAMPLE.replace("aQM=", "aQN="),  # the same bytes in another spelling
        EXAMPLE.replace("This", "Th\x07s"),
        EXAMPLE.replace("This", "Th\ris"),
        "\n\n" + EXAMPLE.partition("\n\n")[2],
        "x" * 70_000 + EXAMPLE,
    ],
)
def test_what_is_not_a_note_is_refused(bent: str) -> None:
    with pytest.raises(MalformedNote):
        parse_note(bent)


@pytest.mark.parametrize(
    "text",
    [
        "log\n20\n",
        "log\n020\n" + "A" * 43 + "=\n",
        "log\n-1\n" + "A" * 43 + "=\n",
        "log\n20\nAAAA\n",
        "log\n20\n" + "A" * 43 + "=\nan extension\n",
        "\n20\n" + "A" * 43 + "=\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(MalformedNote):
        parse_checkpoint(KEY.sign(text))


def test_verifier_keys_that_are_bent_are_refused() -> None:
    name, number, material = EXAMPLE_KEY.split("+", 2)
    for bent in (
        "",
        name,
        f"{name}+{number}",
        f"{name}+00000000+{material}",
        f"other+{number}+{material}",
        f"{name}+{number}+{material[:-4]}",
        f"{name}+{number}+{material}!",
    ):
        with pytest.raises(MalformedNote):
            VerifierKey.parse(bent)
    assert read_keys(f"# mine\n\n  {EXAMPLE_KEY}  \n") == [VerifierKey.parse(EXAMPLE_KEY)]


def test_proofs_are_read_back_as_they_were_written() -> None:
    note = KEY.sign(POINT.text())
    for receipt in (
        Receipt(0, (), note),
        Receipt(7, (bytes(32), bytes(range(32))), note, b"an entry"),
        Receipt(7, (bytes(32),), note, bytes(32)),
    ):
        assert parse_receipt(receipt.text()) == receipt
    assert Receipt(0, (), note, b"an entry").is_entry_shown
    assert not Receipt(0, (), note, bytes(32)).is_entry_shown
    for proof in (ConsistencyProof(1, 1, ()), ConsistencyProof(3, 9, (bytes(32),) * 3)):
        assert parse_consistency(proof.text()) == proof


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("index 7", "index 07"),
        ("index 7", "index -7"),
        ("index 7\n", ""),
        ("extra ", "extra  "),
        ("AAAAAAA=\n", "AAAAAAA\n"),
        ("AAAAAAA=\n\n", "AAAAAAA=\n"),
        ("AAAAAAA=\n", "AAAA\n" * 200),
    ],
)
def test_bent_receipts_are_refused(old: str, new: str) -> None:
    text = Receipt(7, (bytes(32),), KEY.sign(POINT.text()), b"an entry").text()
    assert old in text
    with pytest.raises(MalformedProof):
        parse_receipt(text.replace(old, new, 1))


@pytest.mark.parametrize(
    "bent",
    ["", "tollgate-consistency@v1\n", "tollgate-consistency@v1\nold 1\nnew x\n",
     "tollgate-consistency@v1\nold 1\nnew 2\nAAAA\n"],
)  # fmt: skip
def test_bent_consistency_proofs_are_refused(bent: str) -> None:
    with pytest.raises(MalformedProof):
        parse_consistency(bent)


@pytest.mark.parametrize("account", [None, (UUID(int=9), 3)])
def test_an_entry_is_what_the_leaf_is_the_hash_of(account: tuple[UUID, int] | None) -> None:
    one = Entry(5, UUID(int=8), 2, 1_700_000_000_000_001, account, "group.GroupSet.v1", b"{}")
    content = one.to_bytes()
    assert parse_entry(content) == one
    assert one.leaf() == leaf(
        5, UUID(int=8), 2, 1_700_000_000_000_001, account, ("group.GroupSet.v1", b"{}")
    )
    for length in range(len(content)):
        with pytest.raises(MalformedEntry):
            parse_entry(content[:length])
    with pytest.raises(MalformedEntry):
        parse_entry(content + b"\0")


def test_tiles_have_the_paths_of_the_specification() -> None:
    assert tile_path(Tile(0, 1_234_067)) == "0/x001/x234/067"
    for tile in (Tile(0, 0), Tile(1, 999, 17), Tile(2, 1_000), Tile(63, 1_234_067, 255)):
        level, _, path = tile_path(tile).partition("/")
        assert parse_tile_path(level, path) == tile
    for level, path in (
        ("00", "000"),
        ("64", "000"),
        ("-1", "000"),
        ("0", "1"),
        ("0", "x000/001"),
        ("0", "001/002"),
        ("0", "000.p/0"),
        ("0", "000.p/256"),
        ("0", "000.p/300"),
        ("0", "../../etc/passwd"),
        ("0", "entries/000"),
        ("entries", "000"),
        ("0", ""),
    ):
        with pytest.raises(MalformedTilePath):
            parse_tile_path(level, path)
