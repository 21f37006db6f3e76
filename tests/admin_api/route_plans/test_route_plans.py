"""The route simulator over the desk's API."""

from typing import Any

from tests.admin_api.desks import OpenDesk, Servers, at_desk

PRICE = {"input": "1", "output": "2"}


async def added(desk: OpenDesk, name: str, **given: object) -> str:
    body = {"name": name, "type": "openai", "keys": ["sk-a", "sk-b"], "models": ["m"], **given}
    answer = await desk.post("/channels", json=body)
    assert answer.status_code == 201, answer.text
    told: str = answer.json()["id"]
    return told


async def simulated(desk: OpenDesk, **given: object) -> dict[str, Any]:
    answer = await desk.post("/routes/simulate", json=given)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_route_tells_order_reasons_and_price(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        await desk.put("/prices/m", json=PRICE)
        await desk.put("/groups/default", json={"multiplier": "1.5"})
        first = await added(desk, "first", priority=1, weight=3)
        second = await added(desk, "second", priority=1)
        later = await added(desk, "later")
        vip = await added(desk, "vip", groups=["vip"])
        paused = await added(desk, "paused")
        await desk.patch(f"/channels/{paused}", json={"is_paused": True})
        other = await added(desk, "other", models=["n"])
        (key, _) = (await desk.get(f"/channels/{later}/keys")).json()["keys"]
        await desk.post(f"/channels/{later}/keys/{key['id']}/pause", json={"reason": "rotated"})

        told = await simulated(desk, model="m", account=account_id)
        assert [one["id"] for one in told["channels"]][:3] == [first, second, later]
        assert other not in {one["id"] for one in told["channels"]}
        by_id = {one["id"]: one for one in told["channels"]}
        assert {each: by_id[each]["probability"] for each in (first, second, later)} == {
            first: 0.75,
            second: 0.25,
            later: 0.0,
        }
        assert (by_id[vip]["why_not"], by_id[paused]["why_not"]) == ("group", "paused")
        assert by_id[first]["name"] == "first"
        assert [one["probability"] for one in by_id[first]["keys"]] == [0.5, 0.5]
        assert [(one["state"], one["reason"]) for one in by_id[later]["keys"]] == [
            ("paused", "rotated"),
            ("usable", ""),
        ]
        assert (told["multiplier"], told["group"], told["refusal"]) == ("1.5", "default", "")
        assert told["price"]["version"] == 1
        assert told["is_shared"] is True

    at_desk(servers, check)


def test_a_refusal_is_told_as_the_client_would_be(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id, models=["n"])
        mine = {"model": "m", "account": account_id}
        assert (await simulated(desk, **mine))["refusal"] == "model_not_found"
        channel_id = await added(desk, "only", keys=["sk-a"])
        assert (await simulated(desk, **mine))["refusal"] == "model_not_found"
        await desk.put("/prices/m", json=PRICE)
        assert (await simulated(desk, **mine))["refusal"] == ""
        told = await simulated(desk, model="m", key=key_id)
        assert told["refusal"] == "model_not_allowed"
        (key,) = (await desk.get(f"/channels/{channel_id}/keys")).json()["keys"]
        await desk.post(f"/channels/{channel_id}/keys/{key['id']}/pause", json={})
        told = await simulated(desk, **mine)
        assert told["refusal"] == "provider_unavailable"
        assert told["channels"][0]["why_not"] == "keys_out_of_use"
        await desk.post(f"/accounts/{account_id}/suspend", json={})
        assert (await simulated(desk, **mine))["refusal"] == "account_suspended"
        await desk.ask("DELETE", f"/keys/{key_id}")
        told = await simulated(desk, model="n", key=key_id)
        assert told["refusal"] == "invalid_api_key"

    at_desk(servers, check)


def test_who_calls_must_be_one_and_must_be_there(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        for body, status in (
            ({"model": "m"}, 422),
            ({"model": "m", "account": account_id, "key": key_id}, 422),
            ({"model": "m", "account": key_id}, 404),
            ({"model": "m", "key": account_id}, 404),
        ):
            answer = await desk.ask("POST", "/routes/simulate", json=body)
            assert answer.status_code == status, answer.text

    at_desk(servers, check)
