"""Service tiers and what the provider takes: frozen at admission, decided by the answer."""

import json
import threading
from typing import Any

import pytest

from ledger.fsck import check_ledger
from ledger.ids import entity_id
from ledger.pricing import LongContext, Multiplier, Price, Schedule
from ledger.streams import api_key, group, price
from ledger.streams.charge import rules
from ledger.streams.charge.events import ChargeAdjusted, Cost
from ledger.streams.price import COST, cost_book
from tests.bookkeeping import ACTOR, ChargeStory
from tests.calling import MESSAGES, Answer
from tests.fake_provider import Script, chunk, completion, event_chunk, opened, stream, whole
from tests.faults.conftest import Stage
from tests.running import until

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
SOLD = Price(
    rates={"input": 1_000_000_000, "output": 2_000_000_000},
    services={
        "flex": Schedule(rates={"input": 500_000_000, "output": 1_000_000_000}),
        "priority": Schedule(rates={"input": 3_000_000_000, "output": 6_000_000_000}),
    },
)
STANDARD_NANOS, FLEX_NANOS, PRIORITY_NANOS = 20_000, 10_000, 60_000
SHAPES = pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])


class Tiers:
    """One model that is sold in three services, on a channel of its own."""

    def __init__(self, stage: Stage, sold: Price = SOLD) -> None:
        self.stage = stage
        self.model = f"tiered-{entity_id()}"
        self.upstream = f"upstream-{self.model}"
        base_url = stage.provider.base_url()
        self.channel_id = stage.books.channel(
            {self.model: self.upstream}, type_="openai", base_url=base_url, keys=["k"]
        )
        self.set_price(self.model, sold)

    def set_price(self, model: str, set_to: Price, book: str = price.SALE) -> None:
        command = price.SetPrice(model, set_to, 0, ACTOR, book=book)
        self.stage.books.command(
            price.STREAM, price.price_stream_id(model, book), command, seen=True
        )

    def call(self, answered: object, *, is_stream: bool = False, **fields: Any) -> Answer:  # noqa: ANN401 - JSON
        self.stage.provider.scripts["tier"] = _answering(answered, is_stream)
        return self.stage.client.chat(
            self.model, stream=is_stream, metadata={"script": "tier"}, **fields
        )

    def story(self, answered: object, *, is_stream: bool = False, **fields: Any) -> ChargeStory:  # noqa: ANN401 - JSON
        answer = self.call(answered, is_stream=is_stream, **fields)
        assert answer.status == 200, answer.body
        return self.stage.books.story(answer.request_id)


@pytest.fixture(scope="module")
def tiers(stage: Stage) -> Tiers:
    return Tiers(stage)


@SHAPES
@pytest.mark.parametrize(
    ("asked", "answered", "service", "charged"),
    [
        (None, None, None, STANDARD_NANOS),
        ("auto", "default", None, STANDARD_NANOS),
        ("auto", "priority", "priority", PRIORITY_NANOS),
        ("flex", "flex", None, FLEX_NANOS),
        ("flex", None, None, FLEX_NANOS),
        ("flex", 7, None, FLEX_NANOS),
        ("priority", "default", "", STANDARD_NANOS),
        ("default", "on_demand", None, STANDARD_NANOS),
    ],
)
def test_the_service_that_answers_decides_the_price(
    tiers: Tiers,
    asked: str | None,
    answered: object,
    service: str | None,
    charged: int,
    is_stream: bool,
) -> None:
    fields = {} if asked is None else {"service_tier": asked}
    story = tiers.story(answered, is_stream=is_stream, **fields)
    frozen = asked if asked in ("flex", "priority") else ""
    assert story.opening.terms.service == story.settled.terms.service == frozen
    assert (story.settled.service, story.settled.charged_nanos) == (service, charged)
    assert story.settled.anomaly == ""


def test_the_hold_is_that_of_the_service_asked_for(tiers: Tiers) -> None:
    holds = {
        tier: tiers.story(tier, service_tier=tier, max_tokens=100).opening.hold_nanos
        for tier in ("default", "flex", "priority")
    }
    assert holds["flex"] * 2 == holds["default"]
    assert holds["default"] * 3 == holds["priority"]


@SHAPES
def test_a_service_without_a_price_that_answers_costs_the_dearest_and_is_told_of(
    tiers: Tiers, is_stream: bool
) -> None:
    story = tiers.story("scale", is_stream=is_stream)
    settled = story.settled
    assert (settled.service, settled.charged_nanos) == ("priority", PRIORITY_NANOS)
    assert settled.anomaly == "unpriced_service"


