"""Processes killed at any moment: one story of one installation, told from top to bottom.

Callers write down what they were told; at the end the log has to explain all of it, and nothing
may be left open.
"""

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import psutil
import psycopg
import pytest
import redis

from ledger.streams.charge.events import RefundIssued, UsageSettled
from tests.bookkeeping import USD, ChargeStory, Payer
from tests.calling import Answer
from tests.fake_provider import fake_provider, whole
from tests.recomputed import lowest_available
from tests.running import Served, is_running, served, until

CALLERS = 90
IN_FLIGHT_AT_LEAST = 30
LEASE_AND_SWEEP_S = 30 + 5 + 15
CUT_CODE = "overloaded"

_CUT_OFF = (OSError, http.client.HTTPException)


@dataclass
class Journal:
    """What callers were told: ids of answers seen complete, refusals, positions of credits."""

    complete: list[str] = field(default_factory=list)
    refused: list[Answer] = field(default_factory=list)
    broken: int = 0
    credits: list[int] = field(default_factory=list)


@dataclass
class Scene:
    """The program, somebody rich, and what was told to anybody."""

    program: Served
    payer: Payer
    journal: Journal


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with served(workers=2) as program:
        program.books.channel(["echo"])
        program.books.price("echo", input=1, output=2)
        program.books.price("per-call", calls=0.5)
        yield Scene(program, program.books.payer(1_000), Journal())


def test_a_killed_worker_is_replaced_and_its_neighbours_serve_on(
    scene: Scene, is_long: bool
) -> None:
    program = scene.program
    for _ in range(20 if is_long else 3):
        with calling(scene):
            victim = until(lambda: busy_worker(program), 30, "enough calls in flight")
            os.kill(victim, signal.SIGKILL)
            until(partial(_is_not_a_worker, program, victim), 10, "it is noticed")
            until(lambda: len(program.worker_pids) == 2, 10, "it is replaced")
        program.await_ready()
        assert call(scene).status == 200
    assert scene.journal.broken >= IN_FLIGHT_AT_LEAST
    assert len(scene.journal.complete) >= IN_FLIGHT_AT_LEAST


def test_a_killed_supervisor_is_started_again_and_takes_over(scene: Scene) -> None:
    program = scene.program
    before = {*program.worker_pids, program.background_pid, program.postgres_pid}
    with calling(scene):
        until(lambda: busy_worker(program), 30, "enough calls in flight")
        program.kill_supervisor()
        assert call(scene).status == 200, "the workers serve on"
    program.start()
    after = {*program.worker_pids, program.background_pid, program.postgres_pid}
    assert not before & after
    assert not any(is_running(pid) for pid in before)
    assert call(scene).status == 200


def test_without_redis_service_goes_on(scene: Scene) -> None:
    program = scene.program
    for _ in range(2):
        os.kill(program.valkey_pid, signal.SIGKILL)
        assert [call(scene).status for _ in range(10)] == [200] * 10

    def is_published() -> object:
        assert call(scene).status == 200
        with contextlib.suppress(redis.ConnectionError):  # it is not replaced yet
            return program.redis().keys(f"*{scene.payer.account_id.hex}*used*")
        return False

    until(is_published, 15, "balances are published again")


def test_without_postgres_calls_are_refused_clearly_and_nothing_told_is_lost(
    scene: Scene,
) -> None:
    program = scene.program
    supervisor = psutil.Process(program.supervisor_pid)
    with calling(scene), crediting(scene):
        time.sleep(1.5)
        assert scene.journal.refused == [], "until here everybody was served"
        supervisor.suspend()  # so that it is away for a while
        try:
            os.kill(program.postgres_pid, signal.SIGKILL)
            # Whoever waits for a settlement is served when it is back; newcomers are told at once.
            until(lambda: call(scene).status == 503, 10, "it is missed")
            unknown = program.client("sk-nobody-knows-me").chat("echo")
        finally:
            supervisor.resume()
        until(lambda: call(scene).status == 200, 30, "it is back")
        time.sleep(1.0)
    scene.journal.refused.append(unknown)
    for answer in scene.journal.refused:
        assert (answer.status, answer.code) == (503, "overloaded"), answer
        assert int(answer.headers["retry-after"]) >= 1
    stored = {one.position for one in program.books.log() if one.topic.startswith("credit.")}
    assert scene.journal.credits
    assert set(scene.journal.credits) <= stored


