"""Calls that outlive their node's lease, or the time that one call may take."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from gateway.call.charges.sweeper import Sweeper
from ledger.streams.charge.events import ChargeAdjusted
from projections.registry import PROJECTIONS
from projections.runner import Runner
from tests.bookkeeping import Payer
from tests.calling import Answer
from tests.fake_provider import (
    HANG,
    FakeProvider,
    Script,
    chunk,
    completion,
    event_chunk,
    opened,
    stream,
    whole,
)
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, PROVIDER_KEY, Stage
from tests.recomputed import lowest_available
from tests.running import in_process, until
from tests.servers import migrated_database
from tollgate.embedded.postgres import EmbeddedPostgres
from tollgate.embedded.valkey import EmbeddedValkey

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
DEAR = {"prompt_tokens": 1_000, "completion_tokens": 1_000, "total_tokens": 2_000}
DEAR_NANOS = 1_000 * IN_NANOS + 1_000 * OUT_NANOS


@pytest.fixture(scope="module")
def stage(
    postgres_server: EmbeddedPostgres, valkey_server: EmbeddedValkey, provider: FakeProvider
) -> Iterator[Stage]:
    with (
        migrated_database(postgres_server) as database,
        in_process(database.app_dsn, valkey_server.url, relay_timeout_s=2) as gateway,
    ):
        books = gateway.books
        books.channel([MODEL], type_="openai", base_url=provider.base_url(), keys=[PROVIDER_KEY])
        books.price(MODEL, input=1, output=2)
        stop = threading.Event()
        runner = Runner(database.app_dsn, PROJECTIONS)
        folding = threading.Thread(target=runner.run_until, args=(stop,))
        folding.start()
        until(lambda: has_read_models(database.owner_dsn), 30, "read models")
        yield Stage(gateway, provider, books.payer(1_000), database.owner_dsn)
        stop.set()
        folding.join()


def test_usage_that_comes_after_the_sweep_is_charged_afterwards(stage: Stage) -> None:
    payer = stage.books.payer(5)
    answer, story_names = swept_meanwhile(stage, payer)
    assert answer.status == 200
    assert story_names == ["QuotaReserved", "RefundIssued", "ChargeAdjusted"]
    (story,) = stage.books.stories(payer.account_id)
    assert story.refunded.reason == "node_lost"
    adjusted = story.events[2].event
    assert isinstance(adjusted, ChargeAdjusted)
    assert (adjusted.reason, adjusted.delta_nanos) == ("late_usage", DEAR_NANOS)
    assert stage.books.balance(payer.account_id).posted_nanos == 5 * 10**9 - DEAR_NANOS


def test_late_usage_is_charged_up_to_what_is_there(stage: Stage) -> None:
    probe = stage.client.chat(MODEL, max_tokens=1)
    hold_nanos = stage.books.story(probe.request_id).opening.hold_nanos
    payer = stage.books.payer(0)
    stage.books.credit(payer.account_id, hold_nanos)
    assert hold_nanos < DEAR_NANOS
    answer, names = swept_meanwhile(stage, payer, max_tokens=1)
    assert answer.status == 200
    assert names == ["QuotaReserved", "RefundIssued", "ChargeAdjusted"]
    balance = stage.books.balance(payer.account_id)
    assert (balance.posted_nanos, balance.held_nanos) == (0, 0)


def test_a7_usage_that_comes_late_twenty_times_at_once_takes_nothing_below_zero(
    stage: Stage,
) -> None:
    payer, calls = stage.books.payer(0.05), 20
    answers = swept_at_once(stage, payer, calls, max_tokens=100)
    assert [answer.status for answer in answers] == [200] * calls
    until(
        lambda: all(len(story.events) == 3 for story in stage.books.stories(payer.account_id)),
        10,
        "every late usage has its event",
    )
    late = [story.events[2].event for story in stage.books.stories(payer.account_id)]
    assert sum(one.delta_nanos for one in late if isinstance(one, ChargeAdjusted)) == 50_000_000
    balance = stage.books.balance(payer.account_id)
    assert (balance.posted_nanos, balance.held_nanos) == (0, 0)
    assert lowest_available(stage.books.log())[payer.account_id] == 0


def test_a_node_whose_lease_lapsed_ends_its_streams_and_takes_a_new_boot(stage: Stage) -> None:
    lease = stage.gateway.front.lease
    boot = lease.boot
    word = event_chunk(chunk({"content": " word"}))
    stage.provider.scripts["long"] = (opened(), *((word, 0.1) * 15), b"0\r\n\r\n")
    with stage.client.stream(MODEL, metadata={"script": "long"}) as live:
        live.read_until(b"word")
        lease._held_until_s = 0.001  # as if it had not been renewed for 30 s
        refused = stage.client.chat(MODEL)
        body = live.read_all()
    assert (refused.status, refused.code) == (503, "overloaded")
    assert b'"code":"overloaded"' in body
    settled = stage.books.story(live.request_id).settled
    assert (settled.ending, settled.basis, settled.boot) == ("lease_lapsed", "estimated", boot)
    stage.gateway.loop.run(lease.acquire())
    assert lease.boot != boot
    answer = stage.client.chat(MODEL)
    assert stage.books.story(answer.request_id).opening.boot == lease.boot


def test_a_whole_call_that_takes_too_long_is_ended_and_refunded(stage: Stage) -> None:
    stage.provider.scripts["silent"] = (HANG,)
    answer = stage.client.chat(MODEL, metadata={"script": "silent"})
    assert (answer.status, answer.code) == (504, "upstream_timeout")
    refunded = stage.books.story(answer.request_id).refunded
    assert refunded.reason == "upstream_timeout"
    assert [one.outcome for one in refunded.attempts] == ["cut"]
    until(lambda: stage.provider.received[-1].is_abandoned, 5, "the provider is let go")


def test_a_stream_that_never_ends_is_ended_and_its_delivered_part_charged(stage: Stage) -> None:
    """B-117."""
    word = event_chunk(chunk({"content": " word"}))
    stage.provider.scripts["endless"] = (opened(), *((word, 0.05) * 2_000))
    answer = stage.client.chat(MODEL, stream=True, max_tokens=5_000, metadata={"script": "endless"})
    assert json.loads(answer.frames[-1])["error"]["code"] == "upstream_timeout"
    settled = stage.books.story(answer.request_id).settled
    assert (settled.ending, settled.basis) == ("deadline", "estimated")
    assert settled.usage.output == sum(b" word" in frame for frame in answer.frames)
    until(lambda: stage.provider.received[-1].is_abandoned, 5, "the provider is let go")


def test_clients_that_leave_shortly_before_the_deadline_take_no_places_for_good(
    stage: Stage,
) -> None:
    """Draining is bounded in number; whoever is cut by another bound gives the place back."""
    script: Script = (opened(), event_chunk(chunk({"content": "one"})), HANG)
    stage.provider.scripts["long"] = script
    payer = stage.books.payer(5)

    def leave() -> None:
        client = stage.gateway.client(payer.key)
        with client.stream(MODEL, metadata={"script": "long"}, max_tokens=9) as live:
            live.read_until(b"one")
            live.leave()

    threads = [threading.Thread(target=leave) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 10, "all are closed")
    stage.provider.scripts["long"] = stream(("one", " word"), pause_s=0.1)
    leave()
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 10, "it is closed")
    assert stage.books.stories(payer.account_id)[-1].settled.charged_nanos == MEASURED


def has_read_models(dsn: str) -> bool:
    """What the sweeper looks at is as far as the log: a call that it shall find may be short."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select position >= (select max(position) from ledger.event) "
            "from operations.projection where name = 'open_charges' and is_served"
        ).fetchone()
        return row is not None and bool(row[0])


