"""Postgres' binary form of columns, packed here at once: for calls with arrays, and for COPY.

psycopg would pack the same bytes element by element, which took longer than everything else this
side of the wire does for a batch.

Formats: `array_recv` in src/backend/utils/adt/arrayfuncs.c: number of dimensions, whether there are
nulls, the elements' type, the length and the lower bound; then each element behind its length.
COPY: "Binary Format" in the manual's page on COPY; its fields are elements just the same.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby, islice, repeat
from typing import Any
from uuid import UUID

from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper

_BOOLEAN, _BYTEA, _INT8, _INT4, _TEXT, _TIMESTAMPTZ, _UUID = 16, 17, 20, 23, 25, 1184, 2950

_HEADER = struct.Struct(">iiIii").pack
_EMPTY = struct.Struct(">iiI").pack
_LENGTH = struct.Struct(">i").pack
_FIELDS = struct.Struct(">h").pack
_LONG = struct.Struct(">iq").pack
_SHORT = struct.Struct(">ii").pack
_SHORT_ARRAY_MAX = 8
_SHORT_ARRAYS = [struct.Struct(">iiiIii" + count * "iq") for count in range(_SHORT_ARRAY_MAX + 1)]
"""An `int8[]` of so many elements without nulls, behind its length."""
_NULL = _LENGTH(-1)
_OF_UUID = _LENGTH(16)
_FALSE, _TRUE = _LENGTH(1) + b"\x00", _LENGTH(1) + b"\x01"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_COPY_BEGINS = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_COPY_ENDS = _FIELDS(-1)
_ROWS_PER_PIECE = 250
"""So few that what is packed is still near the processor when it is put together: half the time."""


class BinaryArray(bytes):
    """An array as it goes over the wire; the statement casts its parameter to the type."""

    __slots__ = ()


def adapt_arrays(context: AdaptContext) -> None:
    """Let a connection or cursor send BinaryArray."""
    assert context.adapters is not None
    context.adapters.register_dumper(BinaryArray, _AsItIs)


def uuids(values: Iterable[UUID | None]) -> BinaryArray:
    """`uuid[]`."""
    return _array(_UUID, _of_uuids(values))


def longs(values: Iterable[int | None]) -> BinaryArray:
    """`int8[]`. Raises struct.error beyond 64 bits."""
    return _array(_INT8, _of_longs(values))


def shorts(values: Iterable[int | None]) -> BinaryArray:
    """`int4[]`. Raises struct.error beyond 32 bits."""
    return _array(_INT4, [_NULL if v is None else _SHORT(4, v) for v in values])


def texts(values: Iterable[str | None]) -> BinaryArray:
    """`text[]`, in UTF-8."""
    return _array(_TEXT, _of_texts(values))


def byte_strings(values: Iterable[bytes]) -> BinaryArray:
    """`bytea[]`."""
    return _array(_BYTEA, [_counted(v) for v in values])


def booleans(values: Iterable[bool | None]) -> BinaryArray:
    """`boolean[]`."""
    return _array(_BOOLEAN, _of_booleans(values))


def moments(values: Iterable[datetime | None]) -> BinaryArray:
    """`timestamptz[]`, of aware datetimes."""
    return _array(_TIMESTAMPTZ, _of_moments(values))


def copied(types: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """What `copy ... from stdin (format binary)` takes, piece by piece.

    `types` are of COPIED_TYPES; a json is given as its text. Raises struct.error beyond 64 bits.
    """
    coming, fields = iter(rows), _FIELDS(len(types))
    runs = [(name, len(list(same))) for name, same in groupby(types)]
    yield _COPY_BEGINS
    while some := list(islice(coming, _ROWS_PER_PIECE)):
        columns = iter(zip(*some, strict=True))
        packed = [
            column for name, count in runs for column in _of_run(name, list(islice(columns, count)))
        ]
        yield b"".join(chain.from_iterable(zip(repeat(fields, len(some)), *packed, strict=True)))
    yield _COPY_ENDS


def _of_run(name: str, columns: Sequence[Sequence[Any]]) -> list[list[bytes]]:
    """Neighbouring columns of one type; numbers that are all there are packed at one stroke."""
    if name == "bigint" and len(columns) > 1 and not any(None in column for column in columns):
        pack = struct.Struct(">" + len(columns) * "iq").pack
        return [list(map(pack, *chain.from_iterable(zip(repeat(repeat(8)), columns))))]
    pack_column = _OF_TYPE[name]
    return [pack_column(column) for column in columns]


def _of_uuids(values: Iterable[UUID | None]) -> list[bytes]:
    return [_NULL if v is None else _OF_UUID + v.int.to_bytes(16, "big") for v in values]


def _of_longs(values: Iterable[int | None]) -> list[bytes]:
    given = list(values)
    if None in given:
        return [_NULL if v is None else _LONG(8, v) for v in given]
    return list(map(_LONG, repeat(8), given))


def _of_texts(values: Iterable[str | None]) -> list[bytes]:
    """Most columns of text say the same few things again and again: each is packed once."""
    given = list(values)
    packed = {v: _NULL if v is None else _counted(v.encode()) for v in set(given)}
    return list(map(packed.__getitem__, given))


def _of_booleans(values: Iterable[bool | None]) -> list[bytes]:
    return [_NULL if v is None else _TRUE if v else _FALSE for v in values]


def _of_moments(values: Iterable[datetime | None]) -> list[bytes]:
    return [_NULL if v is None else _LONG(8, (v - _EPOCH) // _MICROSECOND) for v in values]


def _of_long_arrays(values: Iterable[Sequence[int] | None]) -> list[bytes]:
    return [_NULL if v is None else _of_long_array(v) for v in values]


def _of_long_array(values: Sequence[int]) -> bytes:
    count = len(values)
    if not 0 < count <= _SHORT_ARRAY_MAX:
        return _counted(longs(values))
    layout = _SHORT_ARRAYS[count]
    elements = [part for value in values for part in (8, value)]
    return layout.pack(layout.size - 4, 1, 0, _INT8, count, 1, *elements)


_OF_TYPE: Mapping[str, Callable[[Any], list[bytes]]] = {
    "uuid": _of_uuids,
    "bigint": _of_longs,
    "text": _of_texts,
    "boolean": _of_booleans,
    "timestamptz": _of_moments,
    "json": _of_texts,
    "bigint[]": _of_long_arrays,
}
COPIED_TYPES = frozenset(_OF_TYPE)


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
