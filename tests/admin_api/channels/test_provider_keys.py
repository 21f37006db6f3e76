"""C5: the keys of a channel, one by one, over the desk's API."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from ledger.streams import channel
from ledger.streams.channel import (
    Channel,
    ChannelAdded,
    ChannelChanged,
    ChannelKeyStateChanged,
    KeyCondition,
    MarkKey,
    PauseKey,
    ResumeKey,
)
from ledger.streams.routes import Route
from projections.cache.channel_keys import SharedCooling
from tests.admin_api.desks import OpenDesk, Servers, at_desk

CHANNEL, A, B = UUID(int=1), UUID(int=2), UUID(int=3)
NOTHING_TOLD: dict[str, Any] = {"cooling_until": None, "cooling_models": [], "answered_at": None}
FRESH = {"state": "usable", "reason": "", "since": None, **NOTHING_TOLD}


async def added(desk: OpenDesk) -> tuple[str, list[str]]:
    given = {"name": "main", "type": "openai", "models": ["m"], "keys": ["k-1", "k-2"]}
    told = (await desk.post("/channels", json=given)).json()
    return f"/channels/{told['id']}", [key["id"] for key in told["keys"]]


async def marked(desk: OpenDesk, path: str, command: object) -> None:
    """As a node does."""
    channel_id = UUID(path.rpartition("/")[2])
    await desk.desk.ledger.handle(channel.STREAM, channel_id, command)


def test_c5_keys_are_listed_with_state_reason_and_since_when(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        path, keys = await added(desk)
        listed = (await desk.get(f"{path}/keys")).json()["keys"]
        assert listed == [{"id": key, **FRESH} for key in keys]
        mark = MarkKey(UUID(keys[1]), "out_of_money", "node:a", "quota_used_up", "usable")
        await marked(desk, path, mark)
        first, second = (await desk.get(f"{path}/keys")).json()["keys"]
        assert first == {"id": keys[0], **FRESH}
        assert (second["state"], second["reason"]) == ("out_of_money", "quota_used_up")
        assert second["since"].endswith("Z")
        states = [key["state"] for key in (await desk.get(path)).json()["keys"]]
        assert states == ["usable", "out_of_money"]
        assert (await desk.get(f"/channels/{uuid4()}/keys")).status_code == 404

    at_desk(servers, check)


def test_c5_a_key_is_paused_and_brought_back_by_hand(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        path, (key, _) = await added(desk)
        because: dict[str, Any] = {"reason": "rotated_soon"}
        paused = (await desk.post(f"{path}/keys/{key}/pause", json=because)).json()
        assert (paused["state"], paused["reason"]) == ("paused", "rotated_soon")
        again = (await desk.post(f"{path}/keys/{key}/pause", json={})).json()
        assert again == paused, "it was paused already, and nothing is on record of this"
        for state in ("refused", "usable"):  # nor does what a provider says end it
            await marked(desk, path, MarkKey(UUID(key), state, "node:a"))
        (now, _) = (await desk.get(f"{path}/keys")).json()["keys"]
        assert now == paused
        resumed = (await desk.post(f"{path}/keys/{key}/resume", json={})).json()
        assert (resumed["state"], resumed["reason"]) == ("usable", "")
        assert resumed["since"] >= paused["since"]
        await marked(desk, path, MarkKey(UUID(key), "refused", "node:a", "provider_status_401"))
        resumed = (await desk.post(f"{path}/keys/{key}/resume", json={})).json()
        assert resumed["state"] == "usable"
        states = [
            (one.event.state, one.event.actor)
            for one in await desk.desk.ledger.events(UUID(path.rpartition("/")[2]))
            if isinstance(one.event, ChannelKeyStateChanged)
        ]
        assert [state for state, _ in states] == ["paused", "usable", "refused", "usable"]
        assert states[2][1] == "node:a"
        assert states[3][1] != "node:a"

    at_desk(servers, check)


def test_c5_a_key_that_rests_is_told_until_when_and_brought_back(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        path, keys = await added(desk)
        channel_id, key_id = UUID(path.rpartition("/")[2]), UUID(keys[0])
        shared = desk.desk.channel_keys
        await shared.cool(channel_id, key_id, "big", SharedCooling(300, 2, "overloaded"))
        await shared.cool(channel_id, key_id, "small", SharedCooling(20, 1, "rate_limit"))
        await shared.cool(channel_id, key_id, "over", SharedCooling(0.001, 1, "rate_limit"))
        await asyncio.sleep(0.005)
        await shared.note_answered(channel_id, {key_id: 60.0})
        key, other = (await desk.get(f"{path}/keys")).json()["keys"]
        assert (key["state"], key["reason"], key["since"]) == ("cooling", "overloaded", None)
        assert key["cooling_models"] == ["big", "small"]
        apart = datetime.fromisoformat(key["cooling_until"]) - datetime.now(UTC)
        assert 290 < apart.total_seconds() <= 300
        ago = datetime.now(UTC) - datetime.fromisoformat(key["answered_at"])
        assert 59 < ago.total_seconds() < 70
        assert other == {"id": keys[1], **FRESH}
        paused = (await desk.post(f"{path}/keys/{key_id}/pause", json={})).json()
        assert (paused["state"], paused["cooling_until"]) == ("paused", None)
        resumed = (await desk.post(f"{path}/keys/{key_id}/resume", json={})).json()
        assert (resumed["state"], resumed["reason"]) == ("usable", "")
        await shared.cool(channel_id, key_id, "", SharedCooling(300, 1, "rate_limit"))
        (key, _) = (await desk.get(f"{path}/keys")).json()["keys"]
        assert (key["state"], key["cooling_models"]) == ("cooling", [])

    at_desk(servers, check)


def test_c5_what_is_no_key_of_the_channel_is_not_found(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        path, (key, _) = await added(desk)
        for command in ("pause", "resume"):
            unknown = await desk.post(f"{path}/keys/{uuid4()}/{command}", json={})
            elsewhere = await desk.post(f"/channels/{uuid4()}/keys/{key}/{command}", json={})
            prose = await desk.post(f"{path}/keys/{key}/{command}", json={"reason": "Mr. X left"})
            answers = (unknown, elsewhere, prose)
            assert [answer.status_code for answer in answers] == [404, 404, 422]

    at_desk(servers, check)


def test_c5_what_releases_before_wrote_is_read_as_refused() -> None:
    state = folded(
        ChannelKeyStateChanged(channel_id=CHANNEL, key_id=A, state="unusable", actor="n")
    )
    assert state.out_of_use == {A: KeyCondition("refused", "")}
    assert (state.key_state(A), state.usable_keys) == ("refused", (B,))
    assert channel.decide(state, MarkKey(A, "refused", "node:a")) == ()


def test_c5_a_node_changes_only_what_it_believes_to_see() -> None:
    """So that of many calls that fail at once one is on record, and of two nodes' one."""
    state = folded()
    (refused,) = channel.decide(state, MarkKey(A, "refused", "n", "r", expected="usable"))
    assert isinstance(refused, ChannelKeyStateChanged)
    state = channel.evolve(state, refused)
    assert channel.decide(state, MarkKey(A, "out_of_money", "n", "r", expected="usable")) == ()
    assert channel.decide(state, MarkKey(A, "usable", "n", "r", expected="out_of_money")) == ()
    assert channel.decide(state, PauseKey(B, "root")) != ()
    assert channel.decide(state, ResumeKey(B, "root")) == ()
    gone = ChannelChanged(channel_id=CHANNEL, route=Route(type="openai", key_ids=(B,)), actor="a")
    assert channel.evolve(state, gone).out_of_use == {}


def folded(*events: Any) -> Channel:  # noqa: ANN401 - events of a channel
    route = Route(type="openai", key_ids=(A, B))
    state = Channel()
    for event in (ChannelAdded(channel_id=CHANNEL, route=route, actor="a"), *events):
        state = channel.evolve(state, event)
    return state
