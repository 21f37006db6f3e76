"""What clients may send wrong, over raw sockets through the whole gateway, as a table.

For every row: an error in OpenAI's envelope, nothing in the ledger, nothing sent to a provider, and
no worker the worse for it. Rows are numbered as in the bad-input matrix that they come from.
"""

import contextlib
import gzip
import http.client
import json
import socket
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import psycopg
import pytest

from tests.bookkeeping import Payer
from tests.calling import CHAT, MESSAGES, Answer
from tests.fake_provider import FakeProvider
from tests.running import Served

MODEL = "vendor/model"
JSON = "application/json"


@dataclass(frozen=True)
class Row:
    """A request and its refusal. `key` None: the payer's own."""

    body: bytes = b"{}"
    status: int = 400
    code: str | None = "invalid_json"
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    method: str = "POST"
    path: str = CHAT


def document(**fields: object) -> bytes:
    """A good request but for these fields."""
    return json.dumps({"model": MODEL, "messages": MESSAGES, **fields}).encode()


def said(message: object) -> bytes:
    return document(messages=[message])


BELOW, ABOVE = "integer_below_min_value", "integer_above_max_value"
"""OpenAI's codes: https://github.com/OpenBMB/ChatDev/issues/446."""


def wrong(code: str = "invalid_value", **fields: object) -> Row:
    return Row(document(**fields), 400, code)


GOOD = document()
BOMB = zlib.compressobj(9, wbits=31)
BOMB_BYTES = b"".join(BOMB.compress(bytes(1_000_000)) for _ in range(100)) + BOMB.flush()

