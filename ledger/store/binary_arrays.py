"""Postgres' binary form of arrays, packed here at once: what the append function is called with.

psycopg would pack the same bytes element by element, which took longer than everything else this
side of the wire does for a batch.

Format: `array_recv` in src/backend/utils/adt/arrayfuncs.c. Number of dimensions, whether there are
nulls, the elements' type, the length and the lower bound; then each element behind its length.
"""

import struct
from collections.abc import Iterable, Sequence
from uuid import UUID

from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper

_BYTEA, _INT8, _INT4, _TEXT, _UUID = 17, 20, 23, 25, 2950

_HEADER = struct.Struct(">iiIii").pack
_EMPTY = struct.Struct(">iiI").pack
_LENGTH = struct.Struct(">i").pack
_LONG = struct.Struct(">iq").pack
_SHORT = struct.Struct(">ii").pack
_NULL = _LENGTH(-1)
_OF_UUID = _LENGTH(16)


class BinaryArray(bytes):
    """An array as it goes over the wire; the statement casts its parameter to the type."""

    __slots__ = ()


def adapt_arrays(context: AdaptContext) -> None:
    """Let a connection or cursor send BinaryArray."""
    assert context.adapters is not None
    context.adapters.register_dumper(BinaryArray, _AsItIs)


def uuids(values: Iterable[UUID | None]) -> BinaryArray:
    """`uuid[]`."""
    return _array(_UUID, [_NULL if v is None else _OF_UUID + v.bytes for v in values])


def longs(values: Iterable[int | None]) -> BinaryArray:
    """`int8[]`. Raises struct.error beyond 64 bits."""
    return _array(_INT8, [_NULL if v is None else _LONG(8, v) for v in values])


def shorts(values: Iterable[int | None]) -> BinaryArray:
    """`int4[]`. Raises struct.error beyond 32 bits."""
    return _array(_INT4, [_NULL if v is None else _SHORT(4, v) for v in values])


def texts(values: Iterable[str]) -> BinaryArray:
    """`text[]`, in UTF-8."""
    return _array(_TEXT, [_counted(v.encode()) for v in values])


def byte_strings(values: Iterable[bytes]) -> BinaryArray:
    """`bytea[]`."""
    return _array(_BYTEA, [_counted(v) for v in values])


def _counted(content: bytes) -> bytes:
    return _LENGTH(len(content)) + content


def _array(element_type: int, elements: Sequence[bytes]) -> BinaryArray:
    if not elements:
        return BinaryArray(_EMPTY(0, 0, element_type))
    has_null = _NULL in elements
    return BinaryArray(b"".join((_HEADER(1, has_null, element_type, len(elements), 1), *elements)))


class _AsItIs(Dumper):
    """Sends what was packed; without a type of its own, so that the statement's cast gives it."""

    format = pq.Format.BINARY
    oid = 0

    def dump(self, obj: BinaryArray) -> BinaryArray:
        return obj
