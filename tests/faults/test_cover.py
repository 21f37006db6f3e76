"""Cost above the hold, money that ends in the middle, and a ledger that does not answer in time."""

import json
import threading
import time

import pytest

from gateway.call.charges import open_charge
from ledger import clock
from ledger.ids import charge_id, entity_id
from ledger.streams import account, api_key
from ledger.streams.charge import rules as charge
from ledger.streams.charge.events import ChargeAdjusted, Cover, QuotaReserved, Terms
from tests.calling import Answer
from tests.fake_provider import Script, chunk, completion, event_chunk, opened, stream, whole
from tests.faults.conftest import IN_NANOS, MODEL, OUT_NANOS, Stage
from tests.faults.outages import Calling, ledger_held_up
from tests.running import until

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
DEAR = {"prompt_tokens": 100, "completion_tokens": 5_000, "total_tokens": 5_100}
COST = 100 * IN_NANOS + 5_000 * OUT_NANOS
"""What `DEAR` costs; far above the hold of a call with `max_tokens=1`."""
LARGEST_BALANCE_NANOS = 4 * 10**18
"""No balance is further from nothing: see `append_slice` in
`ledger/store/migrations/0001_ledger.sql`.
"""


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_cost_above_the_hold_is_held_and_charged_where_there_is_money(
    stage: Stage, is_stream: bool
) -> None:
    answer = dear_call(stage, stage.payer.key, is_stream)
    assert answer.status == 200
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "QuotaReserved", "UsageSettled"]
    settled = story.settled
    assert (settled.charged_nanos, settled.shortfall_nanos) == (COST, 0)
    assert settled.released_nanos == COST
    assert story.events[1].position + 1 == story.events[2].position


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_a20_cost_above_the_hold_is_charged_up_to_what_is_there(
    stage: Stage, is_stream: bool
) -> None:
    payer = stage.books.payer(0.000_100)
    answer = dear_call(stage, payer.key, is_stream)
    assert answer.status == 200
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "QuotaReserved", "UsageSettled"]
    settled = story.settled
    assert (settled.charged_nanos, settled.shortfall_nanos) == (100_000, COST - 100_000)
    balance = stage.books.balance(payer.account_id)
    assert (balance.posted_nanos, balance.held_nanos) == (0, 0)


@pytest.mark.parametrize("limit", ["key", "window", "overdraft"])
def test_a20_the_least_of_all_that_covers_it_decides(stage: Stage, limit: str) -> None:
    cap = 100_000
    terms = api_key.KeyTerms(limit_nanos=cap) if limit == "key" else None
    limits = account.SpendingLimits(
        day_nanos=cap if limit == "window" else None,
        overdraft_nanos=cap if limit == "overdraft" else 0,
    )
    usd = 0 if limit == "overdraft" else 5
    payer = stage.books.payer(usd, terms=terms, limits=limits)
    answer = dear_call(stage, payer.key, is_stream=False)
    settled = stage.books.story(answer.request_id).settled
    assert (settled.charged_nanos, settled.shortfall_nanos) == (cap, COST - cap)


def test_a20_where_nothing_is_there_the_hold_is_charged(stage: Stage) -> None:
    probe = dear_call(stage, stage.books.payer(5).key, is_stream=False)
    held = stage.books.story(probe.request_id).opening.hold_nanos
    payer = stage.books.payer(0)
    stage.books.credit(payer.account_id, held)
    answer = dear_call(stage, payer.key, is_stream=False)
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "UsageSettled"]
    assert (story.settled.charged_nanos, story.settled.shortfall_nanos) == (held, COST - held)


@pytest.mark.parametrize(("n", "most"), [(1, 50), (3, 150)])
def test_every_answer_that_is_asked_for_is_held_for(stage: Stage, n: int, most: int) -> None:
    answer = stage.client.chat(MODEL, max_tokens=50, n=n)
    assert answer.status == 200
    opening = stage.books.story(answer.request_id).opening
    assert opening.output_tokens_max == most
    assert opening.hold_nanos == opening.input_tokens_estimated * IN_NANOS + most * OUT_NANOS