BODIES: dict[str, Row] = {
    "001 truncated": Row(GOOD[:-1]),
    "002 empty": Row(b""),
    "003 null": Row(b"null"),
    "003 list": Row(b"[]"),
    "003 string": Row(b'"x"'),
    "003 number": Row(b"1"),
    "004 trailing comma": Row(GOOD[:-1] + b",}"),
    "004 comment": Row(b"/* hi */" + GOOD),
    "004 single quotes": Row(b"{'model': 'x'}"),
    "005 trailing garbage": Row(GOOD + b"x"),
    "006 NaN": Row(GOOD[:-1] + b',"temperature":NaN}'),
    "006 -Infinity": Row(GOOD[:-1] + b',"temperature":-Infinity}'),
    "007 1e400": Row(GOOD[:-1] + b',"temperature":1e400}'),
    "008 5,000 digits": Row(GOOD[:-1] + b',"seed":' + b"9" * 5_000 + b"}"),
    "009 2^63": wrong(max_tokens=2**63),
    "009 2^64 + 1": wrong(max_tokens=2**64 + 1),
    "010 true": wrong(max_tokens=True),
    "011 text": wrong(max_tokens="5"),
    "011 5.0": wrong(max_tokens=5.0),
    "012 5.5": wrong(max_tokens=5.5),
    "012 object": wrong(max_tokens={}),
    "012 list": wrong(max_tokens=[]),
    "013 max_tokens twice": Row(GOOD[:-1] + b',"max_tokens":1,"max_tokens":999}', 400, None),
    "014 model twice": Row(GOOD[:-1] + b',"model":"echo"}', 400, None),
    "015 depth 200": Row(document(metadata=None)[:-1] + b',"x":' + b"[" * 200 + b"]" * 200 + b"}"),
    "015 depth 100,000": Row(b"[" * 100_000 + b"]" * 100_000),
    "016 invalid UTF-8": Row(GOOD.replace(b"one", b"\xff\xfe")),
    "017 lone surrogate in content": Row(GOOD.replace(b"one", b"\\ud800"), 400, None),
    "017 lone surrogate in model": Row(GOOD.replace(b"vendor", b"\\ud800"), 400, None),
    "018 NUL in model": wrong(model="a\u0000b"),
    "018 NUL in metadata": wrong(metadata={"a": "b\u0000"}),
    "019 byte order mark": Row(b"\xef\xbb\xbf" + GOOD),
    "020 UTF-16": Row(GOOD.decode().encode("utf-16")),
    "021 many nodes": Row(b"[" + b"[]," * 300_000 + b"[]]", 413, "request_too_large"),
    "022 many messages": wrong(messages=MESSAGES * 3_000),
    "024 many members": wrong(metadata={str(n): "x" for n in range(1_000)}),
    "029 max_tokens -1": wrong(BELOW, max_tokens=-1),
    "029 max_tokens 0": wrong(BELOW, max_tokens=0),
    "030 max_tokens 10^9": wrong(ABOVE, max_tokens=10**9),
    "031 n 0": wrong(BELOW, n=0),
    "031 n 10^6": wrong(ABOVE, n=10**6),
    "032 temperature -5": wrong(temperature=-5),
    "032 temperature hot": wrong(temperature="hot"),
    "033 1,000 stops": wrong(stop=["x"] * 1_000),
    "033 a long stop": wrong(stop="x" * 1_000_000),
    "033 an empty stop": wrong(stop=""),
    "034 10,000 tools": wrong(tools=[{"type": "function", "function": {"name": "f"}}] * 10_000),
    "034 a 5 MB schema": wrong(
        tools=[
            {"type": "function", "function": {"name": "f", "parameters": {"x": "y" * 5_000_000}}}
        ]
    ),
    "036 stream as text": wrong(stream="true"),
    "036 stream 1": wrong(stream=1),
    "037 stream_options without stream": wrong(stream_options={"include_usage": True}),
    "039 model empty": wrong(model=""),
    "039 model of 10 kB": wrong(model="x" * 10_000),
    "039 model with a header": wrong(model="m\r\nX: 1"),
    "039 no model": Row(json.dumps({"messages": MESSAGES}).encode(), 400, "invalid_value"),
    "041 role": Row(said({"role": "root", "content": "x"}), 400, "invalid_value"),
    "041 no content": Row(said({"role": "user"}), 400, "invalid_value"),
    "041 content number": Row(said({"role": "user", "content": 7}), 400, "invalid_value"),
    "041 no messages": wrong(messages=[]),
    "046 user of 1 MB": wrong(user="x" * 1_000_000),
    "046 metadata of 1 MB": wrong(metadata={"a": "x" * 1_000_000}),
}
NAMES: dict[str, Row] = {
    f"038, 039, 040 {name!r}": Row(document(model=name), 404, "model_not_found")
    for name in (
        "unknown",
        "../../admin",
        "vendor%2fmodel",
        "m?x",
        "m#",
        "Vendor/Model",
        "vendor/model ",
        " vendor/model",
    )
}
HTTP: dict[str, Row] = {
    "061 text/plain": Row(GOOD, 415, "unsupported_media_type", {"content-type": "text/plain"}),
    "061 form": Row(
        GOOD,
        415,
        "unsupported_media_type",
        {"content-type": "application/x-www-form-urlencoded"},
    ),
    "061 none": Row(GOOD, 415, "unsupported_media_type", {"content-type": ""}),
    "061 UTF-7": Row(
        GOOD, 415, "unsupported_media_type", {"content-type": f"{JSON}; charset=utf-7"}
    ),
    "062 not gzip": Row(GOOD, 400, "invalid_value", {"content-encoding": "gzip"}),
    "062 cut gzip": Row(
        gzip.compress(GOOD)[:-9], 400, "invalid_value", {"content-encoding": "gzip"}
    ),
    "062 unknown encoding": Row(
        GOOD, 415, "unsupported_media_type", {"content-encoding": "compress"}
    ),
    "063 bomb": Row(BOMB_BYTES, 413, "request_too_large", {"content-encoding": "gzip"}),
    "064 too long by its length": Row(
        GOOD, 413, "request_too_large", {"content-length": str(33 * 1024 * 1024)}
    ),
    "079 dots": Row(path="/v1/../v1/chat/completions", status=400, code="invalid_url"),
    "079 encoded dots": Row(path="/v1/%2e%2e/v1/models", status=400, code="invalid_url"),
    "079 encoded twice": Row(path="/v1%252fchat/completions", status=404, code="unknown_url"),
    "079 double slash": Row(path="//v1/chat/completions", status=404, code="unknown_url"),
    "079 trailing slash": Row(path=CHAT + "/", status=404, code="unknown_url"),
    "080 GET": Row(b"", 405, "unknown_url", method="GET"),
    "080 PROPFIND": Row(b"", 405, "method_not_allowed", method="PROPFIND"),
    "080 override": Row(
        b"", 405, "unknown_url", {"x-http-method-override": "POST"}, method="DELETE"
    ),
    "084 no key": Row(GOOD, 401, "invalid_api_key", {"authorization": ""}),
    "084 only Bearer": Row(GOOD, 401, "invalid_api_key", {"authorization": "Bearer"}),
    "084 Basic": Row(GOOD, 401, "invalid_api_key", {"authorization": "Basic eDp5"}),
    "084 SQL": Row(GOOD, 401, "invalid_api_key", {"authorization": "Bearer ' or 1=1 --"}),
    "084 non-ASCII": Row(GOOD, 401, "invalid_api_key", {"authorization": "Bearer sk-\xff"}),
    "084 wrong key": Row(GOOD, 401, "invalid_api_key", key="sk-wrong"),
    "085 different keys": Row(GOOD, 400, "several_keys", {"x-api-key": "sk-another"}),
    "085 different keys in the query": Row(
        GOOD, 400, "several_keys", path=CHAT + "?key=sk-another"
    ),
    "models, unknown": Row(b"", 404, "model_not_found", method="GET", path="/v1/models/x/y"),
    "D12 the desk by a hidden slash": Row(b"", 404, None, method="GET", path="/api%2fv1/accounts"),
    "D12 the desk by hidden slashes": Row(
        b"", 404, None, method="GET", path="/api%2Fv1%2faccounts"
    ),
    "D12 a call by a hidden slash": Row(GOOD, 404, None, path="/v1/chat%2fcompletions"),
    "D12 a model's name keeps its slash": Row(
        b"", 404, "model_not_found", method="GET", path="/v1/models/x%2Fy"
    ),
    "models, no key": Row(
        b"", 401, "invalid_api_key", {"authorization": ""}, method="GET", path="/v1/models"
    ),
}
ROWS = {**BODIES, **NAMES, **HTTP}