def test_a_balance_set_by_hand_creates_no_money(scene: Scene) -> None:
    def set_by_hand(payer: Payer, used: str) -> Callable[[], None]:
        def change() -> None:
            with scene.program.redis() as redis:
                for key in redis.keys(f"*{payer.account_id.hex}*used*"):
                    redis.set(key, f"999999999999 {used}")

        return change

    passed(scene, lambda payer: set_by_hand(payer, "-1000000000000"), money_for=3)
    # Nor does it take any away.
    passed(scene, lambda payer: set_by_hand(payer, "1000000000000"), money_for=3)


def test_an_old_copy_of_redis_creates_no_money(scene: Scene) -> None:
    def as_it_was(payer: Payer) -> Callable[[], None]:
        with scene.program.redis() as redis:
            copy = {key: redis.dump(key) for key in redis.keys(f"*{payer.account_id.hex}*")}
        assert copy

        def restore() -> None:
            with scene.program.redis() as redis:
                for key, value in copy.items():
                    redis.restore(key, 0, value, replace=True)

        return restore

    passed(scene, as_it_was, money_for=3)


def test_a_postgres_that_hangs_is_a_503_for_everybody(scene: Scene) -> None:
    program = scene.program
    postmaster = psutil.Process(program.postgres_pid)
    family = [postmaster, *postmaster.children()]
    for process in family:
        process.suspend()
    try:
        answers = [call(scene), program.client("sk-nobody-knows-me").chat("echo")]
    finally:
        for process in family:
            process.resume()
    for answer in answers:
        assert (answer.status, answer.code) == (503, "overloaded"), answer
        assert int(answer.headers["retry-after"]) >= 1
    until(lambda: call(scene).status == 200, 30, "it is back")


def test_sigterm_lets_streams_end_and_a_second_one_ends_them(scene: Scene) -> None:
    program = scene.program
    with ThreadPoolExecutor(30) as pool:
        short = stream_all(pool, scene, "stall_ms=150,words=20")
        long = stream_all(pool, scene, "stall_ms=150,words=900")
        until(lambda: len(open_stories(scene)) >= 30, 20, "they stream")
        assert program.process is not None
        program.process.terminate()
        ended = [one.result() for one in short]
        assert program.process.poll() is None
        program.stop()
        cut = [one.result() for one in long]
    assert all(answer.frames[-1] == b"[DONE]" for answer in ended)
    assert {json.loads(answer.frames[-1])["error"]["code"] for answer in cut} == {CUT_CODE}
    program.start()
    stories = [program.books.story(answer.request_id) for answer in ended]
    assert {(story.settled.ending, story.settled.basis) for story in stories} == {
        ("complete", "measured")
    }
    stories = [program.books.story(answer.request_id) for answer in cut]
    assert {(story.settled.ending, story.settled.basis) for story in stories} == {
        ("node_draining", "estimated")
    }


def test_in_the_end_everything_is_closed_once_and_explained(scene: Scene) -> None:
    program = scene.program
    until(lambda: not open_stories(scene), LEASE_AND_SWEEP_S, "every hold is closed")
    stories = {
        str(story.events[0].stream_id): story
        for story in program.books.stories(scene.payer.account_id)
    }
    assert all(closings(story) == 1 for story in stories.values())
    for request_id in scene.journal.complete:
        assert isinstance(stories[request_id].closing, UsageSettled), stories[request_id].names
    lost = [
        story
        for story in stories.values()
        if isinstance(story.closing, RefundIssued) and story.closing.reason == "node_lost"
    ]
    assert len(lost) >= 5
    assert min(lowest_available(program.books.log()).values()) >= 0
    program.check_books()
    program.stop()


# ---------------------------------------------------------------------- callers


def _is_not_a_worker(program: Served, pid: int) -> bool:
    return pid not in program.worker_pids