def test_cost_that_no_balance_has_room_for_is_a_memo_and_the_hold_is_charged(stage: Stage) -> None:
    """The account owes nearly as much as a balance can say."""
    limits = account.SpendingLimits(overdraft_nanos=2**62)
    payer = stage.books.payer(0, limits=limits)
    earlier, boot = charge_id(), entity_id()
    reserve = charge.Reserve(
        hold_nanos=0,
        cover=Cover(account_id=payer.account_id, key_id=payer.key_id),
        terms=Terms(model=MODEL, group="default", price_version=1),
        admitted_at_us=clock.now_us(),
        node="another",
        boot=boot,
        dialect="openai_chat",
    )
    owed_nanos = LARGEST_BALANCE_NANOS - COST // 2
    adjust = charge.Adjust(entity_id(), owed_nanos, "dispute", "test")
    for command in (reserve, charge.Refund("test", "another", boot), adjust):
        stage.books.command(charge.STREAM, earlier, command)
    answer = dear_call(stage, payer.key, is_stream=False)
    assert answer.status == 200
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "UsageSettled"]
    held_nanos = story.opening.hold_nanos
    assert story.settled.charged_nanos == held_nanos
    assert story.settled.shortfall_nanos == COST - held_nanos


def test_a_stream_that_outgrows_its_hold_holds_more(stage: Stage) -> None:
    stage.provider.scripts["long"] = long_stream(5_000)
    answer = stage.client.chat(MODEL, stream=True, metadata={"script": "long"})
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "QuotaReserved", "UsageSettled"]
    assert answer.frames[-1] == b"[DONE]"
    assert story.settled.shortfall_nanos == 0
    assert story.settled.basis == "estimated"
    assert 4_900 < story.settled.usage.output < 5_100


def test_a_stream_is_ended_where_the_money_ends_and_charged_what_was_given(stage: Stage) -> None:
    payer = stage.books.payer(0.009)
    stage.provider.scripts["long"] = long_stream(60_000)
    client = stage.gateway.client(payer.key)
    answer = client.chat(MODEL, stream=True, metadata={"script": "long"})
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "UsageSettled"]
    error = json.loads(answer.frames[-1])["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    settled = story.settled
    assert (settled.ending, settled.basis) == ("quota_ended", "estimated")
    given = sum(b" word" in frame for frame in answer.frames)
    assert settled.charged_nanos == (
        settled.usage.input * IN_NANOS + settled.usage.output * OUT_NANOS - settled.shortfall_nanos
    )
    assert abs(settled.usage.output - given) <= given / 50
    assert settled.charged_nanos <= story.opening.hold_nanos
    assert stage.books.balance(payer.account_id).available_nanos >= 0
    until(lambda: stage.provider.received[-1].is_abandoned, 5, "the provider is let go")


def test_a_free_model_needs_no_balance(stage: Stage) -> None:
    stage.books.channel(["free"], type_="openai", base_url=stage.provider.base_url(), keys=["k"])
    stage.books.price("free", input=0)
    poor = stage.books.payer(0)
    for is_stream in (False, True):
        answer = stage.gateway.client(poor.key).chat(
            "free", stream=is_stream, metadata={"script": "fine_stream" if is_stream else "fine"}
        )
        assert answer.status == 200
        story = stage.books.story(answer.request_id)
        assert story.names == ["QuotaReserved", "UsageSettled"]
        assert (story.opening.hold_nanos, story.settled.charged_nanos) == (0, 0)


def test_200_calls_in_a_row_with_money_for_a_little_more_than_one_hold(stage: Stage) -> None:
    books = stage.books
    books.channel(["fixed"], type_="openai", base_url=stage.provider.base_url(), keys=["k"])
    books.price("fixed", input=0.001, output=0.001)
    payer = books.payer(0)
    probe = stage.client.chat("fixed", max_tokens=16)
    hold = books.story(probe.request_id).opening.hold_nanos
    books.credit(payer.account_id, hold * 12 // 10 + 200 * MEASURED // 1_000)
    client = stage.gateway.client(payer.key)
    statuses = [client.chat("fixed", max_tokens=16).status for _ in range(200)]
    assert statuses == [200] * 200
    assert books.balance(payer.account_id).available_nanos >= 0


# ---------------------------------------------------------------------- a ledger that is late


def test_a_hold_that_is_not_stored_in_time_is_a_503_and_is_given_back(stage: Stage) -> None:
    payer = stage.books.payer(5)
    stage.gateway.client(payer.key).chat(MODEL)  # the key is known from here on
    calls = len(stage.provider.received)
    with ledger_held_up(stage):
        started_s = time.monotonic()
        answer = stage.gateway.client(payer.key).chat(MODEL)
        assert time.monotonic() - started_s < 4
    check_overloaded(answer)
    until(lambda: len(stage.books.stories(payer.account_id)) == 2, 20, "the hold was stored")
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 20, "given back")
    story = stage.books.stories(payer.account_id)[1]
    assert story.refunded.reason == "not_admitted"
    assert len(stage.provider.received) == calls


def test_a_whole_answer_whose_settlement_is_underway_too_long_is_not_delivered_and_not_charged(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_charge, "CLOSE_WITHIN_S", 0.5)
    payer = stage.books.payer(5)
    calling = Calling(stage, payer.key, (0.5, *whole()))
    with ledger_held_up(stage):
        answer = calling.answer()
    check_overloaded(answer)
    until(lambda: stage.books.balance(payer.account_id).posted_nanos == 5 * 10**9, 20, "no charge")
    (story,) = stage.books.stories(payer.account_id)
    until(lambda: len(stage.books.stories(payer.account_id)[0].events) == 3, 20, "given back")
    (story,) = stage.books.stories(payer.account_id)
    assert story.names == ["QuotaReserved", "UsageSettled", "ChargeAdjusted"]
    adjusted = story.events[2].event
    assert isinstance(adjusted, ChargeAdjusted)
    assert (adjusted.reason, adjusted.delta_nanos) == ("refund", -MEASURED)
    assert stage.books.balance(payer.account_id).posted_nanos == 5 * 10**9


def test_a_whole_answer_whose_settlement_never_left_is_refunded(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_charge, "CLOSE_WITHIN_S", 0.5)
    payer = stage.books.payer(5)
    calling = Calling(stage, payer.key, (0.5, *whole()))
    with ledger_held_up(stage):
        # Something else is underway, so the settlement waits here.
        other = threading.Thread(target=stage.books.credit, args=(stage.payer.account_id, 1))
        other.start()
        answer = calling.answer()
    other.join()
    check_overloaded(answer)
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 20, "released")
    (story,) = stage.books.stories(payer.account_id)
    assert story.names == ["QuotaReserved", "RefundIssued"]
    assert story.refunded.reason == "undelivered"
    assert stage.books.balance(payer.account_id).posted_nanos == 5 * 10**9