def swept_meanwhile(stage: Stage, payer: Payer, **fields: object) -> tuple[Answer, list[str]]:
    """A call whose charge is swept while the provider thinks; its answer, and its events."""
    (answer,) = swept_at_once(stage, payer, 1, **fields)
    stage.gateway.loop.run(asyncio.sleep(0.2))
    (story,) = stage.books.stories(payer.account_id)
    return answer, story.names


def swept_at_once(stage: Stage, payer: Payer, calls: int, **fields: object) -> list[Answer]:
    """Calls whose charges are swept while the provider thinks."""
    stage.provider.scripts["slow"] = (1.0, *whole(completion(usage=DEAR)))
    client = stage.gateway.client(payer.key)
    request: dict[str, Any] = {"metadata": {"script": "slow"}, **fields}
    received = len(stage.provider.received)
    with ThreadPoolExecutor(calls) as threads:
        asked = [threads.submit(client.chat, MODEL, **request) for _ in range(calls)]
        until(lambda: len(stage.provider.received) == received + calls, 5, "all were asked")
        with psycopg.connect(stage.owner_dsn) as connection:
            connection.execute(
                "update operations.node_lease set expires_at = now() - interval '1 s'"
            )
        core = stage.gateway.core
        sweeper = Sweeper(core.pool, core.writer)

        def sweep() -> bool:
            stage.gateway.loop.run(sweeper.sweep())
            return stage.books.balance(payer.account_id).held_nanos == 0

        until(sweep, 5, "swept")
        stage.gateway.loop.run(stage.gateway.front.lease.acquire())
        return [one.result(10) for one in asked]


def test_a_provider_that_ignores_the_limit_of_output_tokens_is_stopped(stage: Stage) -> None:
    """B-117: beyond the client's own limit, and half as much again, nobody listens any more."""
    stage.provider.scripts["limitless"] = stream([" word"] * 2_000, usage=None)
    request: dict[str, Any] = {"max_tokens": 100, "metadata": {"script": "limitless"}}
    with stage.client.stream(MODEL, **request) as answer:
        body = answer.read_all()
    story = stage.books.story(answer.request_id)
    assert b"does not stop" in body
    assert b"[DONE]" not in body
    assert story.settled.ending == "limit_ignored"
    assert 100 * 3 // 2 + 256 < story.settled.usage.output <= 2_000
