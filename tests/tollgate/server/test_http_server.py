"""The bad-input rows of the HTTP layer, over raw sockets against a real worker process.

A client library would repair what is sent here, so there is none.
"""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollgate.server.http_server import server_config

ENDLESS_BYTES = 10_000 * 65_536
ROOT = Path(__file__).parents[3]
WAIT_S = 5.0
"""Far more than any limit of the worker under test: running into it is a failure."""

HOST = b"Host: localhost\r\n"
GET = b"GET /echo HTTP/1.1\r\n" + HOST
POST = b"POST /echo HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"\r\n"


@dataclass
class Worker:
    """A running worker: its address and its process."""

    port: int
    process: "subprocess.Popen[bytes]"


@dataclass
class Answer:
    """One response as it stood on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


@dataclass
class Seen:
    """All that came back on a connection, and how it ended."""

    answers: list[Answer] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)
    is_closed: bool = False

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


@contextlib.contextmanager
def running_worker() -> Iterator[Worker]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("echo_worker.py")),
                str(listener.fileno()),
            ],
            pass_fds=[listener.fileno()],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
        )
    try:
        yield Worker(port, process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with running_worker() as running:
        assert echo(running)["pid"] == running.process.pid
        yield running


def connect(worker: Worker) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", worker.port), timeout=WAIT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def converse(worker: Worker, *pieces: bytes | float, answers: int = 0) -> Seen:
    """Send bytes and pauses (seconds), then read up to `answers` answers or to the end."""
    with connect(worker) as connection:
        for piece in pieces:
            if isinstance(piece, float):
                time.sleep(piece)
                continue
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(piece)
        return listen(connection, answers)


def listen(connection: socket.socket, answers: int = 0) -> Seen:
    seen = Seen()
    received = b""
    while not answers or len(seen.answers) < answers:
        answer, rest = first_answer(received)
        if answer is not None:
            received = rest
            (
                seen.interim.append(answer.status)
                if answer.status < 200
                else seen.answers.append(answer)
            )
            continue
        try:
            data = connection.recv(1 << 20)
        except TimeoutError:
            return seen
        except ConnectionResetError:
            data = b""
        if not data:
            seen.is_closed = True
            assert received == b"", f"half an answer: {received[:200]!r}"
            return seen
        received += data
    return seen


def first_answer(received: bytes) -> tuple[Answer | None, bytes]:
    head, found, rest = received.partition(b"\r\n\r\n")
    if not found:
        return None, received
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    length = int(headers.get("content-length", "0"))
    if len(rest) < length:
        return None, received
    return Answer(int(status_line.split(" ")[1]), headers, rest[:length]), rest[length:]


def echo(worker: Worker, request: bytes = GET + END) -> dict[str, Any]:
    seen = converse(worker, request, answers=1)
    assert seen.statuses == [200]
    return seen.answers[0].json()


def assert_refused(answer: Answer) -> None:
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["code"]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"]


def chunked(*lines: bytes) -> bytes:
    return CHUNKED + b"\r\n".join(lines)


REFUSED: dict[str, tuple[int, bytes]] = {
    "B-067 two lengths, same": (400, POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
    "B-067 two lengths": (400, POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "B-067 list of lengths": (400, POST + b"Content-Length: 2, 2\r\n\r\n{}"),
    "B-067 signed length": (400, POST + b"Content-Length: +2\r\n\r\n{}"),
    "B-067 negative length": (400, POST + b"Content-Length: -2\r\n\r\n{}"),
    "B-067 hexadecimal length": (400, POST + b"Content-Length: 0x2\r\n\r\n{}"),
    "B-067 empty length": (400, POST + b"Content-Length:\r\n\r\n{}"),
    "B-067 length overflow": (400, POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{}"),
    "B-068 length and encoding": (
        400,
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "B-068 encoding and length": (
        400,
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    ),
    "B-069 xchunked": (400, POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "B-069 chunked, identity": (
        400,
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    "B-069 gzip, chunked": (400, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "B-069 identity": (400, POST + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    "B-069 two encodings": (
        400,
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "B-069 encoding in HTTP/1.0": (
        400,
        b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "B-069 bad chunk size": (400, chunked(b"zz", b"")),
    "B-069 negative chunk size": (400, chunked(b"-1", b"")),
    "B-069 chunk size overflow": (400, chunked(b"f" * 18, b"")),
    "B-069 bad chunk end": (400, chunked(b"1", b"aXX")),
    "B-069 bare LF in chunks": (400, CHUNKED + b"1\na\n0\n\n"),
    "B-069 chunk extension of 1 MB": (400, CHUNKED + b"1;" + b"x" * 1_000_000),
    "B-069 trailer of 1 MB": (400, CHUNKED + b"1\r\na\r\n0\r\nX: " + b"x" * 1_000_000),
    "B-069 a thousand trailers": (400, CHUNKED + b"0\r\n" + b"X: y\r\n" * 100_000),
    "B-072 header of 2 MB": (431, GET + b"X: " + b"x" * 2_000_000),
    "B-072 complete header of 70 kB": (431, GET + b"X: " + b"x" * 70_000 + b"\r\n\r\n"),
    "B-072 header name of 2 MB": (431, GET + b"X" * 2_000_000),
    "B-072 5,000 headers": (431, GET + b"X: y\r\n" * 5_000 + END),
    "B-072 201 headers": (431, GET + b"X: y\r\n" * 200 + END),
    "B-072 URL of 200 kB": (414, b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\n" + HOST + END),
    "B-072 URL of 17 kB": (414, b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\n" + HOST + END),
    "B-073 CR in value": (400, GET + b"X: a\rb\r\n\r\n"),
    "B-073 NUL in value": (400, GET + b"X: a\x00b\r\n\r\n"),
    "B-073 control in value": (400, GET + b"X: a\x01b\r\n\r\n"),
    "B-073 DEL in value": (400, GET + b"X: a\x7fb\r\n\r\n"),
    "B-073 bare LF after value": (400, GET + b"X: a\nY: b\r\n\r\n"),
    "B-073 bare LF after request line": (400, b"GET /echo HTTP/1.1\n" + HOST + END),
    "B-073 folded header": (400, GET + b"X: a\r\n b\r\n\r\n"),
    "B-073 space before colon": (400, GET + b"X : a\r\n\r\n"),
    "B-073 empty header name": (400, GET + b": a\r\n\r\n"),
    "B-073 no colon": (400, GET + b"X\r\n\r\n"),
    "B-073 control in URL": (400, b"GET /ec\x01ho HTTP/1.1\r\n" + HOST + END),
    "B-073 space in URL": (400, b"GET /ec ho HTTP/1.1\r\n" + HOST + END),
    "B-076 no Host": (400, b"GET /echo HTTP/1.1\r\n\r\n"),
    "B-076 two Hosts": (400, GET + HOST + END),
    "B-076 empty Host": (400, b"GET /echo HTTP/1.1\r\nHost:\r\n\r\n"),
    "B-076 Host with path": (400, b"GET /echo HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "B-076 Host with user": (400, b"GET /echo HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    "B-076 Host with a list": (400, b"GET /echo HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    "B-076 Host with bad port": (400, b"GET /echo HTTP/1.1\r\nHost: a:b\r\n\r\n"),
    "B-076 Host not ASCII": (400, b"GET /echo HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n"),
    "B-077 HTTP/0.9": (400, b"GET /echo\r\n\r\n"),
    "B-077 HTTP/1.2": (400, b"GET /echo HTTP/1.2\r\n" + HOST + END),
    "B-077 HTTP/2.0": (400, b"GET /echo HTTP/2.0\r\n" + HOST + END),
    "B-077 HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "B-077 TLS": (400, bytes.fromhex("16030100f8010000f40303") + bytes(64)),
    "B-077 noise": (400, bytes(range(256))),
    "B-078 absolute form": (400, b"GET http://localhost/echo HTTP/1.1\r\n" + HOST + END),
    "B-078 authority form": (400, b"GET localhost:80 HTTP/1.1\r\n" + HOST + END),
    "B-078 asterisk": (400, b"OPTIONS * HTTP/1.1\r\n" + HOST + END),
    "B-078 fragment": (400, b"GET /echo#x HTTP/1.1\r\n" + HOST + END),
    "B-079 dot segments": (400, b"GET /a/../echo HTTP/1.1\r\n" + HOST + END),
    "B-079 one dot": (400, b"GET /./echo HTTP/1.1\r\n" + HOST + END),
    "B-079 encoded dot segments": (400, b"GET /a/%2e%2E%2fecho HTTP/1.1\r\n" + HOST + END),
    "B-079 encoded NUL": (400, b"GET /echo%00 HTTP/1.1\r\n" + HOST + END),
    "B-079 encoded CRLF": (400, b"GET /echo%0d%0aX:y HTTP/1.1\r\n" + HOST + END),
    "B-079 encoded invalid UTF-8": (400, b"GET /echo%ff HTTP/1.1\r\n" + HOST + END),
    "B-079 raw high byte": (400, b"GET /echo\xff HTTP/1.1\r\n" + HOST + END),
    "B-080 TRACE": (405, b"TRACE /echo HTTP/1.1\r\n" + HOST + END),
    "B-080 CONNECT": (405, b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + END),
    "B-080 PROPFIND": (405, b"PROPFIND /echo HTTP/1.1\r\n" + HOST + END),
    "B-080 lower case": (501, b"get /echo HTTP/1.1\r\n" + HOST + END),
    "B-080 unknown": (501, b"BREW /echo HTTP/1.1\r\n" + HOST + END),
    "upgrade with chunks": (
        400,
        POST
        + b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
}


@pytest.mark.parametrize(("status", "request_bytes"), REFUSED.values(), ids=REFUSED.keys())
def test_a_malformed_request_is_answered_in_json_and_its_connection_closed(
    worker: Worker, status: int, request_bytes: bytes
) -> None:
    seen = converse(worker, request_bytes)
    assert seen.statuses == [status]
    assert_refused(seen.answers[0])
    assert seen.is_closed
    assert echo(worker)["pid"] == worker.process.pid


@pytest.mark.parametrize(
    "name", ["B-067 two lengths", "B-073 folded header", "B-076 no Host", "B-080 TRACE"]
)
def test_the_verdict_does_not_depend_on_how_the_bytes_were_cut(worker: Worker, name: str) -> None:
    status, request_bytes = REFUSED[name]
    pieces = [request_bytes[start : start + 7] for start in range(0, len(request_bytes), 7)]
    assert converse(worker, *pieces).statuses == [status]


ACCEPTED: dict[str, tuple[bytes, Callable[[dict[str, Any]], bool]]] = {
    "plain": (GET + END, lambda seen: seen["method"] == "GET"),
    "B-070 many small chunks": (
        CHUNKED + b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n",
        lambda seen: seen["body_bytes"] == 200_000,
    ),
    "B-069 short chunk extension": (
        chunked(b"1;a=b", b"x", b"0", b"", b""),
        lambda seen: seen["body"] == "x",
    ),
    "a trailer is no header": (
        chunked(b"1", b"x", b"0", b"X-Api-Key: forged", b"", b""),
        lambda seen: "x-api-key" not in dict(seen["headers"]),
    ),
    "a name with an underscore is no header": (
        GET + b"x_api_key: forged\r\nX-Kept: yes\r\n\r\n",
        lambda seen: [name for name, _ in seen["headers"]] == ["host", "x-kept"],
    ),
    "B-072 header of 60 kB": (
        GET + b"X: " + b"x" * 60_000 + b"\r\n\r\n",
        lambda seen: len(dict(seen["headers"])["x"]) == 60_000,
    ),
    "B-072 200 headers": (
        GET + b"X: y\r\n" * 199 + END,
        lambda seen: len(seen["headers"]) == 200,
    ),
    "B-076 Host with port": (b"GET /echo HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", bool),
    "B-077 HTTP/1.0 without Host": (b"GET /echo HTTP/1.0\r\n\r\n", bool),
    "B-079 encoded slash keeps its raw form": (
        b"GET /echo/a%2fb HTTP/1.1\r\n" + HOST + END,
        lambda seen: (seen["path"], seen["raw_path"]) == ("/echo/a/b", "/echo/a%2fb"),
    ),
    "B-079 double encoding is undone once": (
        b"GET /echo/%252e%252e HTTP/1.1\r\n" + HOST + END,
        lambda seen: seen["path"] == "/echo/%2e%2e",
    ),
    "B-079 dots within a name": (
        b"GET /echo/gpt-4..1/.x HTTP/1.1\r\n" + HOST + END,
        lambda seen: seen["path"] == "/echo/gpt-4..1/.x",
    ),
    "B-080 overriding header": (
        GET + b"X-HTTP-Method-Override: DELETE\r\n\r\n",
        lambda seen: seen["method"] == "GET",
    ),
    "B-083 4,096 cookies": (
        GET + b"Cookie: " + b"; ".join(b"a=%d" % number for number in range(4_096)) + b"\r\n\r\n",
        bool,
    ),
    "B-087 forwarded address": (
        GET + b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\r\n",
        lambda seen: seen["client"][0] == "127.0.0.1",
    ),
    "B-087 500 forwarded addresses": (
        GET + b"X-Forwarded-For: " + b"6.6.6.6, " * 500 + b"6.6.6.6\r\n\r\n",
        lambda seen: seen["client"][0] == "127.0.0.1",
    ),
    "leading empty lines": (b"\r\n\r\n" + GET + END, bool),
    "upgrade declined, body kept": (
        POST
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"
        + b"Content-Length: 5\r\n\r\nhello",
        lambda seen: seen["body"] == "hello",
    ),
}


@pytest.mark.parametrize(("request_bytes", "holds"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_an_unusual_but_valid_request_reaches_the_application(
    worker: Worker, request_bytes: bytes, holds: Callable[[dict[str, Any]], bool]
) -> None:
    assert holds(echo(worker, request_bytes))


def test_b066_bytes_beyond_the_length_are_the_next_request_and_nothing_else(
    worker: Worker,
) -> None:
    seen = converse(worker, POST + b"Content-Length: 2\r\n\r\n{}smuggled")
    assert seen.statuses[0] == 200
    assert seen.answers[0].json()["body"] == "{}"
    assert seen.statuses[1:] in ([400], [501])
    assert seen.is_closed


def test_b066_a_body_left_unread_is_never_the_next_request(worker: Worker) -> None:
    inner = GET + END
    request = b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(inner)
    seen = converse(worker, request, 0.1, inner)
    assert seen.statuses == [401]
    assert seen.answers[0].headers["connection"] == "close"
    assert seen.is_closed


def test_an_upgraded_body_in_several_pieces_is_never_the_next_request(worker: Worker) -> None:
    inner = GET + END
    head = b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(inner)
    seen = converse(worker, POST + head, 0.05, inner[:10], 0.05, inner[10:] + GET + END, answers=2)
    assert seen.statuses == [200, 200]
    assert seen.answers[0].json()["body_bytes"] == len(inner)


@pytest.mark.parametrize("piece", [b"G", GET, GET + b"X: y"])
def test_b071_headers_that_stop_are_timed_out(worker: Worker, piece: bytes) -> None:
    seen = converse(worker, piece)
    assert seen.statuses == [408]
    assert_refused(seen.answers[0])
    assert seen.is_closed


def test_b071_headers_that_trickle_are_timed_out(worker: Worker) -> None:
    trickle: list[bytes | float] = [GET]
    for _ in range(10):
        trickle += [0.1, b"X: y\r\n"]
    assert converse(worker, *trickle).statuses == [408]


def test_b071_a_second_request_that_stops_is_timed_out(worker: Worker) -> None:
    assert converse(worker, GET + END, 0.1, GET).statuses == [200, 408]


@pytest.mark.parametrize("piece", [b"", b"\r\n"])
def test_b071_a_silent_connection_is_closed(worker: Worker, piece: bytes) -> None:
    seen = converse(worker, piece)
    assert seen.statuses == []
    assert seen.is_closed


def test_b071_an_idle_connection_is_kept_for_a_while_and_closed(worker: Worker) -> None:
    seen = converse(worker, GET + END, 0.5, GET + END)
    assert seen.statuses == [200, 200]
    assert seen.is_closed


def test_a_client_that_reads_nothing_is_cut_off(worker: Worker) -> None:
    with connect(worker) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\n" + HOST + END)
        time.sleep(1.5)
        received_bytes = 0
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(1 << 20):
                received_bytes += len(data)
    assert 0 < received_bytes < ENDLESS_BYTES // 2


def test_b072_a_refusal_is_read_even_by_a_client_that_goes_on_sending(worker: Worker) -> None:
    with connect(worker) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(40):
                connection.sendall(GET + b"X: " + b"x" * 100_000)
        assert listen(connection).statuses == [431]


def test_b077_http_1_0_is_answered_and_closed(worker: Worker) -> None:
    seen = converse(worker, b"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert seen.statuses == [200]
    assert seen.is_closed


def test_b081_no_100_is_sent_to_a_request_that_is_refused_unread(worker: Worker) -> None:
    request = b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nExpect: 100-continue\r\n"
    seen = converse(worker, request + END)
    assert (seen.interim, seen.statuses, seen.is_closed) == ([], [401], True)


def test_b081_a_100_is_sent_once_the_application_reads(worker: Worker) -> None:
    with connect(worker) as connection:
        connection.sendall(POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert listen(connection, answers=1).answers[0].json()["body"] == "{}"


def test_b090_pipelined_requests_are_answered_in_order(worker: Worker) -> None:
    paths = [b"/slow/0", b"/slow", b"/echo/1", b"/echo/2"]
    requests = b"".join(b"GET %s HTTP/1.1\r\n" % path + HOST + END for path in paths)
    seen = converse(worker, requests, answers=4)
    assert [answer.json()["path"].encode() for answer in seen.answers] == paths


def test_b090_a_malformed_request_in_the_pipeline_waits_for_its_turn(worker: Worker) -> None:
    slow = b"GET /slow HTTP/1.1\r\n" + HOST + END
    seen = converse(worker, slow + GET + END + b"GET /echo HTTP/1.1\r\n\r\n" + GET + END)
    assert seen.statuses == [200, 200, 400]
    assert seen.is_closed


def test_b090_a_broken_body_in_the_pipeline_waits_for_its_turn(worker: Worker) -> None:
    slow = b"GET /slow HTTP/1.1\r\n" + HOST + END
    seen = converse(worker, slow + chunked(b"1", b"x", b"zz", b""))
    assert seen.statuses == [200, 400]
    assert seen.is_closed


def test_b090_too_many_pipelined_requests_are_refused(worker: Worker) -> None:
    slow = b"GET /slow HTTP/1.1\r\n" + HOST + END
    seen = converse(worker, slow + (GET + END) * 1_000)
    assert seen.statuses == [200] * 21 + [400]
    assert seen.is_closed


def test_b090_a_half_closed_client_is_answered(worker: Worker) -> None:
    with connect(worker) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\n" + HOST + END + GET + END)
        connection.shutdown(socket.SHUT_WR)
        seen = listen(connection)
    assert seen.statuses == [200, 200]
    assert seen.is_closed


LEAVING = {
    "a whole request": b"GET /never HTTP/1.1\r\n" + HOST + END,
    "a body that breaks off": POST + b"Content-Length: 10\r\n\r\nabc",
    "a body that breaks": chunked(b"1", b"x", b"zz"),
}


@pytest.mark.parametrize("request_bytes", LEAVING.values(), ids=LEAVING.keys())
@pytest.mark.parametrize("is_reset", [True, False])
def test_a_client_that_leaves_is_told_to_the_application(
    worker: Worker, request_bytes: bytes, is_reset: bool
) -> None:
    before = len(echo(worker)["gone"])
    with connect(worker) as connection:
        connection.sendall(request_bytes)
        time.sleep(0.1)
        if is_reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until = time.monotonic() + WAIT_S
    while len(echo(worker)["gone"]) == before and time.monotonic() < until:
        time.sleep(0.05)
    assert len(echo(worker)["gone"]) == before + 1


SEEDS = [request for _, request in REFUSED.values() if len(request) < 1_000]
SEEDS += [request for request, _ in ACCEPTED.values() if len(request) < 1_000]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0), st.binary(max_size=3)), max_size=4),
    st.integers(1, 200),
)
def test_any_bytes_leave_the_worker_unharmed(
    worker: Worker, seed: bytes, edits: list[tuple[int, bytes]], cut: int
) -> None:
    request = bytearray(seed)
    for place, replacement in edits:
        start = place % (len(request) + 1)
        request[start : start + 1] = replacement
    with connect(worker) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request[:cut])
            connection.sendall(request[cut:])
            connection.shutdown(socket.SHUT_WR)
        seen = listen(connection)
    assert seen.is_closed
    assert set(seen.statuses) <= {200, 400, 405, 408, 414, 431, 501}
    assert echo(worker)["pid"] == worker.process.pid


def test_every_connection_leaves_nothing_behind(worker: Worker) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(worker)).sendall(b"GET /ec")
        assert echo(worker)["pid"] == worker.process.pid
    descriptors = Path(f"/proc/{worker.process.pid}/fd")
    until = time.monotonic() + WAIT_S
    while len(list(descriptors.iterdir())) > 30 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(list(descriptors.iterdir())) <= 30


def test_a_draining_worker_finishes_its_answers_and_ends() -> None:
    with running_worker() as worker:
        echo(worker)
        with connect(worker) as idle, connect(worker) as busy:
            idle.sendall(GET + END)
            assert listen(idle, answers=1).statuses == [200]
            busy.sendall(b"GET /slow HTTP/1.1\r\n" + HOST + END)
            time.sleep(0.1)
            worker.process.send_signal(signal.SIGTERM)
            seen = listen(busy)
            assert seen.statuses == [200]
            assert seen.answers[0].headers["connection"] == "close"
            assert seen.is_closed
            assert listen(idle).is_closed
        assert worker.process.wait(WAIT_S) == 0


def test_nothing_is_taken_from_proxies_or_told_about_the_server() -> None:
    async def application(*_: object) -> None:
        raise AssertionError

    config = server_config(application, graceful_shutdown_s=7)
    told = [config.proxy_headers, config.server_header, config.date_header, config.access_log]
    assert told == [False] * 4
    assert config.timeout_graceful_shutdown == 7
