"""Where a stranger may send us, what we take from there, and what we say where we do not go."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from ipaddress import ip_address, ip_network

import pytest

from gateway.errors import MediaUnavailable
from gateway.media.egress import Egress, EgressLimits, Fetched, Resolve
from gateway.media.public_addresses import is_reachable, literal

LOOPBACK = (ip_network("127.0.0.0/8"),)
NOT_PUBLIC = "is not at a public address"

# Every block of the two special-purpose registries that is not globally reachable, and more.
SPECIAL = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9",
    "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1",
    "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "100::1",
    "2001::1", "2001:2::1", "2001:10::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
    "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses_are_not_asked(address: str) -> None:
    assert not is_reachable(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are(address: str) -> None:
    assert is_reachable(ip_address(address))


def test_an_operator_may_allow_networks_and_no_others() -> None:
    allowed = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00::1"):
        assert is_reachable(ip_address(address), allowed)
    assert not is_reachable(ip_address("127.0.0.1"), allowed)


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "0177.1", "2130706433", "127.0.0.1.", "0x0"])
def test_what_some_take_for_an_address_and_others_for_a_name_is_neither(host: str) -> None:
    with pytest.raises(ValueError, match="address"):
        literal(host)


# ---------------------------------------------------------------------- asking


async def nobody(host: str, port: int) -> Sequence[str]:
    raise AssertionError(f"{host}:{port} must not be resolved")


async def refused(url: str, resolve: Resolve = nobody) -> str:
    """Why an address is not fetched."""
    egress = Egress(resolve=resolve)
    try:
        with pytest.raises(MediaUnavailable) as told:
            await egress.fetch(url, egress.budget())
        return told.value.message
    finally:
        await egress.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        *((f"http://{f'[{one}]' if ':' in one else one}/", NOT_PUBLIC) for one in SPECIAL
          if "%" not in one),
        ("http://127.0.0.1:80@8.8.8.8/", "has an address with a password"),
        ("http://8.8.8.8@127.0.0.1/", "has an address with a password"),
        ("http://user@example.org/", "has an address with a password"),
        ("http://example.org\\@127.0.0.1/", "has no proper address"),
        ("http://example.org\t/", "has no proper address"),
        ("http://exam ple.org/", "has no proper address"),
        ("http://example.org/\r\nhost: x", "has no proper address"),
        ("http://127.1/", "has no proper address"),
        ("http://0x7f000001/", "has no proper address"),
        ("http://2130706433/", "has no proper address"),
        ("http://0177.0.0.1/", "has no proper address"),
        ("http://[fe80::1%25eth0]/", "has no"),
        ("http://１２７.0.0.1/", NOT_PUBLIC),
        ("http://[::1/", "has no proper address"),
        ("http:///path", "has no"),
        ("file:///etc/passwd", "has no"),
        ("ftp://example.org/a", "has no address of the web"),
        ("gopher://example.org/", "has no address of the web"),
        ("//example.org/a", "has no address of the web"),
        ("http://8.8.8.8:22/", "is at a port where nothing is fetched"),
        ("https://8.8.8.8:6379/", "is at a port where nothing is fetched"),
        ("http://example.org/" + "a" * 5_000, "has too long an address"),
    ],
)  # fmt: skip
def test_addresses_that_are_refused_before_anything_is_asked(url: str, why: str) -> None:
    assert asyncio.run(refused(url)).startswith(why)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (["127.0.0.1"], NOT_PUBLIC),
        (["8.8.8.8", "10.0.0.1"], NOT_PUBLIC),
        (["::ffff:169.254.169.254"], NOT_PUBLIC),
        (["fe80::1%eth0"], NOT_PUBLIC),
        ([], "has a name that nobody knows"),
        (OSError("no such name"), "has a name that nobody knows"),
    ],
)
def test_a_name_is_as_good_as_the_worst_of_its_addresses(found: object, why: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        assert (host, port) == ("media.example", 443)
        if isinstance(found, OSError):
            raise found
        assert isinstance(found, list)
        return found

    assert asyncio.run(refused("https://media.example/a", resolve=resolve)) == why


# ---------------------------------------------------------------------- what comes

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def web_server(answer: bytes, *, pause_s: float = 0.0) -> AsyncIterator[int]:
    """Answers everything with these bytes; the port."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with (
            contextlib.suppress(ConnectionError, asyncio.IncompleteReadError),
            contextlib.closing(writer),
        ):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(pause_s)
            writer.write(answer)
            await writer.drain()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def http(body: bytes = b"hello", status: str = "200 OK", **headers: str) -> bytes:
    told = {"content-length": str(len(body)), "content-type": "image/png"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def fetched(answer: bytes, *, pause_s: float = 0.0, **limits: object) -> Fetched | str:
    """What comes from a server that answers so, or why nothing does."""

    async def run() -> Fetched | str:
        egress = Egress(EgressLimits(allowed=LOOPBACK, **limits))  # type: ignore[arg-type]
        async with web_server(answer, pause_s=pause_s) as port:
            try:
                return await egress.fetch(f"http://127.0.0.1:{port}/a", egress.budget())
            except MediaUnavailable as why:
                return why.message
            finally:
                await egress.close()

    return asyncio.run(run())


def test_what_lies_there_comes_as_it_is_with_its_type() -> None:
    assert fetched(http(content_type="Image/PNG; charset=x")) == Fetched(b"hello", "image/png")
    assert fetched(http(content_type="")) == Fetched(b"hello", "")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (http(status="302 Found", location="http://127.0.0.1/"), "lies elsewhere now"),
        (http(status="404 Not Found"), "is answered with status 404"),
        (http(status="206 Partial Content"), "is answered with status 206"),
        (http(content_encoding="gzip"), "comes packed"),
        (http(b"x" * 101), "is too large"),
        (http(b"x" * 300, content_length=""), "is too large"),
        (http(b"x", content_length="99"), "cannot be reached"),
        (b"no HTTP at all\r\n\r\n", "cannot be reached"),
        (b"", "cannot be reached"),
    ],
)
def test_what_is_not_taken_is_said(answer: bytes, why: str) -> None:
    told = fetched(answer, max_bytes=100)
    assert isinstance(told, str)
    assert told.startswith(why)


def test_bytes_of_all_media_of_a_request_count_together() -> None:
    async def run() -> None:
        egress = Egress(EgressLimits(max_bytes=150, allowed=LOOPBACK))
        budget = egress.budget()
        async with web_server(http(b"x" * 100)) as port:
            await egress.fetch(f"http://127.0.0.1:{port}/a", budget)
            with pytest.raises(MediaUnavailable, match="too large"):
                await egress.fetch(f"http://127.0.0.1:{port}/b", budget)
            await egress.fetch(f"http://127.0.0.1:{port}/b", egress.budget())
        await egress.close()

    asyncio.run(run())


def test_time_is_bounded() -> None:
    assert fetched(http(), pause_s=5.0, within_s=0.1) == "does not come in time"


def test_a_name_is_resolved_once_and_connected_to_where_it_was_checked() -> None:
    """A name that leads elsewhere when it is asked again gains nothing by it."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def resolve(host: str, port: int) -> Sequence[str]:  # noqa: ARG001
        return answers.pop(0)

    async def run() -> Fetched:
        egress = Egress(EgressLimits(allowed=LOOPBACK), resolve)
        async with web_server(http()) as port:
            try:
                return await egress.fetch(f"http://rebound.example:{port}/", egress.budget())
            finally:
                await egress.close()

    assert asyncio.run(run()).content == b"hello"
    assert answers == [["10.0.0.1"]]


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetched(http()) == Fetched(b"hello", "image/png")
