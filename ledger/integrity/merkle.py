"""The Merkle tree of RFC 6962 and RFC 9162: roots, proofs, and what checks them. Pure.

A leaf is SHA-256(0x00, data), an inner node SHA-256(0x01, left, right), the empty tree SHA-256("").
Leaf n (from 0) is the event at position n + 1; `ledger.event` stores leaves already hashed.

A node is (level, index): the hash of the complete subtree over leaves index * 2**level up to
(index + 1) * 2**level. Every hash of every proof is made of such nodes, so whoever has them, from
tiles or from memory, can make the proof: that is `HashOf`.
"""

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Node = tuple[int, int]
"""Level and index of a complete subtree."""

HashOf = Callable[[Node], bytes]


class ProofInvalid(Exception):
    """A proof does not lead to the root it was given for."""


def leaf_hash(entry: bytes) -> bytes:
    """The leaf of an entry (RFC 9162, 2.1.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """An inner node (RFC 9162, 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """Leaves one after the other, in O(log n) memory; the root is known at every size."""

    def __init__(self) -> None:
        self.size = 0
        self._complete: list[bytes] = []  # one per set bit of the size, the largest first

    def append(self, leaf: bytes) -> None:
        """The next leaf."""
        carry, size = leaf, self.size
        while size & 1:
            carry = hashlib.sha256(b"\x01" + self._complete.pop() + carry).digest()
            size >>= 1
        self._complete.append(carry)
        self.size += 1

    def root(self) -> bytes:
        """The root of the leaves so far."""
        return root_of_peaks(self._complete)

    def peaks(self) -> tuple[bytes, ...]:
        """What `root_of_peaks` makes the root of: cheap to keep for many sizes."""
        return tuple(self._complete)


def root_of_peaks(peaks: Sequence[bytes]) -> bytes:
    """The root of a tree from its complete subtrees, the largest first."""
    return _joined(peaks) if peaks else EMPTY_ROOT


def root(size: int, hash_of: HashOf) -> bytes:
    """The root of a tree of this size."""
    return _range_hash((0, size), hash_of) if size else EMPTY_ROOT


def root_nodes(size: int) -> list[Node]:
    """What `root` asks for."""
    return _range_nodes((0, size))


def inclusion_proof(index: int, size: int, hash_of: HashOf) -> tuple[bytes, ...]:
    """The audit path of a leaf, from its sibling to the root's child (RFC 9162, 2.1.3.1)."""
    return tuple(_range_hash(each, hash_of) for each in _inclusion_ranges(index, size))


def inclusion_nodes(index: int, size: int) -> list[Node]:
    """What `inclusion_proof` asks for."""
    return [node for each in _inclusion_ranges(index, size) for node in _range_nodes(each)]


def consistency_proof(old_size: int, size: int, hash_of: HashOf) -> tuple[bytes, ...]:
    """That a tree of `old_size` is the beginning of one of `size` (RFC 9162, 2.1.4.1).

    Empty where either is the empty tree or both are the same.
    """
    return tuple(_range_hash(each, hash_of) for each in _consistency_ranges(old_size, size))


def consistency_nodes(old_size: int, size: int) -> list[Node]:
    """What `consistency_proof` asks for."""
    return [node for each in _consistency_ranges(old_size, size) for node in _range_nodes(each)]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> None:
    """Raises ProofInvalid unless the leaf is at `index` of the tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofInvalid(f"index {index} is not in a tree of {size}")
    found = leaf
    for other, is_left in zip(proof, _sides(index, size - 1, len(proof)), strict=True):
        found = node_hash(other, found) if is_left else node_hash(found, other)
    if found != expected_root:
        raise ProofInvalid("the proof leads to another root")


def verify_consistency(
    old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]
) -> None:
    """Raises ProofInvalid unless `old` (size, root) is the beginning of `new`.

    RFC 9162, 2.1.4.2; the empty tree is the beginning of every tree, and needs no proof.
    """
    old_size, old_root = old
    new_size, new_root = new
    if not 0 <= old_size <= new_size:
        raise ProofInvalid(f"a tree of {old_size} does not grow into one of {new_size}")
    if old_size in (0, new_size):
        if proof:
            raise ProofInvalid("nothing is to be proven, and yet there is a proof")
        if old_root != (EMPTY_ROOT if old_size == 0 else new_root):
            raise ProofInvalid("the roots differ")
        return
    _verify_growth(old, new, proof)


def _verify_growth(old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]) -> None:
    path = list(proof)
    if old[0] & (old[0] - 1) == 0:  # a complete subtree of the new tree: its hash is known
        path.insert(0, old[1])
    if not path:
        raise ProofInvalid("the proof is empty")
    place, last = old[0] - 1, new[0] - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_found = new_found = path[0]
    sides = _sides(place, last, len(path) - 1)
    for other, is_left in zip(path[1:], sides, strict=True):
        if is_left:
            old_found, new_found = node_hash(other, old_found), node_hash(other, new_found)
        else:
            new_found = node_hash(new_found, other)
    if old_found != old[1]:
        raise ProofInvalid("the proof does not lead to the old root")
    if new_found != new[1]:
        raise ProofInvalid("the proof does not lead to the new root")


def _sides(place: int, last: int, count: int) -> list[bool]:
    """For each hash of a proof, on the way up from `place`, whether it joins from the left.

    `last` is the last place of the tree. Raises ProofInvalid for a proof of another length.
    """
    sides = list[bool]()
    for _ in range(count):
        if last == 0:
            raise ProofInvalid("the proof is longer than the tree is high")
        is_left = bool(place & 1) or place == last
        sides.append(is_left)
        while is_left and place and not place & 1:
            place, last = place >> 1, last >> 1
        place, last = place >> 1, last >> 1
    if last:
        raise ProofInvalid("the proof is shorter than the tree is high")
    return sides


_Range = tuple[int, int]
"""Leaves from the first up to, and without, the second."""


def _split(size: int) -> int:
    """The largest power of two below a size of two or more."""
    return 1 << (size - 1).bit_length() - 1


def _inclusion_ranges(index: int, size: int) -> list[_Range]:
    assert 0 <= index < size
    first, last, ranges = 0, size, list[_Range]()
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            ranges.append((middle, last))
            last = middle
        else:
            ranges.append((first, middle))
            first = middle
    return ranges[::-1]


def _consistency_ranges(old_size: int, size: int) -> list[_Range]:
    assert 0 <= old_size <= size
    if old_size in (0, size):
        return []
    first, last, ranges = 0, size, list[_Range]()
    while last != old_size:
        middle = first + _split(last - first)
        if old_size <= middle:
            ranges.append((middle, last))
            last = middle
        else:
            ranges.append((first, middle))
            first = middle
    if first:
        ranges.append((first, last))
    return ranges[::-1]


def _range_nodes(leaves: _Range) -> list[Node]:
    """The complete subtrees of a range that a proof has, the largest first."""
    start, end = leaves
    nodes = list[Node]()
    while start < end:
        level = (end - start).bit_length() - 1
        assert start % (1 << level) == 0
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def _range_hash(leaves: _Range, hash_of: HashOf) -> bytes:
    return _joined([hash_of(node) for node in _range_nodes(leaves)])


def _joined(complete: Sequence[bytes]) -> bytes:
    found = complete[-1]
    for left in complete[-2::-1]:
        found = node_hash(left, found)
    return found
