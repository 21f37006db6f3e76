"""The tree against published vectors, against its definition, and against everything forged."""

import hashlib
import random

import pytest

from ledger.integrity.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofInvalid,
    consistency_nodes,
    consistency_proof,
    inclusion_nodes,
    inclusion_proof,
    leaf_hash,
    root,
    root_nodes,
    verify_consistency,
    verify_inclusion,
)
from tests.ledger.integrity.trees import in_memory, leaves, tree_hash

SIZES = 130
# The eight inputs of Certificate Transparency's reference tree.
REFERENCE = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]


def test_the_published_vectors() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )
    frontier = Frontier()
    for entry in REFERENCE:
        frontier.append(leaf_hash(bytes.fromhex(entry)))
    assert frontier.root().hex() == (
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    )


def test_every_size_has_the_root_of_its_definition() -> None:
    all_leaves, frontier = leaves(SIZES), Frontier()
    hash_of = in_memory(all_leaves)
    for size in range(SIZES + 1):
        expected = tree_hash(all_leaves[:size])
        assert frontier.root() == root(size, hash_of) == expected
        if size < SIZES:
            frontier.append(all_leaves[size])
    assert frontier.size == SIZES


def test_every_inclusion_proof_below_130_holds_and_every_other_does_not() -> None:
    all_leaves = leaves(SIZES)
    hash_of = in_memory(all_leaves)
    checked = 0
    for size in range(1, SIZES):
        tree = root(size, hash_of)
        for index in range(size):
            proof = inclusion_proof(index, size, hash_of)
            verify_inclusion(all_leaves[index], index, size, proof, tree)
            checked += 1
            forged = flipped(random.Random(checked), [all_leaves[index], *proof, tree])
            for leaf, *middle, other_root in forged:
                with pytest.raises(ProofInvalid):
                    verify_inclusion(leaf, index, size, middle, other_root)
            for other in {(index + 1) % size, index ^ 1} - {index}:
                if other < size:
                    with pytest.raises(ProofInvalid):
                        verify_inclusion(all_leaves[index], other, size, proof, tree)
            for wrong in (proof[:-1], (*proof, EMPTY_ROOT), (EMPTY_ROOT, *proof)):
                if wrong != proof:
                    with pytest.raises(ProofInvalid):
                        verify_inclusion(all_leaves[index], index, size, wrong, tree)
    assert checked == (SIZES - 1) * SIZES // 2


def test_every_consistency_proof_below_130_holds_and_every_other_does_not() -> None:
    hash_of = in_memory(leaves(SIZES))
    checked = 0
    for size in range(SIZES):
        new = size, root(size, hash_of)
        for old_size in range(size + 1):
            old = old_size, root(old_size, hash_of)
            proof = consistency_proof(old_size, size, hash_of)
            verify_consistency(old, new, proof)
            checked += 1
            if old_size in (0, size):
                with pytest.raises(ProofInvalid):
                    verify_consistency(old, new, (EMPTY_ROOT,))
                continue
            for a, *middle, b in flipped(random.Random(checked), [old[1], *proof, new[1]]):
                with pytest.raises(ProofInvalid):
                    verify_consistency((old_size, a), (size, b), middle)
            for wrong in ((), proof[:-1], (*proof, EMPTY_ROOT)):
                with pytest.raises(ProofInvalid):
                    verify_consistency(old, new, wrong)
    assert checked == SIZES * (SIZES + 1) // 2


def test_roots_that_differ_at_one_size_are_never_consistent() -> None:
    ours, theirs = in_memory(leaves(20)), in_memory(leaves(20, "other"))
    with pytest.raises(ProofInvalid, match="roots differ"):
        verify_consistency((20, root(20, ours)), (20, root(20, theirs)), ())
    with pytest.raises(ProofInvalid, match="does not grow"):
        verify_consistency((20, root(20, ours)), (19, root(19, ours)), ())
    with pytest.raises(ProofInvalid, match="is not in a tree"):
        verify_inclusion(EMPTY_ROOT, 20, 20, (), root(20, ours))


def test_what_is_asked_for_is_what_is_announced() -> None:
    hash_of = in_memory(leaves(SIZES))
    for size in range(1, SIZES, 7):
        asked: set[tuple[int, int]] = set()

        def noting(node: tuple[int, int], asked: set[tuple[int, int]] = asked) -> bytes:
            asked.add(node)
            return hash_of(node)

        root(size, noting)
        assert asked == set(root_nodes(size))
        for index in range(0, size, 3):
            asked.clear()
            inclusion_proof(index, size, noting)
            assert asked == set(inclusion_nodes(index, size))
            asked.clear()
            consistency_proof(index, size, noting)
            assert asked == set(consistency_nodes(index, size))
        # A proof of ten million leaves reads a handful of hashes, not the log.
    assert len(inclusion_nodes(1_234_567, 10_000_000)) < 24 * 12
    assert len(root_nodes(10_000_000)) < 24


def flipped(chance: random.Random, hashes: list[bytes]) -> list[list[bytes]]:
    """The same hashes with one bit of one of them turned, for each of them."""
    forged = []
    for place, content in enumerate(hashes):
        bit = chance.randrange(256)
        turned = int.from_bytes(content, "big") ^ 1 << bit
        forged.append([*hashes[:place], turned.to_bytes(32, "big"), *hashes[place + 1 :]])
    return forged


def test_hashes_of_leaves_and_of_nodes_never_meet() -> None:
    pair = leaves(2)
    assert leaf_hash(b"".join(pair)) != tree_hash(pair)
    assert tree_hash(pair) == hashlib.sha256(b"\x01" + b"".join(pair)).digest()
