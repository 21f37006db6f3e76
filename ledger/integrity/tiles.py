"""Tiles: 256 hashes of one level side by side, the form in which the tree is stored and served.

https://c2sp.org/tlog-tiles: tile (level, number) holds the hashes of nodes of height 8 * level,
from number * 256 on. A full tile never changes; a partial one is the right edge of the tree.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ledger.integrity.merkle import HASH_BYTES, Node, node_hash

WIDTH = 256
_HEIGHT = 8
_LEVEL_MAX = 63
_NUMBER = re.compile(r"((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


class Tile(NamedTuple):
    """A tile and how many of its hashes are meant; WIDTH: all of them."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def is_full(self) -> bool:
        """Whether it never changes any more."""
        return self.width == WIDTH

    @property
    def first(self) -> int:
        """The index of its first node, at its level."""
        return self.number * WIDTH

    @property
    def leaves_end(self) -> int:
        """The size that a tree must have for all of this tile to be in it."""
        return (self.first + self.width) << (_HEIGHT * self.level)


class MalformedTilePath(Exception):
    """Not the path of a tile."""


def tiles_of(nodes: Iterable[Node], size: int) -> list[Tile]:
    """The tiles in which these nodes of a tree of `size` are found, each once."""
    places = dict.fromkeys(_place(node)[:2] for node in nodes)
    return [
        Tile(level, number, min(WIDTH, (size >> _HEIGHT * level) - number * WIDTH))
        for level, number in places
    ]


def hash_in(tiles: Mapping[tuple[int, int], bytes], node: Node) -> bytes:
    """The hash of a node, from the hashes of tiles by level and number."""
    level, number, start, width = _place(node)
    joined = tiles[level, number][start * HASH_BYTES : (start + width) * HASH_BYTES]
    assert len(joined) == width * HASH_BYTES
    return subtree_root([joined[i : i + HASH_BYTES] for i in range(0, len(joined), HASH_BYTES)])


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """The root of a complete subtree over 1, 2, 4, ... hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(*hashes[i : i + 2]) for i in range(0, len(hashes), 2)]
    return hashes[0]


def parse_tile_path(level: str, path: str) -> Tile:
    """The tile of `<L>` and `<N>[.p/<W>]`. Raises MalformedTilePath."""
    match = _NUMBER.fullmatch(path)
    if match is None or not re.fullmatch(r"0|[1-9][0-9]?", level, re.ASCII):
        raise MalformedTilePath("not the path of a tile, such as 0/x001/x234/067 or 1/000.p/17")
    thousands, last, width = match.groups()
    number = int(thousands.replace("x", "").replace("/", "") + last)
    tile = Tile(int(level), number, int(width or WIDTH))
    is_canonical = tile_path(tile) == f"{level}/{path}"
    if tile.level > _LEVEL_MAX or tile.width > WIDTH or not is_canonical:
        raise MalformedTilePath("not the path of a tile: its parts are out of range")
    return tile


def tile_path(tile: Tile) -> str:
    """`<L>/<N>[.p/<W>]`, as in a URL."""
    groups = [f"{tile.number % 1000:03}"]
    rest = tile.number // 1000
    while rest:
        groups.insert(0, f"x{rest % 1000:03}")
        rest //= 1000
    partial = "" if tile.is_full else f".p/{tile.width}"
    return f"{tile.level}/{'/'.join(groups)}{partial}"


def _place(node: Node) -> tuple[int, int, int, int]:
    """Level and number of the tile of a node, and which of its hashes are below the node."""
    height, index = node
    level, depth = divmod(height, _HEIGHT)
    first = index << depth
    return level, first // WIDTH, first % WIDTH, 1 << depth