@pytest.fixture(scope="module")
def payer(program: Served, provider: FakeProvider) -> Iterator[Payer]:
    books = program.books
    books.price(MODEL, input=1, output=2)
    channel = books.channel([MODEL], type_="openai", base_url=provider.base_url(), keys=["k"])
    yield books.payer(5)
    books.remove_channel(channel)


@pytest.mark.parametrize("name", ROWS)
def test_it_is_refused_in_the_format_and_leaves_nothing_behind(
    program: Served, provider: FakeProvider, payer: Payer, name: str
) -> None:
    row = ROWS[name]
    before = head(program), program.worker_pids, len(provider.received)
    answer = send(program, payer, row)
    assert answer.status == row.status, answer
    assert row.code in (None, answer.code)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-should-retry"] == "false"
    assert "Traceback" not in answer.body.decode()
    assert (head(program), program.worker_pids, len(provider.received)) == before


def test_what_is_odd_but_right_is_served(
    program: Served, provider: FakeProvider, payer: Payer
) -> None:
    rows = {
        "012 null is absence": Row(document(max_tokens=None, temperature=None, stop=None)),
        "026 fields of other gateways": Row(document(api_base="http://x", user_role="root")),
        "026 unknown fields": Row(document(some_vendor_field={"a": [1, None]})),
        "028 emoji and combining marks": Row(said({"role": "user", "content": "\U0001f600e" * 99})),
        "018 NUL in content": Row(said({"role": "user", "content": "a\u0000b"})),
        "042 an unknown tool_call_id": Row(
            said({"role": "tool", "content": "x", "tool_call_id": "y" * 999})
        ),
        "062 gzip": Row(gzip.compress(GOOD), headers={"content-encoding": "gzip"}),
        "061 charset": Row(GOOD, headers={"content-type": f"{JSON}; charset=UTF-8"}),
        "084 the same key twice": Row(GOOD, headers={"x-api-key": payer.key}),
        "080 a query": Row(GOOD, path=CHAT + "?api-version=1"),
        "087 a forged address": Row(GOOD, headers={"x-forwarded-for": "203.0.113.9, x"}),
    }
    for name, row in rows.items():
        answer = send(program, payer, row)
        assert answer.status == 200, (name, answer)
        sent = provider.received[-1].json()
        assert not {"api_base", "user_role"} & set(sent), name
    assert provider.received[-9].json()["some_vendor_field"] == {"a": [1, None]}


