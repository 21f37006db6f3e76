"""Channels over the desk's API; above all, where provider keys must never go."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import msgspec

from ledger import vault
from ledger.streams import channel
from ledger.vault import Place
from tests.admin_api.desks import OpenDesk, Servers, at_desk

CANARY = "sk-canary-0123456789abcdefghijklmnop"
CHANNEL: dict[str, Any] = {
    "name": "main",
    "type": "openai",
    "base_url": "https://api.example.com/v1",
    "keys": [CANARY, CANARY + "-2"],
    "models": ["gpt-4o", {"client": "fast", "upstream": "gpt-4o-mini-2024"}],
    "groups": ["default", "partner"],
    "priority": 5,
    "weight": 3,
}
UNSHAPED: dict[str, Any] = {
    "settings": {},
    "thinking_to_content": False,
    "force_format": False,
    "has_system_prompt": False,
    "system_prompt": None,
    "system_prompt_leads": False,
    "keeps_suffix": [],
    "proxy": "",
    "has_proxy_credentials": False,
    "trusted_certificates": "",
    "connect_timeout_ms": 0,
    "first_byte_timeout_ms": 0,
    "idle_timeout_ms": 0,
    "first_content_timeout_ms": 0,
    "has_parameter_overrides": False,
    "parameter_overrides": None,
    "header_override_names": [],
    "status_codes": {},
    "key_choice": "random",
}


def test_a_channel_comes_back_without_its_keys(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        answer = await desk.post("/channels", json=CHANNEL)
        assert answer.status_code == 201, answer.text
        added = answer.json()
        assert [set(key) for key in added["keys"]] == [{"id", "state"}] * 2
        expected = {
            **CHANNEL,
            **UNSHAPED,
            "id": added["id"],
            "keys": added["keys"],
            "models": [
                {"client": "fast", "upstream": "gpt-4o-mini-2024"},
                {"client": "gpt-4o", "upstream": "gpt-4o"},
            ],
            "is_paused": False,
        }
        assert added == expected
        listed, one = await desk.get("/channels"), await desk.get(f"/channels/{added['id']}")
        assert listed.json() == {"channels": [added]}
        assert one.json() == added
        for told in (answer, listed, one):
            assert "canary" not in told.text

    at_desk(servers, check)


def test_the_keys_are_sealed_where_the_gateway_looks_for_them(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        added = (await desk.post("/channels", json=CHANNEL)).json()
        kept = await _kept_keys(desk, added)
        assert kept == CHANNEL["keys"]
        async with desk.desk.pool.connection() as connection:
            for query in (
                "select string_agg(state, '') from ledger.event",
                "select string_agg(sealed, '') from vault.cell",
            ):
                row = await (await connection.execute(query)).fetchone()
                assert row is not None
                assert b"canary" not in row[0]

    at_desk(servers, check)


def test_a_new_address_or_type_takes_the_keys_away(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for number, change in enumerate(
            (
                {"base_url": "https://evil.example.com/v1"},
                {"base_url": "http://api.example.com/v1"},
                {"base_url": "https://api.example.com:8443/v1"},
                {"type": "compatible"},
            )
        ):
            named = {**CHANNEL, "name": f"number {number}"}
            added = (await desk.post("/channels", json=named)).json()
            answer = await desk.ask("PATCH", f"/channels/{added['id']}", json=change)
            assert answer.status_code == 200
            assert answer.json()["keys"] == [], change
            assert await _kept_keys(desk, added) == [None, None]

    at_desk(servers, check)


def test_new_keys_may_come_with_a_new_address(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        added = (await desk.post("/channels", json=CHANNEL)).json()
        change = {"base_url": "https://other.example.com", "keys": ["another"]}
        changed = (await desk.ask("PATCH", f"/channels/{added['id']}", json=change)).json()
        assert len(changed["keys"]) == 1
        assert await _kept_keys(desk, changed) == ["another"]
        assert await _kept_keys(desk, added) == [None, None]

    at_desk(servers, check)


def test_any_other_change_keeps_the_keys(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        added = (await desk.post("/channels", json=CHANNEL)).json()
        change = {
            "name": "other", "weight": 0, "priority": -1, "models": ["m"], "groups": ["x"],
            "is_paused": True, "key_choice": "in_turn", "base_url": CHANNEL["base_url"] + "/",
        }  # fmt: skip
        changed = (await desk.ask("PATCH", f"/channels/{added['id']}", json=change)).json()
        assert changed == {
            **added,
            **change,
            "base_url": CHANNEL["base_url"],
            "models": [{"client": "m", "upstream": "m"}],
        }
        assert await _kept_keys(desk, changed) == CHANNEL["keys"]
        resumed = await desk.ask("PATCH", f"/channels/{added['id']}", json={"is_paused": False})
        assert resumed.json()["is_paused"] is False

    at_desk(servers, check)


def test_a_change_of_weight_never_brings_back_an_old_address(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        added = (await desk.post("/channels", json=CHANNEL)).json()
        path = f"/channels/{added['id']}"
        moving = {"base_url": "https://new.example.com", "keys": ["new"]}
        await asyncio.gather(
            desk.ask("PATCH", path, json=moving),
            *(desk.ask("PATCH", path, json={"weight": weight}) for weight in range(10, 15)),
        )
        now = (await desk.get(path)).json()
        assert now["base_url"] == "https://new.example.com/v1"
        assert now["weight"] in range(10, 15)
        assert await _kept_keys(desk, now) == ["new"]

    at_desk(servers, check)


def test_a_removed_channel_is_gone_and_its_keys_with_it(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        added = (await desk.post("/channels", json=CHANNEL)).json()
        path = f"/channels/{added['id']}"
        assert (await desk.ask("DELETE", path)).status_code == 204
        assert (await desk.get("/channels")).json() == {"channels": []}
        for method, body in (("GET", None), ("PATCH", {"weight": 1}), ("DELETE", None)):
            assert (await desk.ask(method, path, json=body)).status_code == 404
        assert await _kept_keys(desk, added) == [None, None]

    at_desk(servers, check)


def test_an_unknown_channel_is_not_found(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for method, body in (("GET", None), ("PATCH", {"weight": 1}), ("DELETE", None)):
            answer = await desk.ask(method, f"/channels/{uuid4()}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    at_desk(servers, check)


def test_a_channel_needs_little(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        body = {"name": "e", "type": "echo", "models": ["echo"]}
        added = (await desk.post("/channels", json=body)).json()
        assert added["base_url"] == ""
        assert (added["groups"], added["priority"], added["weight"]) == (["default"], 0, 1)

    at_desk(servers, check)


def test_d7_a_host_alone_gets_the_path_that_its_vendor_has(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for given, kept in (
            ("https://models.example", "https://models.example/v1"),
            ("https://models.example/", "https://models.example/v1"),
            ("http://10.0.0.7:8000", "http://10.0.0.7:8000/v1"),
            ("https://models.example/v2", "https://models.example/v2"),
            ("https://models.example/openai/v1/", "https://models.example/openai/v1"),
        ):
            body = {**CHANNEL, "base_url": given, "name": given}
            added = (await desk.post("/channels", json=body)).json()
            assert added["base_url"] == kept
            again = await desk.patch(f"/channels/{added['id']}", json={"base_url": given})
            assert (again.json()["base_url"], len(again.json()["keys"])) == (kept, 2)
        for type_ in ("compatible", "whole"):  # nothing is known of where theirs are
            body = {**CHANNEL, "type": type_, "base_url": "https://models.example", "name": type_}
            added = (await desk.post("/channels", json=body)).json()
            assert added["base_url"] == "https://models.example", added

    at_desk(servers, check)


def test_d7_an_address_that_was_kept_without_a_path_stays_with_its_keys(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        added = (await desk.post("/channels", json=CHANNEL)).json()
        stream_id = UUID(added["id"])
        state = await desk.desk.state(channel.STREAM, stream_id)
        route = msgspec.structs.replace(state.route, base_url="https://earlier.example")
        await desk.desk.handle(channel.STREAM, stream_id, channel.Change(route, "a release"))
        body = {"base_url": "https://earlier.example", "weight": 7}
        told = (await desk.patch(f"/channels/{added['id']}", json=body)).json()
        assert (told["base_url"], len(told["keys"])) == ("https://earlier.example", 2)

    at_desk(servers, check)


def test_a_name_is_one_channels_until_it_is_given_up(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        first = (await desk.post("/channels", json=CHANNEL)).json()
        refused = await desk.post("/channels", json={**CHANNEL, "name": " main "})
        assert (refused.status_code, refused.json()["code"]) == (409, "not_allowed_now")
        assert "another channel has this name" in refused.json()["detail"]
        second = (await desk.post("/channels", json={**CHANNEL, "name": "second"})).json()
        path = f"/channels/{second['id']}"
        assert (await desk.patch(path, json={"name": "main", "weight": 9})).status_code == 409
        unchanged = (await desk.get(path)).json()
        assert (unchanged["name"], unchanged["weight"]) == ("second", 3)
        assert (await desk.patch(path, json={"name": "second"})).status_code == 200
        assert (await desk.patch(path, json={"name": "renamed"})).status_code == 200
        assert (await desk.post("/channels", json={**CHANNEL, "name": "second"})).status_code == 201
        assert (await desk.ask("DELETE", f"/channels/{first['id']}")).status_code == 204
        assert (await desk.post("/channels", json=CHANNEL)).status_code == 201
        names = [one["name"] for one in (await desk.get("/channels")).json()["channels"]]
        assert sorted(names) == ["main", "renamed", "second"]

    at_desk(servers, check)


def test_of_several_at_once_one_gets_the_name(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        answers = await asyncio.gather(*(desk.post("/channels", json=CHANNEL) for _ in range(7)))
        assert sorted(answer.status_code for answer in answers) == [201, *[409] * 6]
        assert len((await desk.get("/channels")).json()["channels"]) == 1

    at_desk(servers, check)


def test_a_log_that_holds_a_name_twice_goes_on(servers: Servers) -> None:
    """As releases left it that did not look; also where the first to ask is a third."""

    async def check(desk: OpenDesk) -> None:
        ids = []
        for name in ("main", "other"):
            body = {**CHANNEL, "name": name}
            ids.append(UUID((await desk.post("/channels", json=body)).json()["id"]))
        async with desk.desk.pool.connection() as connection:
            await connection.execute("delete from vault.cell where kind = 'channel_name'")
            place = Place("channel", ids[1], "name", ids[1])
            await vault.put(connection, desk.desk.vault, place, "main")
        await desk.desk.up_to_date()
        listed = (await desk.get("/channels")).json()["channels"]
        assert [one["name"] for one in listed] == ["main", "main"]
        assert (await desk.post("/channels", json=CHANNEL)).status_code == 409
        weights = [await desk.patch(f"/channels/{each}", json={"weight": 2}) for each in ids]
        assert {answer.status_code for answer in weights} == {200}
        renamed = [
            await desk.patch(f"/channels/{each}", json={"name": f"new {each}"}) for each in ids
        ]
        assert {answer.status_code for answer in renamed} == {200}
        assert (await desk.post("/channels", json=CHANNEL)).status_code == 201

    at_desk(servers, check)


NOT_CHANNELS: tuple[tuple[str, object], ...] = (
    ("base_url", "ftp://example.com"),
    ("base_url", "javascript:alert(1)"),
    ("base_url", "//example.com"),
    ("base_url", "https://"),
    ("base_url", "https://user:secret@example.com"),
    ("base_url", "https://example.com?x=1"),
    ("base_url", "https://example.com/#x"),
    ("base_url", "https://example.com/a b"),
    ("base_url", "https://example.com/\n"),
    ("base_url", "https://example.com\\@evil.com"),
    ("base_url", "https://example.com:0x50"),
    ("base_url", "https://example.com:99999"),
    ("base_url", "https://example.com/v1/../admin"),
    ("base_url", "https://example.com/v1/%2e%2e/admin"),
    ("base_url", "https://ex\u00e4mple.com"),
    ("base_url", "https://[::1"),
    ("base_url", "https://example.com/" + "x" * 2048),
    ("type", "no-such"),
    ("type", "compatible"),
    ("keys", []),
    ("keys", None),
    ("keys", [""]),
    ("keys", ["a\nb"]),
    ("keys", ["caf\u00e9"]),
    ("keys", "a"),
    ("key_choice", "round_robin"),
    ("key_choice", ""),
    ("models", []),
    ("models", ["m", "m"]),
    ("models", [{"client": "m"}]),
    ("models", [{"client": "m", "upstream": "u", "x": 1}]),
    ("groups", []),
    ("groups", ["a\nb"]),
    ("weight", -1),
    ("weight", "1"),
    ("weight", 1.5),
    ("weight", True),
    ("priority", 10**9),
)


def test_what_a_channel_cannot_be_is_refused(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for field, value in NOT_CHANNELS:
            body = {"name": "c", "type": "openai", "models": ["m"], "keys": ["k"], field: value}
            answer = await desk.post("/channels", json=body)
            assert answer.status_code == 422, (field, value, answer.text)
            expected = "base_url" if value == "compatible" else field
            assert expected in answer.json()["errors"][0]["field"], (field, value)
        assert (await desk.get("/channels")).json() == {"channels": []}

    at_desk(servers, check)


def test_a_refused_key_is_not_repeated_in_the_answer(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for keys in ([CANARY + "\n"], CANARY, [[CANARY]], [CANARY * 300]):
            body = {"name": "c", "type": "openai", "models": ["m"], "keys": keys}
            answer = await desk.post("/channels", json=body)
            assert answer.status_code == 422
            assert "canary" not in answer.text

    at_desk(servers, check)


async def _kept_keys(desk: OpenDesk, told: dict[str, Any]) -> list[str | None]:
    ids = [UUID(key["id"]) for key in told["keys"]]
    async with desk.desk.pool.connection() as connection:
        found = await vault.get_many(connection, desk.desk.vault, "channel_key", "key", ids)
    return [found.get(key_id) for key_id in ids]
