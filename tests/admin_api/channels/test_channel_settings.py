"""What channels say besides their address: settings of their type, and how they shape calls."""

import asyncio
import json
from typing import Any
from uuid import UUID

from gateway.channels.routing import candidates
from gateway.channels.system_prompts import ChannelTexts
from ledger import vault
from ledger.streams import channel
from tests.admin_api.desks import CHANNEL_TYPES, OpenDesk, Servers, at_desk

REGIONAL: dict[str, Any] = {
    "name": "r",
    "type": "regional",
    "keys": ["AK|SK"],
    "models": ["m"],
    "settings": {"region": "eu-1"},
}
PROMPT = "You are terse.\n\tAlways: \u2713"
ACCOUNT = '{\n  "private_key": "-----BEGIN\\nabc",\n  "client_email": "a@b"\n}'


def test_the_kinds_of_providers_are_told_with_all_they_need(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for role in ("operator", "finance", "auditor"):
            answer = await desk.get("/channel-types", token=await desk.operator(role))
            assert answer.status_code == 200, answer.text
        kinds = {one["name"]: one for one in answer.json()["channel_types"]}
        assert set(kinds) == set(CHANNEL_TYPES)
        assert kinds["regional"] == {
            "name": "regional",
            "base_url": "https://{region}.example.com",
            "is_whole_url": False,
            "needs_key": True,
            "key_format": "`access|secret` or a JSON object",
            "formats": ["openai_chat", "gemini"],
            "settings": [
                {
                    "name": "region",
                    "description": "Where it is.",
                    "is_required": True,
                    "default": "",
                    "pattern": "[a-z0-9-]{1,20}",
                },
                {
                    "name": "login_url",
                    "description": "Where tokens come from.",
                    "is_required": False,
                    "default": "https://login.example.com",
                    "pattern": "https://.*",
                },
            ],
        }

    at_desk(servers, check)


def test_settings_are_kept_and_what_they_cannot_be_is_refused_by_name(servers: Servers) -> None:
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "settings.region"),
        ({"region": "EU 1"}, "settings.region"),
        ({"region": "eu-1", "login_url": "ftp://x"}, "settings.login_url"),
        ({"region": "eu-1", "regoin": "x"}, "settings"),
        ({"region": ""}, "settings.region"),
        ({"region": 1}, "settings.region"),
    )

    async def check(desk: OpenDesk) -> None:
        added = (await desk.post("/channels", json=REGIONAL)).json()
        assert added["settings"] == {"region": "eu-1"}
        path = f"/channels/{added['id']}"
        for given, field in refused:
            for answer in (
                await desk.post("/channels", json={**REGIONAL, "settings": given}),
                await desk.ask("PATCH", path, json={"settings": given}),
            ):
                assert answer.status_code == 422, (given, answer.text)
                assert answer.json()["errors"][0]["field"].endswith(field), answer.text
        plain = {**REGIONAL, "type": "openai", "settings": {"region": "eu-1"}}
        assert (await desk.post("/channels", json=plain)).status_code == 422
        assert (await desk.get(path)).json() == added

    at_desk(servers, check)