def test_a_body_that_stops_halfway_is_timed_out_and_the_next_caller_served(
    program: Served, payer: Payer
) -> None:
    """B-066, B-071."""
    with socket.create_connection(("127.0.0.1", program.port), timeout=20) as stalling:
        stalling.sendall(raw(payer.key, Row(GOOD, headers={"content-length": "5000"})))
        assert send(program, payer, Row(GOOD)).status == 200
        answer = read(stalling)
    assert (answer.status, answer.code) == (408, "request_timeout")


def test_d12_the_desk_is_not_reached_by_a_prefix_with_a_hidden_slash(program: Served) -> None:
    desk, root = program.desk, program.client(program.root_token)
    assert desk.get("/accounts").status == root.get("/api/v1/accounts").status == 200
    for path in ("/api/v1%2Faccounts", "/api%2fv1/accounts", "/api%2Fv1%2Faccounts"):
        assert root.get(path).status == 404, path
    priced = desk.call("PUT", "/prices/vendor%2Fother", {"input": "1"})
    assert priced.status == 200, priced
    assert desk.get("/prices/vendor/other").body == desk.get("/prices/vendor%2Fother").body


def test_d9_bodies_of_nobody_are_not_waited_for(program: Served, payer: Payer) -> None:
    """Neither at the desk nor at the front: a hundred that stall are told at once."""
    row = Row(b"x" * 1_000, headers={"content-length": "4000000"})
    for path in ("/api/v1/reconciliations", "/api/v1/nothing", CHAT):
        with contextlib.ExitStack() as stack:
            stalling = [
                stack.enter_context(socket.create_connection(("127.0.0.1", program.port), 5))
                for _ in range(100)
            ]
            for connection in stalling:
                connection.sendall(raw("sk-nobody", replace(row, path=path)))
            assert {read(connection).status for connection in stalling} == {401}
    assert send(program, payer, Row(GOOD)).status == 200


def send(program: Served, payer: Payer, row: Row) -> Answer:
    with socket.create_connection(("127.0.0.1", program.port), timeout=20) as connection:
        connection.sendall(raw(payer.key if row.key is None else row.key, row))
        return read(connection)


def raw(key: str, row: Row) -> bytes:
    """The request as it goes over the wire; an empty header value leaves the header out."""
    headers = {
        "host": "localhost",
        "authorization": f"Bearer {key}",
        "content-type": JSON,
        "content-length": str(len(row.body)),
        **row.headers,
    }
    lines = [f"{row.method} {row.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + row.body


def read(connection: socket.socket) -> Answer:
    response = http.client.HTTPResponse(connection)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def head(program: Served) -> int:
    with psycopg.connect(program.app_dsn) as connection:
        row = connection.execute("select position from ledger.head").fetchone()
    assert row is not None
    position: int = row[0]
    return position
