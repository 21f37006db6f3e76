"""Prices over the desk's API."""

from uuid import UUID

from tests.admin_api.desks import OpenDesk, Servers, at_desk

FIELDS = (
    "input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning",
    "audio_in", "audio_out", "image_in", "image_out", "per_call",
    "web_search", "file_search", "code_execution",
)  # fmt: skip
PAST, FUTURE = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


def test_every_class_of_a_price_comes_back_exactly(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        body = {field: f"{number}.00000000{number}" for number, field in enumerate(FIELDS[:9], 1)}
        body |= {"image_out": "999999999.999999999", "per_call": "0"}
        body |= {"web_search": "10", "file_search": "2.5", "code_execution": "0.000000001"}
        answer = await desk.ask("PUT", "/prices/m", json={**body, "effective_from": PAST})
        assert (answer.status_code, answer.json()) == (200, {"version": 1})
        told = (await desk.get("/prices/m")).json()
        expected = {
            "model": "m",
            "version": 1,
            **body,
            "effective_from": "2020-01-01T00:00:00.000000Z",
            "long_context": [],
            "services": {},
            "provenance": "",
        }
        assert told["current"] == expected
        past = told["history"][0]
        assert past.pop("recorded_at").endswith("Z")
        assert past.pop("actor").startswith("operator:")
        assert past.pop("reason") is None
        assert past == expected

    at_desk(servers, check)


def test_prices_are_stored_in_nanodollars_per_million_and_per_call(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await desk.ask("PUT", "/prices/m", json={"input": "0.15", "per_call": "0.01"})
        await desk.desk.up_to_date()
        history = desk.desk.configuration.held.prices["m"]
        assert history.prices[0].price.rates == {"input": 150_000_000, "calls": 10_000_000}

    at_desk(servers, check)


def test_a_models_name_may_contain_slashes(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for name in ("vendor/family/model", "@cf/meta:latest", "a b", "mod\u00e8le"):
            answer = await desk.ask("PUT", f"/prices/{name}", json={"input": "1"})
            assert answer.json() == {"version": 1}, name
            assert (await desk.get(f"/prices/{name}")).json()["model"] == name
        listed = (await desk.get("/prices")).json()["prices"]
        assert len(listed) == 4

    at_desk(servers, check)


def test_a_later_price_waits_for_its_moment(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        path = "/prices/m"
        await desk.ask("PUT", path, json={"input": "9", "effective_from": FUTURE})
        assert (await desk.get(path)).json()["current"] is None
        assert (await desk.get("/prices")).json() == {"prices": []}
        await desk.ask("PUT", path, json={"input": "1"})
        answer = await desk.ask("PUT", path, json={"input": "2", "effective_from": PAST})
        assert answer.json() == {"version": 3}
        told = (await desk.get(path)).json()
        assert (told["current"]["version"], told["current"]["input"]) == (2, "1")
        assert [past["version"] for past in told["history"]] == [1, 2, 3]

    at_desk(servers, check)


def test_an_unpriced_model_is_not_found(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        answer = await desk.get("/prices/vendor/none")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    at_desk(servers, check)


def test_what_a_price_cannot_be_is_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for path, body, code in (
            ("/prices/m", {}, "invalid_input"),
            ("/prices/m", {"output": "1"}, "invalid_input"),
            ("/prices/m", {"input": 1}, "invalid_amount"),
            ("/prices/m", {"input": "-1"}, "invalid_amount"),
            ("/prices/m", {"input": "1", "tokens": "1"}, "unknown_field"),
            ("/prices/m", {"input": "1", "effective_from": "tomorrow"}, "invalid_input"),
            ("/prices/m", {"input": "1", "effective_from": "2030-01-01T00:00:00"}, "invalid_input"),
            (
                "/prices/m",
                {"input": "1", "effective_from": "1969-12-31T23:59:59Z"},
                "invalid_input",
            ),
            ("/prices/a%09b", {"input": "1"}, "invalid_input"),
            ("/prices/a%E2%80%AEb", {"input": "1"}, "invalid_input"),
            ("/prices/a%2F%2E%2E%2Fb", {"input": "1"}, "invalid_input"),
            ("/prices/a%2F", {"input": "1"}, "invalid_input"),
            ("/prices/%20a", {"input": "1"}, "invalid_input"),
            ("/prices/" + "m" * 257, {"input": "1"}, "invalid_input"),
        ):
            answer = await desk.ask("PUT", path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, code), (path, body)
        assert (await desk.get("/prices")).json() == {"prices": []}

    at_desk(servers, check)


def test_an_id_of_another_kind_is_not_found(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        call_id = await desk_call(desk, account_id, key_id)
        ids = {"accounts": account_id, "keys": key_id, "requests": str(call_id)}
        for kind, foreign in ids.items():
            for method, path, body in (
                ("GET", f"/accounts/{foreign}", None),
                ("GET", f"/accounts/{foreign}/balance", None),
                ("POST", f"/accounts/{foreign}/credits", {"amount": "1", "reason": "r"}),
                ("PATCH", f"/keys/{foreign}", {"limit": "1"}),
                ("DELETE", f"/keys/{foreign}", None),
                ("GET", f"/channels/{foreign}", None),
                ("PATCH", f"/channels/{foreign}", {"weight": 1}),
                ("DELETE", f"/channels/{foreign}", None),
                ("GET", f"/requests/{foreign}", None),
            ):
                if not path.startswith(f"/{kind}/"):
                    answer = await desk.ask(method, path, json=body)
                    assert answer.status_code == 404, (method, path)

    at_desk(servers, check)


async def desk_call(desk: OpenDesk, account_id: str, key_id: str) -> UUID:
    await desk.credit(account_id, "1")
    return await desk.settled_call(account_id, key_id)
