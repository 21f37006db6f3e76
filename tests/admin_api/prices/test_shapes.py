"""Prices for long prompts and in services, costs, reasons: over the desk's API, down to the log."""

from uuid import UUID, uuid4

from ledger.ids import entity_id
from ledger.pricing import LongContext, Multiplier, Price, Schedule, charge_nanos, price_lines
from ledger.streams.price import COST, cost_book
from ledger.usage import Usage
from tests.admin_api.channels.test_channels import CHANNEL
from tests.admin_api.desks import OpenDesk, Servers, at_desk

PAST, FUTURE = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
BODY = {
    "input": "3",
    "output": "15",
    "cache_read": "0.3",
    "long_context": [
        {"above_tokens": 500_000, "input": "9"},
        {"above_tokens": 200_000, "input": "6", "output": "22.5"},
    ],
    "services": {
        "batch": {"input": "1.5", "output": "7.5"},
        "flex": {"per_call": "0.01", "long_context": [{"above_tokens": 1, "per_call": "0.02"}]},
    },
}
PRICE = Price(
    rates={"input": 3 * 10**9, "output": 15 * 10**9, "cache_read": 3 * 10**8},
    long_context=(
        LongContext(above_tokens=200_000, rates={"input": 6 * 10**9, "output": 225 * 10**8}),
        LongContext(above_tokens=500_000, rates={"input": 9 * 10**9}),
    ),
    services={
        "batch": Schedule(rates={"input": 15 * 10**8, "output": 75 * 10**8}),
        "flex": Schedule(
            rates={"calls": 10**7},
            long_context=(LongContext(above_tokens=1, rates={"calls": 2 * 10**7}),),
        ),
    },
)


def test_long_prompts_and_services_are_stored_exactly_and_come_back(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        assert (await desk.ask("PUT", "/prices/m", json=BODY)).json() == {"version": 1}
        await desk.desk.up_to_date()
        stored = desk.desk.configuration.held.prices["m"].prices[0].price
        assert stored == PRICE
        told = (await desk.get("/prices/m")).json()["current"]
        assert (told["input"], told["output"], told["per_call"]) == ("3", "15", None)
        assert [
            (each["above_tokens"], each["input"], each["output"]) for each in told["long_context"]
        ] == [(200_000, "6", "22.5"), (500_000, "9", None)]
        assert told["services"]["batch"]["input"] == "1.5"
        assert told["services"]["flex"]["long_context"][0]["per_call"] == "0.02"

    at_desk(servers, check)


def test_what_was_written_charges_what_it_says() -> None:
    usage = Usage(input=200_001, output=2, calls=1)
    for service, expected in (("", 1_200_006_000 + 45_000), ("batch", 300_001_500 + 15_000)):
        assert charge_nanos(price_lines(usage, PRICE, service), Multiplier()) == expected


def test_shapes_that_say_nothing_or_too_much_are_refused(servers: Servers) -> None:
    def longer(*tiers: object) -> dict[str, object]:
        return {"input": "1", "long_context": list(tiers)}

    def services(**named: object) -> dict[str, object]:
        return {"input": "1", "services": named}

    refused: list[dict[str, object]] = [
        longer({"above_tokens": 0, "input": "1"}),
        longer({"above_tokens": 10**10, "input": "1"}),
        longer({"above_tokens": 1.5, "input": "1"}),
        longer({"above_tokens": 9}),
        longer({"input": "1"}),
        longer({"above_tokens": 9, "input": "1"}, {"above_tokens": 9, "input": "2"}),
        longer(*({"above_tokens": n, "input": "1"} for n in range(1, 11))),
        services(flex={}),
        services(flex={"output": "1"}),
        services(default={"input": "1"}),
        services(standard={"input": "1"}),
        {"input": "1", "services": {"Flex": {"input": "1"}}},
        {"input": "1", "services": {"": {"input": "1"}}},
        {"input": "1", "services": {f"s{n}": {"input": "1"} for n in range(20)}},
        services(flex={"input": "1", "services": {}}),
        {"input": "1", "reason": ""},
        {"input": "1", "reason": "a\x00b"},
    ]

    async def check(desk: OpenDesk) -> None:
        for body in refused:
            answer = await desk.ask("PUT", "/prices/m", json=body)
            assert answer.status_code == 422, body
        assert (await desk.get("/prices")).json() == {"prices": []}

    at_desk(servers, check)


def test_a_reason_is_sealed_apart_and_told_with_the_version(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        words = "Ada <ada@example.org> asked for it"
        await desk.ask("PUT", "/prices/m", json={"input": "1", "reason": words})
        await desk.ask("PUT", "/prices/m", json={"input": "2"})
        history = (await desk.get("/prices/m")).json()["history"]
        assert [(past["version"], past["reason"]) for past in history] == [(1, words), (2, None)]
        async with desk.desk.pool.connection() as connection:
            cursor = await connection.execute("select state from ledger.event")
            assert not any(b"ada@" in bytes(row[0]).lower() for row in await cursor.fetchall())

    at_desk(servers, check)


# ---------------------------------------------------------------------- what we pay


def test_costs_are_dated_and_a_channels_own_goes_first(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        channel_id = (await desk.post("/channels", json=CHANNEL)).json()["id"]
        path = f"/channels/{channel_id}/costs/up/stream"
        assert (await desk.ask("PUT", "/costs/up/stream", json={"input": "1"})).status_code == 200
        assert (await desk.ask("PUT", path, json={"input": "9", "effective_from": FUTURE})).json()
        later = {"input": "5", "effective_from": PAST, "reason": "the invoice of May"}
        assert (await desk.ask("PUT", path, json=later)).json() == {"version": 2}
        told = (await desk.get(path)).json()
        assert (told["current"]["version"], told["current"]["input"]) == (2, "5")
        assert [past["reason"] for past in told["history"]] == [None, "the invoice of May"]
        assert [each["input"] for each in (await desk.get("/costs")).json()["prices"]] == ["1"]
        listed = (await desk.get(f"/channels/{channel_id}/costs")).json()["prices"]
        assert [(each["model"], each["version"]) for each in listed] == [("up/stream", 2)]
        await desk.desk.up_to_date()
        configuration = desk.desk.configuration
        assert set(configuration.held.costs) == {
            (COST, "up/stream"),
            (cost_book(UUID(channel_id)), "up/stream"),
        }
        now_us = 1_800_000_000_000_000
        own = configuration.cost_price(UUID(channel_id), "up/stream", now_us)
        other = configuration.cost_price(entity_id(), "up/stream", now_us)
        assert own is not None
        assert other is not None
        assert (own[0], own[1].price.rates) == (2, {"input": 5 * 10**9})
        assert other[1].price.rates == {"input": 10**9}
        assert (await desk.get("/prices")).json() == {"prices": []}

    at_desk(servers, check)


def test_a_cost_of_a_channel_that_is_not_there_is_not_found(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        for foreign in (str(uuid4()), account_id):
            path = f"/channels/{foreign}/costs/m"
            assert (await desk.ask("PUT", path, json={"input": "1"})).status_code == 404
            assert (await desk.get(path)).status_code == 404
            assert (await desk.get(f"/channels/{foreign}/costs")).status_code == 404
        assert (await desk.get("/costs/m")).status_code == 404
        auditor = await desk.operator("auditor")
        answer = await desk.ask("PUT", "/costs/m", json={"input": "1"}, token=auditor)
        assert answer.status_code == 403

    at_desk(servers, check)
