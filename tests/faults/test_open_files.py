"""D3: as many calls as the system has files for; the others are told so, and nobody is cut off."""

import contextlib
import json
import resource
import socket
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest

from tests.bookkeeping import Payer
from tests.calling import CHAT, chat_request
from tests.fake_provider import DONE, FakeProvider, chunk, event_chunk, opened
from tests.faults.conftest import MODEL
from tests.faults.test_bad_input import read
from tests.running import Served, served, until
from tollgate.server import open_files

STREAMS = 200
FILES = 256
WORD = event_chunk(chunk({"content": "word"}))
LONG = (
    opened(),
    *(WORD, 0.25) * 16,
    event_chunk(chunk({}, "stop")),
    event_chunk(DONE),
    b"0\r\n\r\n",
)


@pytest.fixture(scope="module")
def cramped(provider: FakeProvider) -> Iterator[Served]:
    with served(shell_first=f"ulimit -n {FILES}") as running:
        running.books.price(MODEL, input=1, output=2)
        provider.scripts["long"] = LONG
        base_url = provider.base_url()
        running.books.channel([MODEL], type_="openai", base_url=base_url, keys=["k"])
        yield running
        running.check_books()
        running.stop()


def test_d3_beyond_its_files_a_worker_says_503_and_serves_the_others_to_the_end(
    cramped: Served,
) -> None:
    payer = cramped.books.payer(100)
    assert cramped.client(payer.key).chat(MODEL).status == 200
    with crowd(cramped, payer) as streams:
        answers = [read(each) for each in streams]
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) == {200, 503}, statuses
    assert statuses[200] >= 50
    for answer in answers:
        if answer.status == 200:
            assert answer.frames[-1] == b"[DONE]"
        else:
            assert answer.code == "overloaded"
            assert answer.headers["retry-after"] == "1"
    log = cramped.log.read_text()
    assert "server.too_many_open_files" in log
    until(lambda: cramped.client(payer.key).chat(MODEL).status == 200, 10, "there is room again")
    until(lambda: cramped.books.balance(payer.account_id).held_nanos == 0, 10, "nothing is held")
    stories = cramped.books.stories(payer.account_id)
    assert len([one for one in stories if "UsageSettled" in one.names]) == statuses[200] + 2


def test_d3_the_doctor_tells_of_a_low_limit(cramped: Served) -> None:
    told = cramped.tool("doctor").stdout
    assert f"a worker may have {FILES} files open, so it serves at most 96 calls at once" in told


def test_d3_the_soft_limit_is_raised_to_the_hard_one() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with served(shell_first="ulimit -S -n 300") as running:
        for pid in (*running.worker_pids, running.background_pid):
            assert psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE) == (hard, hard)
        assert (hard < open_files.ENOUGH) == ("files open" in running.tool("doctor").stdout)


@contextlib.contextmanager
def crowd(program: Served, payer: Payer) -> Iterator[list[socket.socket]]:
    """Connections with a stream asked for on each, all at once."""
    asked = chat_request(MODEL, None, {"stream": True, "metadata": {"script": "long"}})
    body = json.dumps(asked).encode()
    head = [
        f"POST {CHAT} HTTP/1.1",
        "host: x",
        f"authorization: Bearer {payer.key}",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    request = "\r\n".join([*head, "", ""]).encode() + body
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(socket.create_connection(("127.0.0.1", program.port), 30))
            for _ in range(STREAMS)
        ]
        for each in streams:
            each.sendall(request)
        yield streams
