"""Trees in memory, and the RFC's own definitions, written down once more to compare with."""

from collections.abc import Sequence

from ledger.integrity.merkle import EMPTY_ROOT, HashOf, Node, leaf_hash, node_hash


def leaves(count: int, salt: str = "") -> list[bytes]:
    """Leaves that are all different."""
    return [leaf_hash(f"{salt}{number}".encode()) for number in range(count)]


def tree_hash(hashes: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(tree_hash(hashes[:split]), tree_hash(hashes[split:]))


def in_memory(hashes: Sequence[bytes]) -> HashOf:
    """The nodes of a tree over these leaves."""
    known: dict[Node, bytes] = {}

    def hash_of(node: Node) -> bytes:
        level, index = node
        if node not in known:
            assert (index + 1) << level <= len(hashes), "not a complete subtree"
            known[node] = (
                node_hash(hash_of((level - 1, 2 * index)), hash_of((level - 1, 2 * index + 1)))
                if level
                else hashes[index]
            )
        return known[node]

    return hash_of
