"""Alarms at the desk: every one of a log, by kind and time, and how many there were, for
Prometheus.
"""

from collections import Counter
from collections.abc import Iterator

import psycopg

from admin_api.fields.inputs import format_moment
from ledger.ids import entity_id
from ledger.money import format_usd
from ledger.store.reader import Recorded
from ledger.streams.charge import rules as charge
from ledger.streams.charge.events import (
    Attempt,
    ChargeAdjusted,
    Cost,
    RefundIssued,
    UsageSettled,
)
from ledger.usage import Usage
from tests.admin_api.desks import OpenDesk, Servers, at_desk
from tests.admin_api.grown import Told, fold, read_log
from tests.builders import LawfulLog

PAID = Attempt(
    channel_id=entity_id(),
    outcome="failed",
    usage=Usage(input=7),
    upstream_model="upstream-m",
    cost=Cost(book="cost", price_version=1, amount_nanos=3_500),
)


def alarms_of(log: list[Recorded]) -> Iterator[tuple[int, str, int]]:
    """Position, kind and nanodollars of each, the newest first, as the events of this log say."""
    for one in reversed(log):
        found: dict[str, int] = {}
        event = one.event
        if isinstance(event, UsageSettled | RefundIssued | ChargeAdjusted):
            used = [each for each in event.attempts if each.usage]
            if used:
                found["paid_without_charge"] = sum(
                    each.cost.amount_nanos for each in used if each.cost
                )
        if isinstance(event, UsageSettled) and event.shortfall_nanos:
            found["cost_beyond_hold"] = event.shortfall_nanos
        if isinstance(event, UsageSettled) and "usage_contradicted" in event.anomaly:
            found["usage_contradicted"] = event.charged_nanos + event.shortfall_nanos
        if isinstance(event, RefundIssued) and event.reason in ("node_lost", "unsettled"):
            kind = "node_lost" if event.reason == "node_lost" else "closing_refused"
            found[kind] = event.released_nanos
        yield from ((one.position, kind, found[kind]) for kind in sorted(found))


async def some_alarms(desk: OpenDesk, servers: Servers) -> list[Recorded]:
    """A log with alarms of several kinds, some of them of one event."""
    with psycopg.connect(servers.dsn, autocommit=True) as connection:
        grown = LawfulLog(connection, seed=3, accounts=3)
        grown.grow(600, batch_groups=50)
        grown.close_all()
    account_id = await desk.account()
    key_id, _ = await desk.key(account_id)
    await desk.credit(account_id, "1")
    await desk.settled_call(account_id, key_id, PAID, anomaly="usage_contradicted")
    await desk.settled_call(account_id, key_id, PAID, PAID)
    await desk.settled_call(account_id, key_id, usage=Usage(input=10_000), covered_nanos=0)
    await desk.settled_call(account_id, key_id)
    await fold(servers)
    return read_log(servers)


async def pages(desk: OpenDesk, limit: int, **asked: object) -> list[Told]:
    found: list[Told] = []
    before: dict[str, object] = {}
    while True:
        answer = await desk.get("/alarms", params={**asked, **before, "limit": limit})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["alarms"]
        if page["next"] is None:
            return found
        before = {"before": page["next"]}


def test_every_alarm_of_the_log_is_told_under_every_condition(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        log = await some_alarms(desk, servers)
        every = list(alarms_of(log))
        kinds = Counter(kind for _, kind, _ in every)
        assert set(kinds) == {
            "cost_beyond_hold",
            "node_lost",
            "paid_without_charge",
            "usage_contradicted",
        }
        for limit in (1, 3, 1_000):
            told = await pages(desk, limit)
            assert [(each["position"], each["kind"]) for each in told] == [
                (position, kind) for position, kind, _ in every
            ]
        assert [each["amount"] for each in told] == [format_usd(nanos) for _, _, nanos in every]
        for kind, count in kinds.items():
            own = await pages(desk, 2, kind=kind)
            assert [each["position"] for each in own] == [
                at for at, name, _ in every if name == kind
            ]
            assert len(own) == count
        since = format_moment(log[every[2][0] - 1].recorded_at)
        newer = [each for each in told if each["recorded_at"] >= since]
        assert await pages(desk, 2, **{"from": since}) == newer
        assert 0 < len(newer) < len(told)

    at_desk(servers, check)


def test_an_alarm_leads_to_its_call_and_its_channel(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        await desk.credit(account_id, "1")
        call_id = await desk.settled_call(account_id, key_id, PAID)
        adjust = charge.Adjust(entity_id(), -800_000, "refund", "node:n1")
        await desk.desk.ledger.handle(charge.STREAM, call_id, adjust)
        await fold(servers)
        given_back, paid = (await desk.get("/alarms")).json()["alarms"]
        assert (given_back["kind"], given_back["amount"]) == ("charge_given_back", "0.0008")
        assert (paid["kind"], paid["amount"]) == ("paid_without_charge", "0.0000035")
        assert paid["meaning"] == "a provider is paid for what nobody is charged for"
        assert (paid["request_id"], paid["account_id"]) == (str(call_id), account_id)
        assert (paid["model"], paid["channel_id"]) == ("m", str(PAID.channel_id))
        call = (await desk.get(f"/requests/{paid['request_id']}")).json()
        assert paid["position"] in call["positions"]

    at_desk(servers, check)


def test_prometheus_counts_every_kind_from_nothing(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        before = await desk.get("/metrics")
        assert before.headers["content-type"] == "text/plain; charset=utf-8"
        assert set(counted(before.text).values()) == {0}
        log = await some_alarms(desk, servers)
        expected = Counter(kind for _, kind, _ in alarms_of(log))
        told = counted((await desk.get("/metrics")).text)
        assert {kind: count for kind, count in told.items() if count} == dict(expected)
        assert told.keys() == counted(before.text).keys()
        assert told["closing_refused"] == 0

    at_desk(servers, check)


def counted(text: str) -> dict[str, int]:
    """The counter's values by its only label, as Prometheus would read them."""
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads[1] == "# TYPE tollgate_alarms_total counter"
    assert text.endswith("\n")
    found = {}
    for line in text.splitlines()[len(heads) :]:
        series, _, value = line.partition(" ")
        name, _, rest = series.partition('{kind="')
        assert (name, rest[-2:]) == ("tollgate_alarms_total", '"}')
        found[rest[:-2]] = int(value)
    return found


def test_what_cannot_be_asked_is_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        assert (await desk.get("/alarms")).json() == {"alarms": [], "next": None, "position": 0}
        for query in ("kind=nonsense", "kind=", "from=soon", "before=0", "who=me"):
            assert (await desk.get(f"/alarms?{query}")).status_code == 422, query
        _, secret = await desk.key(await desk.account())
        for path in ("/alarms", "/metrics"):
            assert (await desk.get(path, token=secret)).status_code == 401

    at_desk(servers, check)
