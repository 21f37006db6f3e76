"""What the one JSON parse accepts, and that everything else is a clean refusal."""

import asyncio
import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError, InvalidRequest, RequestTooLarge
from gateway.http import strict_json
from gateway.http.off_loop import INLINE_MAX_BYTES

WELL_FORMED_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WELL_FORMED_TEXT,
    lambda children: st.lists(children) | st.dictionaries(WELL_FORMED_TEXT, children),
    max_leaves=10,
)
DOCUMENTS = st.dictionaries(WELL_FORMED_TEXT, VALUES)


def nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


REFUSED = {
    "B-001 truncated": (b'{"model":"m","messages":[{"ro', "invalid_json"),
    "B-002 empty": (b"", "invalid_json"),
    "B-002 blank": (b" \r\n", "invalid_json"),
    "B-003 null": (b"null", "invalid_json"),
    "B-003 array": (b"[]", "invalid_json"),
    "B-003 string": (b'"x"', "invalid_json"),
    "B-003 number": (b"1", "invalid_json"),
    "B-004 trailing comma": (b'{"a":1,}', "invalid_json"),
    "B-004 trailing comma in array": (b'{"a":[1,]}', "invalid_json"),
    "B-004 comment": (b'{"a":1 /* one */}', "invalid_json"),
    "B-004 single quotes": (b"{'a':1}", "invalid_json"),
    "B-005 garbage after": (b'{"a":1} x', "invalid_json"),
    "B-005 second object": (b'{"a":1}{"a":1}', "invalid_json"),
    "B-006 NaN": (b'{"a":NaN}', "invalid_json"),
    "B-006 Infinity": (b'{"a":Infinity}', "invalid_json"),
    "B-006 -Infinity": (b'{"a":-Infinity}', "invalid_json"),
    "B-007 1e400": (b'{"a":1e400}', "invalid_json"),
    "B-007 -1e400": (b'{"a":-1e400}', "invalid_json"),
    "B-008 5,000 digits": (b'{"a":' + b"1" * 5_000 + b"}", "invalid_json"),
    "B-008 5,000 decimals": (b'{"a":0.' + b"1" * 5_000 + b"}", "invalid_json"),
    "B-009 2^63": (b'{"max_tokens":9223372036854775808}', "invalid_value"),
    "B-009 2^64+1": (b'{"max_tokens":18446744073709551617}', "invalid_value"),
    "B-009 30 digits": (b'{"max_tokens":' + b"9" * 30 + b"}", "invalid_value"),
    "B-009 -2^63-1": (b'{"max_tokens":-9223372036854775809}', "invalid_value"),
    "B-013 duplicate": (b'{"max_tokens":1,"max_tokens":999999}', "duplicate_key"),
    "B-014 duplicate by escape": (b'{"model":"a","m\\u006fdel":"b"}', "duplicate_key"),
    "B-014 nested duplicate": (b'{"a":[{"b":{"c":1,"c":1}}]}', "duplicate_key"),
    "B-015 depth 65": (nested(65), "invalid_json"),
    "B-015 depth 200": (nested(200), "invalid_json"),
    "B-015 depth 5,000": (nested(5_000), "invalid_json"),
    "B-015 depth 100,000": (nested(100_000), "invalid_json"),
    "B-015 depth 100,000 unclosed": (b'{"a":' * 100_000, "invalid_json"),
    "B-015 depth hidden by strings": (
        b'{"a":' + b'["]",' * 99 + b"1" + b"]" * 99 + b"}",
        "invalid_json",
    ),
    "B-016 invalid UTF-8": (b'{"a":"\xff"}', "invalid_json"),
    "B-016 overlong UTF-8": (b'{"a":"\xc0\xaf"}', "invalid_json"),
    "B-017 lone surrogate": (b'{"model":"\\ud800"}', "invalid_json"),
    "B-017 lone low surrogate": (b'{"a":["\\uDC00"]}', "invalid_json"),
    "B-017 lone surrogate in a key": (b'{"a":{"\\ud83d":1}}', "invalid_json"),
    "B-017 surrogates apart": (b'{"a":"\\ud83d\\\\\\ude00"}', "invalid_json"),
    "B-017 surrogate as UTF-8": (b'{"a":"\xed\xa0\x80"}', "invalid_json"),
    "B-017 lone surrogate as a duplicate key": (b'{"\\ud800":1,"\\ud800":2}', "duplicate_key"),
    "B-019 byte order mark": (b'\xef\xbb\xbf{"a":1}', "invalid_json"),
    "B-020 UTF-16": ('{"a":1}'.encode("utf-16"), "invalid_json"),
    "B-020 UTF-16 without mark": ('{"a":1}'.encode("utf-16-le"), "invalid_json"),
    "B-020 UTF-32": ('{"a":1}'.encode("utf-32"), "invalid_json"),
    "raw control character": (b'{"a":"\x00"}', "invalid_json"),
    "leading zero": (b'{"a":01}', "invalid_json"),
    "bad escape": (b'{"a":"\\x41"}', "invalid_json"),
}