@pytest.mark.parametrize("tier", ["scale", "batch", "FLEX", "x" * 900])
def test_a_service_without_a_price_that_is_asked_for_is_refused_before_anything_is_held(
    tiers: Tiers, tier: str
) -> None:
    asked, log = len(tiers.stage.provider.received), len(tiers.stage.books.log())
    answer = tiers.call("default", service_tier=tier)
    assert (answer.status, answer.code) == (400, "service_not_priced")
    assert answer.json()["error"]["param"] == "service_tier"
    assert len(answer.body) < 400
    assert len(tiers.stage.provider.received) == asked
    assert len(tiers.stage.books.log()) == log


def test_a_provider_whose_tier_comes_in_an_odd_chunk_is_read_all_the_same(tiers: Tiers) -> None:
    odd = b'data: {"choices":[{"index":"0","delta":{"content":7}}],"service_tier":"flex"}\n\n'
    script = list(stream(usage=USAGE))
    script.insert(3, event_chunk(odd))
    tiers.stage.provider.scripts["odd"] = tuple(script)
    answer = tiers.stage.client.chat(tiers.model, stream=True, metadata={"script": "odd"})
    assert tiers.stage.books.story(answer.request_id).settled.service == "flex"


@pytest.mark.parametrize(
    ("path", "fields", "kind"),
    [
        ("/v1/messages", {"max_tokens": 5}, "invalid_request_error"),
        ("/v1/responses", {"input": "one two"}, None),
    ],
)
def test_other_formats_refuse_it_in_their_own_words(
    tiers: Tiers, path: str, fields: dict[str, Any], kind: str | None
) -> None:
    body = {"model": tiers.model, "messages": MESSAGES, "service_tier": "scale", **fields}
    if "input" in fields:
        del body["messages"]
    answer = tiers.stage.client.call("POST", path, body)
    assert answer.status == 400, answer.body
    error = answer.json()["error"]
    assert "not available in the service tier 'scale'" in error["message"]
    assert error["type"] == "invalid_request_error"
    assert answer.json().get("type") == ("error" if kind else None)