def call(scene: Scene, **fields: Any) -> Answer:  # noqa: ANN401 - JSON
    """One call whose end is written down."""
    echo = fields.pop("echo", None)
    client = scene.program.client(scene.payer.key)
    answer = client.chat("echo", echo=None if echo is None else str(echo), **fields)
    if answer.status == 200 and is_whole(answer):
        scene.journal.complete.append(answer.request_id)
    elif answer.status != 200:
        scene.journal.refused.append(answer)
    return answer


def is_whole(answer: Answer) -> bool:
    if answer.headers["content-type"].startswith("text/event-stream"):
        return answer.frames[-1:] == [b"[DONE]"]
    return bool(json.loads(answer.body)["choices"])


def stream_all(pool: ThreadPoolExecutor, scene: Scene, echo: str) -> "list[Future[Answer]]":
    """Fifteen streams at once."""
    return [pool.submit(call, scene, echo=echo, stream=True) for _ in range(15)]


@contextlib.contextmanager
def calling(scene: Scene) -> Iterator[None]:
    """Many callers without a pause, streaming and not; whoever is cut off calls again."""
    done = threading.Event()
    kinds = ({"stream": True, "echo": "stall_ms=80,words=12"}, {"echo": "delay_ms=900"})

    def keep_calling(number: int) -> None:
        while not done.is_set():
            try:
                call(scene, **kinds[number % 2])
            except _CUT_OFF:
                scene.journal.broken += 1
                time.sleep(0.1)

    threads = [
        threading.Thread(target=keep_calling, args=(number,), daemon=True)
        for number in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join(60)


@contextlib.contextmanager
def crediting(scene: Scene) -> Iterator[None]:
    """Somebody tops the account up; every position that was told is written down."""
    done = threading.Event()
    path = f"/accounts/{scene.payer.account_id}/credits"

    def keep_crediting() -> None:
        while not done.is_set():
            with contextlib.suppress(*_CUT_OFF):
                answer = scene.program.desk.call(
                    "POST", path, {"amount": "0.01", "reason": "top-up"}
                )
                if answer.status == 201:
                    scene.journal.credits.append(answer.json()["position"])
            time.sleep(0.01)

    thread = threading.Thread(target=keep_crediting, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(60)


def busy_worker(program: Served) -> int | None:
    """A worker that has enough connections at the moment."""
    for pid in program.worker_pids:
        with contextlib.suppress(psutil.Error):
            connections = psutil.Process(pid).net_connections("tcp")
            if sum(one.status == "ESTABLISHED" for one in connections) >= IN_FLIGHT_AT_LEAST:
                return pid
    return None


# ---------------------------------------------------------------------- the books


def open_stories(scene: Scene) -> list[UUID]:
    """Charges without a closing event."""
    with psycopg.connect(scene.program.owner_dsn) as connection:
        found = connection.execute(
            "select originator_id from ledger.event where topic like 'charge.%' "
            "group by originator_id having count(*) filter (where topic in "
            "('charge.UsageSettled.v1', 'charge.RefundIssued.v1')) = 0"
        )
        return [row[0] for row in found.fetchall()]


def closings(story: ChargeStory) -> int:
    return sum(isinstance(one.event, UsageSettled | RefundIssued) for one in story.events)


def passed(
    scene: Scene, spoiling: Callable[[Payer], Callable[[], None]], *, money_for: int
) -> None:
    """Spend with Redis spoiled over and over; exactly what there is money for may pass."""
    program, books = scene.program, scene.program.books
    with fake_provider({"slow": (0.1, *whole())}) as provider:
        channel = books.channel(
            ["per-call"], type_="openai", base_url=provider.base_url(), keys=["k"]
        )
        payer = books.payer(0.5 * (money_for + 1))
        client = program.client(payer.key)
        spoil = spoiling(payer)
        assert client.chat("per-call").status == 200
        spoil()

        def spend(_: int) -> int:
            spoil()
            return client.chat("per-call", metadata={"script": "slow"}).status

        with ThreadPoolExecutor(30) as pool:
            statuses = list(pool.map(spend, range(30)))
        books.remove_channel(channel)
        assert statuses.count(200) == money_for, statuses
        assert statuses.count(429) == 30 - money_for
        assert len(provider.received) == money_for + 1
    assert books.balance(payer.account_id).available_nanos == 0
    assert {story.settled.charged_nanos for story in books.stories(payer.account_id)} == {USD // 2}