def test_a_stream_whose_settlement_is_late_ends_with_an_error_and_is_charged(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_charge, "CLOSE_WITHIN_S", 0.5)
    payer = stage.books.payer(5)
    calling = Calling(stage, payer.key, (0.5, *stream()), is_stream=True)
    with ledger_held_up(stage):
        answer = calling.answer()
    assert answer.status == 200
    assert b"[DONE]" not in answer.body
    assert json.loads(answer.frames[-1])["error"]["code"] == "overloaded"
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 20, "settled")
    (story,) = stage.books.stories(payer.account_id)
    assert (story.settled.basis, story.settled.charged_nanos) == ("measured", MEASURED)


def test_a_stream_that_cannot_learn_whether_it_is_covered_is_ended_as_overloaded(
    stage: Stage,
) -> None:
    payer = stage.books.payer(5)
    calling = Calling(stage, payer.key, (0.5, *long_stream(5_000)), is_stream=True)
    with ledger_held_up(stage):
        time.sleep(3.0)
    answer = calling.answer()
    assert json.loads(answer.frames[-1])["error"]["code"] == "overloaded"
    until(lambda: stage.books.balance(payer.account_id).held_nanos == 0, 20, "settled")
    (story,) = stage.books.stories(payer.account_id)
    assert (story.settled.ending, story.settled.basis) == ("ledger_away", "estimated")
    holds = [one.event for one in story.events if isinstance(one.event, QuotaReserved)]
    assert story.settled.released_nanos == sum(hold.hold_nanos for hold in holds)


def dear_call(stage: Stage, key: str, is_stream: bool) -> Answer:
    stage.provider.scripts["dear"] = whole(completion(usage=DEAR))
    stage.provider.scripts["dear_stream"] = stream(("a",), usage=DEAR)
    script = "dear_stream" if is_stream else "dear"
    client = stage.gateway.client(key)
    return client.chat(MODEL, stream=is_stream, max_tokens=1, metadata={"script": script})


def check_overloaded(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "overloaded")
    assert int(answer.headers["retry-after"]) >= 1


def long_stream(words: int) -> Script:
    """Words, a hundred at a time, without usage."""
    word = event_chunk(chunk({"content": " word"}))
    end = event_chunk(chunk({}, "stop")) + event_chunk(b"data: [DONE]\n\n")
    return (opened(), *((word * 100, 0.002) * (words // 100)), end, b"0\r\n\r\n")
