"""What was configured then, over the desk's API."""

from tests.admin_api.desks import OpenDesk, Servers, at_desk


def test_prices_channels_settings_and_groups_as_of_then(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await desk.ask("PUT", "/prices/a%2Fb", json={"input": "1", "output": "2"})
        await desk.ask("PUT", "/groups/vip", json={"multiplier": "0.5", "reason": "r"})
        channel = {"name": "c", "type": "echo", "models": ["m"]}
        channel_id = (await desk.post("/channels", json=channel)).json()["id"]
        position = (await desk.get("/ledger/trial-balance")).json()["as_of"]["head"]
        await desk.ask("PUT", "/prices/a%2Fb", json={"input": "3", "output": "4"})
        await desk.ask("PUT", "/groups/vip", json={"multiplier": "2"})
        await desk.ask("PATCH", f"/channels/{channel_id}", json={"weight": 9})
        for when, price, multiplier, weight, version in (
            (f"?as_of={position}", "1", "0.5", 1, 1),
            ("", "3", "2", 9, 2),
        ):
            found = (await desk.get(f"/ledger/as-of/prices/a/b{when}")).json()
            assert found["in_force"]["rates"]["input"] == price
            assert (found["in_force"]["version"], found["versions"]) == (version, version)
            led = (await desk.get(f"/ledger/as-of/channels/{channel_id}{when}")).json()
            assert (led["weight"], led["version"], led["is_paused"]) == (weight, version, False)
            held = (await desk.get(f"/ledger/as-of/settings{when}")).json()
            assert [(each["name"], each["multiplier"]) for each in held["groups"]] == [
                ("vip", multiplier)
            ]
        for path in ("prices/a/b", f"channels/{channel_id}"):
            answer = await desk.get(f"/ledger/as-of/{path}?as_of=1")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert (await desk.get("/ledger/as-of/prices/a/b?book=cost")).status_code == 404

    at_desk(servers, check)
