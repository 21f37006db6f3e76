"""What the client of providers makes of servers that break the rules, plain, over TLS, and through
proxies of both kinds.

The table is its conformance: the body that comes of a script, or the failure; and how many
connections a second call finds, for after anything doubtful none is used again.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import GatewayError, UpstreamFailed, UpstreamTimeout
from gateway.http.client.client import ProviderClient
from gateway.http.upstream import UpstreamRequest, UpstreamTimeouts
from tests.gateway.http.client.conftest import Reach, Run
from tests.scripted_servers import Part, Then, answer, scripted

BORED = UpstreamTimeouts(
    connect_s=0.5, first_byte_s=0.5, idle_s=0.5, whole_grace_s=0.5, whole_bytes_per_s=1_000
)
NEXT: list[Part] = [answer(b"next")]
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
UNTIL_THE_END = b"HTTP/1.1 200 OK\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
DRIPPING: list[Part] = [part for _ in range(100) for part in (b"1\r\nx\r\n", 0.05)]

KEPT: dict[str, list[Part]] = {
    "a length": [answer(b"own")],
    "a byte at a time": [part for byte in answer(b"own") for part in (bytes([byte]), 0.002)],
    "chunks": [CHUNKED + b"2\r\now\r\n1\r\nn\r\n0\r\n\r\n"],
    "chunks with extensions": [CHUNKED + b'2;a="b";c\r\now\r\n1\r\nn\r\n0;last\r\n\r\n'],
    "trailers": [CHUNKED + b"3\r\nown\r\n0\r\ncontent-type: a/b\r\nx: y\r\n\r\n"],
    "a size with leading zeros": [CHUNKED + b"0003\r\nown\r\n000\r\n\r\n"],
    "an interim answer": [b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"own")],
    "early hints, again and again": [
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\ncontent-type: a/b\r\n\r\n" * 20,
        0.05,
        answer(b"own"),
    ],
    "names in capitals": [OK + b"Content-LENGTH: 3\r\nCONNECTION: Keep-Alive\r\n\r\nown"],
    "no reason phrase": [b"HTTP/1.1 200\r\ncontent-length: 3\r\n\r\nown"],
    "lines that end as they should not": [b"HTTP/1.1 200 OK\ncontent-length: 3\n\nown"],
    "a header that is no UTF-8": [answer(b"own", b"x: \xff\xfe\r\n")],
    "a line of nothing before the answer": [b"\r\n" + answer(b"own")],
}
"""The answer is `own`, and the connection serves the next call as well."""

ENDED: dict[str, list[Part]] = {
    "no length, until the end": [UNTIL_THE_END + b"own", Then.CLOSE],
    "no length, in pieces": [UNTIL_THE_END + b"ow", 0.05, b"n", Then.CLOSE],
    "a last answer": [answer(b"own", b"connection: close\r\n")],
    "a last answer, and more": [answer(b"own", b"connection: close\r\n") + answer(b"stranger")],
    "an old version": [b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nown"],
    "something behind it": [answer(b"own") + b"x"],
    "half a stranger behind it": [answer(b"own") + answer(b"stranger")[:-4]],
    "a stranger in chunks": [CHUNKED + b"3\r\nown\r\n0\r\n\r\n" + CHUNKED + b"8\r\nstranger\r\n"],
    "kept for a second": [answer(b"own", b"keep-alive: timeout=1, max=5\r\n"), 0.3],
}
"""The answer is `own`, and the next call has a connection of its own."""

NO_ANSWER: dict[str, tuple[list[Part], type[GatewayError]]] = {
    "an end before anything": ([Then.CLOSE], UpstreamFailed),
    "a reset before anything": ([Then.RESET], UpstreamFailed),
    "nothing": ([Then.HANG], UpstreamTimeout),
    "half a status line": ([b"HTTP/1.1 20", Then.HANG], UpstreamTimeout),
    "half a head": ([OK + b"content-le", Then.CLOSE], UpstreamFailed),
    "interim answers for ever": (
        [part for _ in range(30) for part in (b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.1)],
        UpstreamTimeout,
    ),
    "another protocol": ([b"SSH-2.0-OpenSSH_9.9\r\n", Then.HANG], UpstreamFailed),
    "the next version's preface": ([b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0d"], UpstreamFailed),
    "another protocol, as asked by nobody": (
        [b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"],
        UpstreamFailed,
    ),
    "a status of four digits": ([b"HTTP/1.1 2000 OK\r\n\r\n"], UpstreamFailed),
    "a folded header": ([OK + b"x: a\r\n b\r\ncontent-length: 3\r\n\r\nown"], UpstreamFailed),
    "a header without a name": ([OK + b": a\r\n\r\n"], UpstreamFailed),
    "a zero byte in a header": ([OK + b"x: a\0b\r\ncontent-length: 3\r\n\r\nown"], UpstreamFailed),
    "two lengths": (
        [OK + b"content-length: 3\r\ncontent-length: 8\r\n\r\nownownow"],
        UpstreamFailed,
    ),
    "a length and chunks": (
        [OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nown\r\n0\r\n\r\n"],
        UpstreamFailed,
    ),
    "a negative length": ([OK + b"content-length: -3\r\n\r\nown"], UpstreamFailed),
    "a length in words": ([OK + b"content-length: three\r\n\r\nown"], UpstreamFailed),
    "a length beyond numbers": ([OK + b"content-length: %d\r\n\r\n" % 10**20], UpstreamFailed),
    "a head without an end": ([OK, *([b"x: " + b"y" * 4_000 + b"\r\n"] * 100)], UpstreamFailed),
}  # fmt: skip
"""Nothing was begun."""

BROKEN_OFF: dict[str, tuple[list[Part], type[GatewayError]]] = {
    "an end before the length": ([answer(b"own")[:-1], Then.CLOSE], UpstreamFailed),
    "a reset before the length": ([answer(b"own")[:-1], 0.1, Then.RESET], UpstreamFailed),
    "a reset where an end would do": ([UNTIL_THE_END + b"own", 0.1, Then.RESET], UpstreamFailed),
    "an end before the last chunk": ([CHUNKED + b"3\r\nown\r\n", Then.CLOSE], UpstreamFailed),
    "an end in the trailers": ([CHUNKED + b"3\r\nown\r\n0\r\nx:", Then.CLOSE], UpstreamFailed),
    "a chunk longer than its size": (
        [CHUNKED + b"3\r\nowner\r\n0\r\n\r\n", Then.HANG],
        UpstreamFailed,
    ),
    "a size that is none": ([CHUNKED + b"3\r\nown\r\nxyz\r\n", Then.HANG], UpstreamFailed),
    "a size beyond numbers": ([CHUNKED + b"f" * 17 + b"\r\nown", Then.HANG], UpstreamFailed),
    "a coding nobody knows": (
        [OK + b"transfer-encoding: gzip\r\n\r\nown", Then.CLOSE],
        UpstreamFailed,
    ),
    "a length in the trailers": (
        [CHUNKED + b"3\r\nown\r\n0\r\ncontent-length: 9\r\n\r\n"],
        UpstreamFailed,
    ),
    "silence in the middle": ([answer(b"own")[:-1], Then.HANG], UpstreamTimeout),
    "silence before the last chunk": ([CHUNKED + b"3\r\nown\r\n", Then.HANG], UpstreamTimeout),
    "trailers for ever": (
        [CHUNKED + b"3\r\nown\r\n0\r\n", *([b"x: " + b"y" * 4_000 + b"\r\n"] * 100)],
        UpstreamFailed,
    ),
    "a drip": ([CHUNKED, *DRIPPING], UpstreamTimeout),
}
"""It was begun, and there is no end to it."""


@asynccontextmanager
async def client(reach: Reach) -> AsyncIterator[ProviderClient]:
    opened = reach.client(BORED)
    try:
        yield opened
    finally:
        await opened.close()
        await asyncio.sleep(0.02)  # the transports of TLS close in their own time


def request(port: int, reach: Reach) -> UpstreamRequest:
    return UpstreamRequest(reach.url(port), {"x-y": "z"}, b"{}")


async def ask(
    script: list[Part], reach: Reach, *, is_streamed: bool
) -> tuple[bytes | type[GatewayError], bool, int]:
    """What came of it, whether the head was there, and connections after a second call."""
    with scripted(script, NEXT, certificate=reach.certificate) as server:
        async with client(reach) as opened:
            asked = request(server.port, reach)
            came: bytes | type[GatewayError]
            is_begun = False
            try:
                answered = await opened.send(asked)
                is_begun = True
                if is_streamed:
                    came = b"".join([piece async for piece in answered.pieces()])
                else:
                    came = await answered.read()
            except GatewayError as error:
                came = type(error)
                if is_begun:
                    answered.close()
            if came == b"own":
                await asyncio.to_thread(server.has_said_all.wait, 1)
                await asyncio.sleep(0.01)
            second = await (await opened.send(asked)).read()
            assert second == (b"next" if server.connections == 2 else b"own")
            assert server.asked[0].startswith(b"POST /v1?a=b HTTP/1.1\r\nhost: 127.0.0.1:")
            return came, is_begun, server.connections


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("script", KEPT.values(), ids=KEPT)
def test_lawful_answers_are_read_and_the_connection_is_kept(
    script: list[Part], reach: Reach, run_anywhere: Run, *, is_streamed: bool
) -> None:
    asked = ask(script, reach, is_streamed=is_streamed)
    assert run_anywhere(asked) == (b"own", True, 1)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("script", ENDED.values(), ids=ENDED)
def test_answers_are_read_and_the_connection_is_not_used_again(
    script: list[Part], reach: Reach, run_anywhere: Run, *, is_streamed: bool
) -> None:
    asked = ask(script, reach, is_streamed=is_streamed)
    assert run_anywhere(asked) == (b"own", True, 2)


@pytest.mark.parametrize(("script", "failure"), NO_ANSWER.values(), ids=NO_ANSWER)
def test_what_is_no_answer_is_a_failure(
    script: list[Part], failure: type[GatewayError], reach: Reach, run: Run
) -> None:
    assert run(ask(script, reach, is_streamed=False)) == (failure, False, 2)


@pytest.mark.parametrize(("script", "failure"), BROKEN_OFF.values(), ids=BROKEN_OFF)
def test_an_answer_that_breaks_off_is_a_failure(
    script: list[Part], failure: type[GatewayError], reach: Reach, run: Run
) -> None:
    assert run(ask(script, reach, is_streamed=False)) == (failure, True, 2)


def test_what_came_is_read_before_the_failure(reach: Reach, run: Run) -> None:
    async def pieces() -> list[bytes]:
        script: list[Part] = [CHUNKED + b"2\r\now\r\n", 0.1, b"1\r\nn\r\n", 0.1, Then.CLOSE]
        with scripted(script, certificate=reach.certificate) as server:
            async with client(reach) as opened:
                answered = await opened.send(request(server.port, reach))
                rest = answered.pieces()
                came = [await anext(rest), await anext(rest)]
                with pytest.raises(UpstreamFailed):
                    await anext(rest)
                return came

    assert run(pieces()) == [b"ow", b"n"]


def test_a_reader_that_takes_its_time_holds_the_provider_back(reach: Reach, run: Run) -> None:
    """And is not told that the provider is late."""
    megabytes = 32

    async def read_slowly() -> tuple[int, int]:
        head = OK + b"content-length: %d\r\n\r\n" % (megabytes << 20)
        script: list[Part] = [head, *([b"x" * (1 << 20)] * megabytes)]
        with scripted(script, certificate=reach.certificate) as server:
            async with client(reach) as opened:
                answered = await opened.send(request(server.port, reach))
                await asyncio.sleep(BORED.idle_s * 2)
                held = answered.buffered_bytes
                assert not server.has_said_all.is_set()
                return held, sum([len(piece) async for piece in answered.pieces()])

    held, came = run(read_slowly())
    assert held < 2 << 20
    assert came == megabytes << 20


def test_a_large_request_waits_for_a_provider_that_reads_slowly(run: Run) -> None:
    """And the answer that comes before all was read ends it."""
    body = b"x" * (64 << 20)

    async def early() -> tuple[int, bytes, int]:
        script: list[Part] = [b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nown", Then.HANG]
        with scripted(script, NEXT, is_deaf=True) as server:
            async with client(Reach()) as opened:
                asked = request(server.port, Reach())
                large = UpstreamRequest(asked.url, {}, body)
                answered = await opened.send(large)
                came = answered.status, await answered.read()
                server.is_over.set()
                assert await (await opened.send(asked)).read() == b"next"
                return *came, server.connections

    assert run(early()) == (413, b"own", 2)


def test_a_reader_that_leaves_ends_the_connection(reach: Reach, run: Run) -> None:
    async def leave() -> float:
        script: list[Part] = [CHUNKED + b"3\r\nown\r\n", *DRIPPING]
        with scripted(script, certificate=reach.certificate) as server:
            async with client(reach) as opened:
                answered = await opened.send(request(server.port, reach))
                async for _ in answered.pieces():
                    break
                answered.close()
                begun_s = time.monotonic()
                while not server.is_left.is_set() and time.monotonic() - begun_s < 5:
                    await asyncio.sleep(0.01)
                with pytest.raises(UpstreamFailed):
                    await answered.read()
                return time.monotonic() - begun_s

    assert run(leave()) < 4


def test_a_caller_that_is_cancelled_leaves_no_connection(reach: Reach, run: Run) -> None:
    async def cancelled() -> int:
        with scripted([Then.HANG], NEXT, certificate=reach.certificate) as server:
            async with client(reach) as opened:
                asked = request(server.port, reach)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await opened.send(asked)
                assert await (await opened.send(asked)).read() == b"next"
                return server.connections

    assert run(cancelled()) == 2


def test_nobody_listens(run: Run) -> None:
    async def refused(url: str) -> str:
        async with client(Reach()) as opened:
            with pytest.raises(UpstreamFailed) as failure:
                await opened.send(UpstreamRequest(url, {}, b"{}"))
            return failure.value.message

    with scripted(NEXT) as server:
        port = server.port
    for url in (f"http://127.0.0.1:{port}/", "http://nobody.invalid/", "http:/x", "ftp://x/", ""):
        assert run(refused(url)) == "the provider cannot be reached"


@pytest.mark.parametrize("name", ["x\r\ny", "x: y\r\nz", "x\0"])
def test_no_header_ends_before_its_value(name: str, run: Run) -> None:
    async def ask_for(headers: dict[str, str]) -> None:
        async with client(Reach()) as opened:
            with pytest.raises(UpstreamFailed):
                await opened.send(UpstreamRequest(f"http://127.0.0.1:{port}/", headers, b"{}"))

    with scripted(NEXT) as server:
        port = server.port
        run(ask_for({name: "a"}))
        run(ask_for({"a": name}))
        assert server.asked == []