@pytest.mark.parametrize(("body", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_malformed_body_is_refused_with_its_code(body: bytes, code: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        strict_json.parse(body)
    assert (refusal.value.status, refusal.value.code) == (400, code)
    told = [refusal.value.message, refusal.value.param or ""]
    assert max(len(text.encode("utf-8")) for text in told) < 1_000


TOO_MANY = {
    "B-021 empty arrays": b'{"a":[' + b"[]," * 1_000_000 + b"[]]}",
    "B-021 empty objects": b'{"a":[' + b"{}," * 1_000_000 + b"{}]}",
    "B-021 one above": b'{"a":[' + b"1," * (strict_json.NODES_MAX - 2) + b"1]}",
    "B-021 hidden by escapes": b'{"a":["\\"",' + b"1," * strict_json.NODES_MAX + b"1]}",
    "B-022 strings": b'{"a":[' + b'"",' * 1_000_000 + b'""]}',
    "B-024 a million keys": b"{"
    + b",".join(b'"%d":0' % number for number in range(1_000_000))
    + b"}",
}


@pytest.mark.parametrize("body", TOO_MANY.values(), ids=TOO_MANY.keys())
def test_a_body_with_too_many_values_is_too_large(body: bytes) -> None:
    with pytest.raises(RequestTooLarge) as refusal:
        strict_json.parse(body)
    assert refusal.value.status == 413


ACCEPTED: dict[str, Any] = {
    "empty object": {},
    "64 bits": {"a": 2**63 - 1, "b": -(2**63)},
    "B-018 NUL in a string": {"content": "\x00"},
    "B-025 prototype keys": {"__proto__": {"constructor": 1}},
    "B-028 emoji and combining marks": {"a": "\U0001f600" + "e" + "\u0301" * 10_000},
    "brackets in a string": {"a": '[{"\\' * 100},
    "literal backslash before ud800": {"a": "\\ud800"},
    "as many values as allowed": {"a": [1] * (strict_json.NODES_MAX - 2)},
    "many commas in a string": {"a": ', "[] {}' * strict_json.NODES_MAX},
    "many empty arrays": {"a": [[]] * (strict_json.NODES_MAX - 2)},
}


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED.keys())
@pytest.mark.parametrize("ascii_only", [True, False])
def test_an_unusual_but_valid_body_is_read(document: dict[str, Any], ascii_only: bool) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert strict_json.parse(body) == document


def test_depth_64_is_read() -> None:
    assert strict_json.parse(nested(64))


def test_a_duplicate_key_is_named() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        strict_json.parse(b'{"model":"a","x":1,"model":"b"}')
    assert refusal.value.param == "model"


@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 1]))
def test_whatever_json_writes_is_read_back(
    document: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    read = strict_json.parse(body)
    # Compared as text: 1 and 1.0 and True are equal to Python, and not the same in JSON.
    assert json.dumps(read) == json.dumps(document)


@given(DOCUMENTS, WELL_FORMED_TEXT, VALUES, VALUES, st.integers(0, 5))
def test_a_key_given_twice_is_refused_at_any_depth(
    document: dict[str, Any], key: str, first: object, second: object, depth: int
) -> None:
    others = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in document.items()]
    name = json.dumps(key)
    pairs = [f"{name}:{json.dumps(first)}", *others, f"{name}:{json.dumps(second)}"]
    text = "{" + ",".join(pairs) + "}"
    for _ in range(depth):
        text = '{"outer":[' + text + "]}"
    with pytest.raises(InvalidRequest) as refusal:
        strict_json.parse(text.encode())
    assert refusal.value.code == "duplicate_key"


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_only_finite_numbers_are_read(number: float) -> None:
    body = json.dumps({"a": number}).encode()
    if math.isfinite(number):
        assert strict_json.parse(body)["a"] == number
        return
    with pytest.raises(InvalidRequest):
        strict_json.parse(body)


@given(DOCUMENTS, st.lists(st.tuples(st.integers(0), st.binary(max_size=3)), max_size=5))
def test_a_mutated_body_is_read_or_refused_and_nothing_else(
    document: dict[str, Any], edits: list[tuple[int, bytes]]
) -> None:
    body = bytearray(json.dumps(document, ensure_ascii=False).encode())
    for place, replacement in edits:
        start = place % (len(body) + 1)
        body[start : start + 1] = replacement
    with contextlib.suppress(GatewayError):  # and no other exception
        assert strict_json.parse(bytes(body)) == json.loads(bytes(body))


@given(st.binary())
def test_any_bytes_are_read_or_refused_and_nothing_else(body: bytes) -> None:
    with contextlib.suppress(GatewayError):  # and no other exception
        assert strict_json.parse(body) == json.loads(body)


@pytest.mark.parametrize("length", [1, INLINE_MAX_BYTES])
def test_a_body_of_any_size_reads_alike_off_the_loop(length: int) -> None:
    body = json.dumps({"a": "x" * length}).encode()
    assert asyncio.run(strict_json.parse_off_loop(body)) == strict_json.parse(body)


def test_a_large_malformed_body_is_refused_off_the_loop() -> None:
    body = b'{"a":"' + b"x" * INLINE_MAX_BYTES
    with pytest.raises(InvalidRequest):
        asyncio.run(strict_json.parse_off_loop(body))