def test_only_settings_with_a_say_in_where_keys_go_take_them_away(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        added = (await desk.post("/channels", json=REGIONAL)).json()
        path = f"/channels/{added['id']}"
        usual = {"region": "us-2", "login_url": "https://login.example.com"}
        for settings in ({"region": "us-1"}, usual):
            changed = (await desk.ask("PATCH", path, json={"settings": settings})).json()
            assert (changed["settings"], changed["keys"]) == (settings, added["keys"])
        elsewhere = {"region": "us-2", "login_url": "https://evil.example.com"}
        changed = (await desk.ask("PATCH", path, json={"settings": elsewhere})).json()
        assert changed["keys"] == []
        assert await _kept(desk, "channel_key", "key", added["keys"][0]["id"]) is None
        another = (await desk.ask("PATCH", path, json={"type": "echo"})).json()
        assert another["settings"] == {}

    at_desk(servers, check)


def test_keys_have_the_form_of_their_type(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for key in ("AK", "A|B|C", "{", '["a"]', '{"a": 1', "{}x"):
            answer = await desk.post("/channels", json={**REGIONAL, "keys": [key]})
            assert answer.status_code == 422, key
            assert answer.json()["errors"][0]["field"] == "keys"
            assert key not in answer.text or len(key) == 1
        added = (await desk.post("/channels", json={**REGIONAL, "keys": [ACCOUNT]})).json()
        kept = await _kept(desk, "channel_key", "key", added["keys"][0]["id"])
        assert kept is not None
        assert "\n" not in kept
        assert json.loads(kept) == json.loads(ACCOUNT)
        opaque = {**REGIONAL, "type": "openai", "settings": {}, "keys": [ACCOUNT]}
        assert (await desk.post("/channels", json=opaque)).status_code == 422

    at_desk(servers, check)


def test_a_query_belongs_to_whole_addresses_only(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        url = "https://x.example.com/{model}/chat?v=1&w"
        body = {"name": "w", "type": "whole", "models": ["m"], "base_url": url}
        added = (await desk.post("/channels", json=body)).json()
        assert added["base_url"] == url
        change = {"type": "compatible", "keys": ["k"]}
        answer = await desk.ask("PATCH", f"/channels/{added['id']}", json=change)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "base_url")

    at_desk(servers, check)


def test_a_system_prompt_comes_back_to_those_who_may_change_it(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        shaped = {
            "system_prompt": PROMPT,
            "system_prompt_leads": True,
            "thinking_to_content": True,
            "force_format": True,
            "keeps_suffix": ["acme/always-thinking"],
        }
        answer = await desk.post("/channels", json={**REGIONAL, **shaped})
        added = answer.json()
        assert answer.status_code == 201
        assert shaped.items() <= added.items()
        assert added["has_system_prompt"] is True
        path = f"/channels/{added['id']}"
        told = await desk.get(path, token=await desk.operator("auditor"))
        assert (told.json()["system_prompt"], told.json()["has_system_prompt"]) == (None, True)
        listed = (await desk.get("/channels", token=await desk.operator("operator"))).json()
        assert listed["channels"][0]["system_prompt"] == PROMPT
        async with desk.desk.pool.connection() as connection:
            query = "select string_agg(state, '') from ledger.event"
            row = await (await connection.execute(query)).fetchone()
        assert row is not None
        assert b"terse" not in row[0]

    at_desk(servers, check)


def test_a_text_never_changes_under_its_id(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        added = (await desk.post("/channels", json={**REGIONAL, "system_prompt": PROMPT})).json()
        path = f"/channels/{added['id']}"
        first = await _prompt_id(desk, added["id"])
        unchanged = (await desk.ask("PATCH", path, json={"force_format": True})).json()
        assert (unchanged["system_prompt"], await _prompt_id(desk, added["id"])) == (PROMPT, first)
        changed = (await desk.ask("PATCH", path, json={"system_prompt": "Other.\r\nWords"})).json()
        second = await _prompt_id(desk, added["id"])
        assert (changed["system_prompt"], changed["force_format"]) == ("Other.\nWords", True)
        assert second not in (None, first)
        assert await _kept(desk, "channel_text", "text", first) is None
        without = (await desk.ask("PATCH", path, json={"system_prompt": ""})).json()
        assert (without["system_prompt"], without["has_system_prompt"]) == (None, False)
        assert await _kept(desk, "channel_text", "text", second) is None
        for bad in (" \n", "a\x00b", "\ud800"):
            body = json.dumps({"system_prompt": bad}).encode()
            headers = {"content-type": "application/json"}
            answer = await desk.ask("PATCH", path, content=body, headers=headers)
            assert answer.status_code == 422, repr(bad)

    at_desk(servers, check)


def test_a_removed_channel_takes_its_text_with_it(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        added = (await desk.post("/channels", json={**REGIONAL, "system_prompt": PROMPT})).json()
        prompt_id = await _prompt_id(desk, added["id"])
        assert await _kept(desk, "channel_text", "text", prompt_id) == PROMPT
        assert (await desk.ask("DELETE", f"/channels/{added['id']}")).status_code == 204
        assert await _kept(desk, "channel_text", "text", prompt_id) is None

    at_desk(servers, check)


def test_the_gateway_reads_what_the_desk_wrote(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        added = (await desk.post("/channels", json={**REGIONAL, "system_prompt": PROMPT})).json()
        await desk.post("/channels", json={**REGIONAL, "name": "without"})
        await desk.desk.up_to_date()
        held = desk.desk.configuration.held.channels
        found = candidates(held, "default", "m", lambda _: True)
        assert [one.settings for one in found] == [{"region": "eu-1"}] * 2
        texts = ChannelTexts(desk.desk.vault, desk.desk.pool)
        told = await asyncio.gather(*(texts.read(one) for one in found))
        assert dict(zip((str(one.channel_id) for one in found), told, strict=True)) == {
            added["id"]: PROMPT,
            **{str(one.channel_id): None for one in found if str(one.channel_id) != added["id"]},
        }

    at_desk(servers, check)


async def _prompt_id(desk: OpenDesk, channel_id: str) -> UUID | None:
    state = await desk.desk.state(channel.STREAM, UUID(channel_id))
    found: UUID | None = state.route.shaping.system_prompt_id
    return found


async def _kept(desk: OpenDesk, kind: str, field: str, row_id: object) -> str | None:
    async with desk.desk.pool.connection() as connection:
        return await vault.get(connection, desk.desk.vault, kind, UUID(str(row_id)), field)
