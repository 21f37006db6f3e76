"""Whether a call would be served: `/readyz` says so (D4), the call is told soon (D11)."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import psutil
import pytest

from tests.calling import Client
from tests.fake_provider import FakeProvider
from tests.faults.conftest import MODEL, Stage
from tests.faults.outages import append_function_away, database_away, ledger_held_up
from tests.running import Served, until

HELD_USD = 0.01


@pytest.mark.parametrize("outage", [append_function_away, ledger_held_up, database_away])
def test_d4_a_node_that_cannot_store_is_not_ready_until_it_can(
    stage: Stage, outage: Callable[[Stage], AbstractContextManager[None]]
) -> None:
    client = stage.client
    assert client.chat(MODEL).status == 200
    until(lambda: ready(client) == (200, []), 5, "it is ready")
    with outage(stage):
        assert client.chat(MODEL).status == 503
        until(lambda: ready(client)[0] == 503, 2.5, "it says that it is not ready")
        time.sleep(1.2)  # longer than what is said is remembered
        status, reasons = ready(client)
        assert status == 503
        assert set(reasons) & {
            "the ledger cannot be written",
            "the ledger cannot be read",
            "the ledger does not answer in time",
        }
    until(lambda: ready(client) == (200, []), 15, "it is ready again, though nobody called")
    assert client.chat(MODEL).status == 200


def test_d4_a_refused_append_says_nothing_against_the_node(stage: Stage) -> None:
    """A hold that does not fit, a conflict: the database answered."""
    payer = stage.books.payer(0.001)
    answer = stage.gateway.client(payer.key).chat(MODEL, max_tokens=5_000)
    assert answer.code == "insufficient_quota"
    time.sleep(1.2)
    assert ready(stage.client) == (200, [])


@pytest.mark.parametrize("credit", [HELD_USD / 100, 5])
def test_d11_a_frozen_database_is_told_within_a_second(
    program: Served, provider: FakeProvider, credit: float
) -> None:
    """To whom the cache says that it is short, and to others."""
    books = program.books
    books.price(MODEL, input=1, output=2)
    channel = books.channel([MODEL], type_="openai", base_url=provider.base_url(), keys=["k"])
    client = program.client(books.payer(credit).key)
    for _ in range(8):  # both workers know the caller
        assert client.chat(MODEL, max_tokens=5_000).status in (200, 429)
    with frozen(program):
        time.sleep(0.1)  # what was read before is shared no more
        for _ in range(3):
            began_s = time.monotonic()
            answer = client.chat(MODEL, max_tokens=5_000)
            took_s = time.monotonic() - began_s
            assert (answer.status, answer.code) == (503, "overloaded")
            assert took_s < 1.3, "twice a second was what it took"
        status, _ = ready(client)
        assert status == 503
    until(lambda: client.chat(MODEL, max_tokens=5_000).status in (200, 429), 30, "it is back")
    until(lambda: ready(client)[0] == 200, 30, "it is ready")
    books.remove_channel(channel)


def ready(client: Client) -> tuple[int, list[str]]:
    answer = client.get("/readyz")
    return answer.status, answer.json()["reasons"]


@contextlib.contextmanager
def frozen(program: Served) -> Iterator[None]:
    """Postgres is there, and does nothing."""
    server = psutil.Process(program.postgres_pid)
    pids = [server.pid, *(child.pid for child in server.children())]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