def test_members_of_another_group_pay_what_was_agreed_for_them(stage: Stage) -> None:
    tiers = Tiers(stage)
    name = f"g{entity_id().hex[:8]}"
    stage.books.channel(
        {tiers.model: tiers.upstream},
        type_="openai",
        base_url=stage.provider.base_url(),
        keys=["k"],
        groups=(name,),
    )
    special = {"vip": Multiplier(1, 2)}
    command = group.SetGroup(name, Multiplier(3, 1), ACTOR, for_members=special)
    stage.books.command(group.STREAM, group.group_stream_id(name), command, seen=True)
    stage.provider.scripts["tier"] = _answering(None, False)
    for own, charged in (("vip", STANDARD_NANOS // 2), ("default", STANDARD_NANOS * 3)):
        payer = stage.books.payer(5, in_group=own, terms=api_key.KeyTerms(group=name))
        client = stage.gateway.client(payer.key)
        answer = client.chat(tiers.model, metadata={"script": "tier"})
        assert stage.books.story(answer.request_id).settled.charged_nanos == charged


# ---------------------------------------------------------------------- long prompts


def test_a_long_prompt_makes_the_whole_call_dearer_and_its_hold_covers_that(stage: Stage) -> None:
    long = LongContext(above_tokens=100, rates={"input": 4_000_000_000, "output": 8_000_000_000})
    tiers = Tiers(stage, Price(rates=SOLD.rates, long_context=(long,)))
    usage = {"prompt_tokens": 101, "completion_tokens": 5, "total_tokens": 106}
    stage.provider.scripts["long"] = whole(completion(usage=usage))
    asked = [{"role": "user", "content": "word " * 400}]
    answer = stage.client.chat(
        tiers.model, messages=asked, max_tokens=10, metadata={"script": "long"}
    )
    story = stage.books.story(answer.request_id)
    assert story.settled.charged_nanos == 101 * 4_000 + 5 * 8_000
    opening = story.opening
    assert opening.hold_nanos == opening.input_tokens_estimated * 4_000 + 10 * 8_000
    assert story.names == ["QuotaReserved", "UsageSettled"]


def test_a_stream_after_a_long_prompt_grows_its_hold_at_the_dearer_price(stage: Stage) -> None:
    long = LongContext(above_tokens=100, rates={"output": 20_000_000_000})
    tiers = Tiers(stage, Price(rates=SOLD.rates, long_context=(long,)))
    word = event_chunk(chunk({"content": " word"}))
    end = event_chunk(chunk({}, "stop")) + event_chunk(b"data: [DONE]\n\n")
    words = (word * 100, 0.002) * 50
    stage.provider.scripts["long_stream"] = (opened(), *words, end, b"0\r\n\r\n")
    answer = stage.client.chat(
        tiers.model,
        stream=True,
        messages=[{"role": "user", "content": "word " * 400}],
        metadata={"script": "long_stream"},
    )
    story = stage.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "QuotaReserved", "UsageSettled"]
    assert story.settled.shortfall_nanos == 0
    grown = story.events[1].event
    assert isinstance(grown, type(story.opening))
    assert grown.hold_nanos == 4_096 * 20_000


# ---------------------------------------------------------------------- what it costs us


@SHAPES
def test_a_settlement_says_what_the_provider_takes(stage: Stage, is_stream: bool) -> None:
    tiers = Tiers(stage)
    assert tiers.story("default", is_stream=is_stream).settled.cost is None
    tiers.set_price(tiers.upstream, Price(rates={"input": 100_000_000}), COST)
    assert tiers.story("default", is_stream=is_stream).settled.cost == Cost(
        book=COST, price_version=1, amount_nanos=1_000
    )
    own = cost_book(tiers.channel_id)
    flex = Schedule(rates={"input": 50_000_000, "output": 100_000_000})
    known = Price(rates={"input": 200_000_000, "output": 300_000_000}, services={"flex": flex})
    tiers.set_price(tiers.upstream, Price(rates={"input": 1}), own)
    tiers.set_price(tiers.upstream, known, own)
    told = tiers.story("flex", is_stream=is_stream, service_tier="flex").settled
    assert told.cost == Cost(book=own, price_version=2, amount_nanos=1_000)
    assert told.anomaly == ""
    odd = tiers.story("priority", is_stream=is_stream).settled
    assert odd.cost == Cost(book=own, price_version=2, amount_nanos=3_500)
    assert odd.anomaly == "unpriced_cost_service"


def test_usage_that_comes_after_the_lease_lapsed_has_its_service_and_its_cost(
    stage: Stage,
) -> None:
    tiers = Tiers(stage)
    tiers.set_price(tiers.upstream, Price(rates={"input": 100_000_000}), COST)
    story = _settled_late(tiers)
    late = story.events[-1].event
    assert isinstance(late, ChargeAdjusted)
    assert late.late is not None
    assert (late.late.service, late.delta_nanos) == ("priority", PRIORITY_NANOS)
    assert late.late.channel_id == tiers.channel_id
    assert late.late.cost == Cost(book=COST, price_version=1, amount_nanos=1_000)
    assert {line.price_nanos for line in late.lines} == {3_000_000_000, 6_000_000_000}
    assert sum(posting.amount_nanos for posting in rules.STREAM.postings(late)) == 0


def test_the_books_of_all_this_are_clean(stage: Stage) -> None:
    assert list(check_ledger(stage.gateway.app_dsn)) == []


def _settled_late(tiers: Tiers) -> ChargeStory:
    """A call that is closed by somebody else while the provider takes its time."""
    stage = tiers.stage
    payer = stage.books.payer(5)
    stage.provider.scripts["tier_late"] = (0.4, *_answering("priority", False))
    client = stage.gateway.client(payer.key)
    fields = {"metadata": {"script": "tier_late"}}
    calling = threading.Thread(target=client.chat, args=(tiers.model,), kwargs=fields)
    calling.start()
    (story,) = until(lambda: stage.books.stories(payer.account_id), 10, "a hold")
    opening = story.opening
    lost = rules.Refund("node_lost", opening.node, opening.boot)
    stage.books.command(rules.STREAM, story.events[0].stream_id, lost)
    calling.join(20)
    (story,) = stage.books.stories(payer.account_id)
    assert story.names == ["QuotaReserved", "RefundIssued", "ChargeAdjusted"]
    return story


def _answering(tier: object, is_stream: bool) -> Script:
    told: dict[str, Any] = {} if tier is None else {"service_tier": tier}
    if not is_stream:
        return whole(completion(usage=USAGE, **told))
    script = list(stream(usage=USAGE))
    if told:
        frame = {"object": "chat.completion.chunk", "choices": [], **told}
        script.insert(3, event_chunk(_event(frame)))
    return tuple(script)


def _event(frame: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(frame).encode() + b"\n\n"
