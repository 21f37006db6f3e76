"""What the gateway once got wrong while the ledger, its node or its clients were going away."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool

from ledger.streams import api_key
from ledger.streams.charge import rules
from ledger.streams.charge.events import ChargeAdjusted
from tests.bookkeeping import Payer
from tests.calling import Client
from tests.fake_provider import (
    DONE,
    HANG,
    chunk,
    completion,
    event_chunk,
    head,
    opened,
    stream,
    whole,
)
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, Stage
from tests.faults.outages import (
    Calling,
    append_function_away,
    database_away,
    follower_frozen,
    ledger_held_up,
)
from tests.running import until

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
LEAVERS = 60
"""More than may be drained at once."""


def test_without_the_database_nobody_is_told_that_the_money_is_used_up(stage: Stage) -> None:
    payer, client = payer_with_money_for(stage, holds=3.5)
    with database_away(stage):
        # Three are in flight as far as the cache knows; to the others it says that it is short.
        answers = [client.chat(MODEL, max_tokens=50) for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            answers += pool.map(lambda _: client.chat(MODEL, max_tokens=50), range(3))
    for answer in answers:
        assert (answer.status, answer.code) == (503, "overloaded"), answer
        assert int(answer.headers["retry-after"]) >= 1
    until(lambda: client.chat(MODEL, max_tokens=50).status == 200, 20, "it is back")
    assert stage.books.balance(payer.account_id).held_nanos == 0


def test_usage_after_a_sweep_is_charged_although_what_is_left_cannot_be_read_at_first(
    stage: Stage,
) -> None:
    payer = stage.books.payer(5)
    body = json.dumps(completion()).encode()
    lines = {"content-type": "application/json", "content-length": str(len(body))}
    calling = Calling(stage, payer.key, (head(200, lines), 0.8, body))
    (story,) = stage.books.stories(payer.account_id)
    swept = rules.Refund("node_lost", story.opening.node, story.opening.boot)
    stage.books.command(rules.STREAM, story.events[0].stream_id, swept)
    stage.gateway.loop.run(starve_the_second_reader(stage.gateway.core.pool))
    assert calling.answer().status == 200
    (story,) = stage.books.stories(payer.account_id)
    assert story.names == ["QuotaReserved", "RefundIssued", "ChargeAdjusted"]
    adjusted = story.events[2].event
    assert isinstance(adjusted, ChargeAdjusted)
    assert (adjusted.reason, adjusted.delta_nanos) == ("late_usage", MEASURED)
    assert stage.books.balance(payer.account_id).posted_nanos == 5 * 10**9 - MEASURED


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_a_charge_is_closed_once_after_the_database_refused_to_append(
    stage: Stage, is_stream: bool
) -> None:
    payer = stage.books.payer(5)
    script = (0.3, *(stream() if is_stream else whole()))
    calling = Calling(stage, payer.key, script, is_stream=is_stream)
    with append_function_away(stage):
        time.sleep(1.0)
    answer = calling.answer()
    assert answer.status == 200
    assert not is_stream or answer.frames[-1] == b"[DONE]"
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "UsageSettled"]
    assert (story.settled.basis, story.settled.charged_nanos) == ("measured", MEASURED)
    assert stage.books.balance(payer.account_id).held_nanos == 0


def test_a_revoked_key_is_refused_although_nobody_tells_of_changes_any_more(stage: Stage) -> None:
    payer = stage.books.payer(5)
    client = stage.gateway.client(payer.key)
    assert client.chat(MODEL).status == 200
    with follower_frozen(stage):
        stage.books.command(api_key.STREAM, payer.key_id, api_key.Revoke("test"))
        until(lambda: client.chat(MODEL).status == 401, 10, "the key is refused")
        assert stage.client.chat(MODEL).status == 200, "others are served on"
    until(lambda: stage.gateway.core.configuration.is_fresh, 20, "it follows again")
    assert client.chat(MODEL).status == 401


def test_clients_that_leave_while_their_charge_is_settled_take_no_places_for_draining(
    stage: Stage,
) -> None:
    payer = stage.books.payer(100)
    client = stage.gateway.client(payer.key)
    words = (event_chunk(chunk({"content": "one"})), 0.25) * 14
    end = event_chunk(chunk({}, "stop")) + event_chunk(DONE) + b"0\r\n\r\n"
    stage.provider.scripts["crowd"] = (opened(), *words, end)
    with contextlib.ExitStack() as leaving:
        streams = [
            leaving.enter_context(client.stream(MODEL, metadata={"script": "crowd"}))
            for _ in range(LEAVERS)
        ]
        with ledger_held_up(stage):
            for live in streams:
                live.read_until(b'"stop"')
                live.leave()
            time.sleep(0.3)  # until it was noticed that they left
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 20, "all are closed")
    stage.provider.scripts["crowd"] = stream(["one", " two", " three"], pause_s=0.1)
    # On a busy machine one drain may not make it in its time; without places none ever would.
    endings = {_left_after_the_first_word(stage, client, payer) for _ in range(3)}
    assert ("client_gone", "measured") in endings


def _left_after_the_first_word(stage: Stage, client: Client, payer: Payer) -> tuple[str, str]:
    with client.stream(MODEL, metadata={"script": "crowd"}) as live:
        live.read_until(b"one")
        live.leave()
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 10, "it is closed")
    settled = stage.books.story(live.request_id).settled
    return settled.ending, settled.basis


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_a_call_that_begins_after_everything_was_cut_is_ended_and_refunded(
    stage: Stage, is_stream: bool
) -> None:
    stage.provider.scripts["calm"] = (0.3, *(stream() if is_stream else whole()))
    payer = stage.books.payer(5)
    with everything_cut(stage):
        answer = stage.gateway.client(payer.key).chat(
            MODEL, stream=is_stream, metadata={"script": "calm"}
        )
    assert (answer.status, answer.code) == (503, "overloaded")
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "RefundIssued"]
    assert [one.outcome for one in story.refunded.attempts] == ["cut"]
    assert stage.client.chat(MODEL).status == 200


def test_a_silent_stream_is_ended_when_its_node_finds_its_lease_lapsed(stage: Stage) -> None:
    lease = stage.gateway.front.lease
    boot = lease.boot
    stage.provider.scripts["silent"] = (opened(), event_chunk(chunk({"content": "one"})), HANG)
    with stage.client.stream(MODEL, metadata={"script": "silent"}) as live:
        live.read_until(b"one")
        lease._held_until_s = 0.001  # as if it had not been renewed for 30 s
        stage.gateway.loop.run(lease.acquire())
        body = live.read_all()
    assert b'"code":"overloaded"' in body
    settled = stage.books.story(live.request_id).settled
    assert (settled.ending, settled.basis, settled.boot) == ("lease_lapsed", "estimated", boot)


# ---------------------------------------------------------------------- circumstances


def payer_with_money_for(stage: Stage, *, holds: float) -> tuple[Payer, Any]:
    """A payer whose key and balance are known everywhere; a hold is one of `max_tokens=50`."""
    probe = stage.client.chat(MODEL, max_tokens=50)
    hold_nanos = stage.books.story(probe.request_id).opening.hold_nanos
    payer = stage.books.payer(0)
    stage.books.credit(payer.account_id, round(holds * hold_nanos) + MEASURED)
    client = stage.gateway.client(payer.key)
    assert client.chat(MODEL, max_tokens=50).status == 200
    return payer, client


async def starve_the_second_reader(pool: AsyncConnectionPool[Any]) -> None:
    """Whoever reads next is served once, and then nobody for longer than anybody waits."""
    async with contextlib.AsyncExitStack() as taken:
        for _ in range(pool.max_size - 1):
            await taken.enter_async_context(pool.connection(timeout=5))
        async with pool.connection(timeout=5):
            async with asyncio.timeout(5):
                while not pool.get_stats().get("requests_waiting"):
                    await asyncio.sleep(0.01)
            behind = asyncio.create_task(pool.getconn(timeout=5))
            await asyncio.sleep(0.05)
        connection = await behind
        await asyncio.sleep(1.5)
        await pool.putconn(connection)


@contextlib.contextmanager
def everything_cut(stage: Stage) -> Iterator[None]:
    """As in the last seconds of a drain."""
    deadlines = stage.gateway.front.deadlines

    async def cut() -> None:
        deadlines.end_all("node_draining", for_good=True)

    stage.gateway.loop.run(cut())
    try:
        yield
    finally:
        deadlines._ended_for = None
